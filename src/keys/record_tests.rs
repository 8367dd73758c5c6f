//! Every record survives encoding and decoding, and malformed bytes are refused.

use super::head::Record;
use super::summary::Summary;
use super::{Corrupt, Envelope, NameHash, State, debt, index, registry, todo};
use crate::stream::{
    Asked, Block, Closed, ContentType, Era, Expiry, ForkStep, Forks, Head, Incarnation, Lease,
    Lineage, Link, Owed, Position, ProducerMark, ProducerState, Reason, Ring, Run, Segment, Span,
    Subscriber, Timelines, Tombstone,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn life() -> impl Strategy<Value = Incarnation> {
    any::<[u8; 16]>().prop_map(Incarnation)
}

fn mark() -> impl Strategy<Value = ProducerMark> {
    (any::<[u8; 16]>(), any::<u64>(), any::<u64>()).prop_map(|(id, epoch, seq)| ProducerMark {
        id,
        epoch,
        seq,
    })
}

fn segment() -> impl Strategy<Value = Segment> {
    (any::<u64>(), any::<u32>(), any::<bool>()).prop_map(|(id, length, ends_message)| Segment {
        id,
        length,
        ends_message,
    })
}

fn owed() -> impl Strategy<Value = Owed> {
    (any::<u64>(), any::<u64>(), vec(any::<u64>(), 0..80)).prop_map(
        |(first_block, end_block, chunks)| Owed {
            first_block,
            end_block,
            chunks,
        },
    )
}

fn expiry() -> impl Strategy<Value = Expiry> {
    prop_oneof![
        Just(Expiry::Never),
        any::<u64>().prop_map(|secs| Expiry::Ttl { secs }),
        any::<u64>().prop_map(|ms| Expiry::At { ms }),
    ]
}

fn kind() -> impl Strategy<Value = ContentType> {
    "[a-z]{1,9}/[a-z.+-]{1,9}(; [a-z]{1,4}=[a-z]{1,4})?"
        .prop_map(|text| ContentType::parse(&text).unwrap())
}

fn link() -> impl Strategy<Value = Link> {
    (any::<[u8; 20]>(), life()).prop_map(|(hash, incarnation)| Link { hash, incarnation })
}

fn position() -> impl Strategy<Value = Position> {
    any::<(u64, u64)>().prop_map(|(segment, byte)| Position::new(segment, byte))
}

fn subscriber() -> impl Strategy<Value = Subscriber> {
    (any::<[u8; 20]>(), any::<u64>(), position()).prop_map(|(subscription, life, since)| {
        Subscriber {
            subscription,
            life,
            since,
        }
    })
}

fn spans() -> impl Strategy<Value = Vec<Span>> {
    vec((any::<u64>(), life()), 0..4).prop_map(|spans| {
        spans
            .into_iter()
            .map(|(end, owner)| Span { end, owner })
            .collect()
    })
}

fn forks() -> impl Strategy<Value = Forks> {
    let step = prop_oneof![
        Just(ForkStep::Joining),
        Just(ForkStep::Joined),
        Just(ForkStep::Leaving)
    ];
    let parts = (any::<u64>(), vec((life(), step), 0..16), any::<bool>());
    let some = parts.prop_map(|(count, steps, deleted)| Forks {
        count,
        steps,
        deleted,
    });
    prop_oneof![Just(Forks::default()), some]
}

prop_compose! {
    fn lineage()(
        (source, offset, sub, point) in (link(), option::of(position()), any::<u64>(), position()),
        (pending, depth, floor, own_block) in any::<(bool, u64, u64, u64)>(),
        runs in vec((any::<u64>(), life()), 0..9),
        owners in spans(),
    ) -> Lineage {
        let run = |(first_block, owner)| Run { first_block, owner };
        Lineage {
            source,
            asked: Asked { offset, sub },
            point,
            pending,
            depth,
            floor,
            runs: runs.into_iter().map(run).collect(),
            own_block,
            owners,
        }
    }
}

fn timelines() -> impl Strategy<Value = Timelines> {
    vec((1..u64::from(u32::MAX), 1u64..9), 0..4).prop_map(|steps| {
        let (mut first, mut timeline) = (0, 0);
        let eras = steps.into_iter().map(|(segments, raise)| {
            first += segments;
            timeline += raise;
            Era { first, timeline }
        });
        Timelines::of(eras.collect()).unwrap()
    })
}

prop_compose! {
    fn head()(
        name in "\\PC{0,40}",
        incarnation in life(),
        (born, steps) in (0..u64::MAX / 2, vec((any::<u64>(), 0u64..1000), 0..64)),
        (content_type, expiry) in (kind(), expiry()),
        (created_ms, touched_ms, bytes) in any::<(u64, u64, u64)>(),
        closed in option::of(
            (option::of(mark()), option::of("[a-z0-9._-]{1,64}")).prop_map(|(by, reason)| Closed {
                by,
                reason: reason.map(|reason| Reason::parse(&reason).unwrap()),
            }),
        ),
        lease in option::of(any::<(u64, u64)>()),
        seq in option::of(vec(any::<u8>(), 0..20)),
        producers in vec(
            (mark(), any::<u64>()).prop_map(|(last, used_ms)| ProducerState { last, used_ms }),
            0..9,
        ),
        leaf in option::of(any::<u32>()),
        (first, recent_first, more) in any::<(u64, u64, u32)>(),
        recent in vec(segment(), 0..130),
        inline in vec(any::<u8>(), 0..300),
        (forks, lineage, subscribers) in (forks(), option::of(lineage()), vec(subscriber(), 0..4)),
        timelines in timelines(),
    ) -> Head {
        let mut version = born;
        let ring: Vec<(u64, u64)> = steps
            .into_iter()
            .map(|(id, step)| {
                version += step;
                (id, version)
            })
            .collect();
        Head {
            name,
            incarnation,
            version: version + u64::from(more),
            born,
            ring: Ring::of(ring),
            content_type,
            created_ms,
            expiry,
            touched_ms,
            lease: lease
                .filter(|_| closed.is_none())
                .map(|(secs, renewed_ms)| Lease { secs, renewed_ms }),
            closed,
            seq,
            producers,
            bytes,
            leaf,
            first,
            recent_first,
            recent,
            inline,
            forks,
            lineage: lineage.map(Box::new),
            subscribers,
            timelines,
        }
    }
}

prop_compose! {
    fn tombstone()(
        name in "\\PC{0,40}",
        incarnation in life(),
        (version, next_segment, timeline) in (any::<u64>(), any::<u64>(), 0..3u64),
        owes in option::of(owed()),
        source in option::of(link()),
    ) -> Tombstone {
        Tombstone { name, incarnation, version, next_segment, timeline, owes, source }
    }
}

fn todo_entry() -> impl Strategy<Value = todo::Entry> {
    let parts = (
        any::<[u8; 20]>(),
        life(),
        option::of(any::<u32>()),
        option::of(link()),
        (any::<u64>(), option::of(link())),
    );
    let wake = any::<([u8; 20], u64, u64, u64)>().prop_map(|(hash, life, turn, since_ms)| {
        todo::Entry::Wake {
            hash: NameHash::from_bytes(hash),
            life,
            turn,
            since_ms,
        }
    });
    let streams = parts.prop_map(|(hash, incarnation, leaf, source, (since_ms, join))| {
        let hash = NameHash::from_bytes(hash);
        match join {
            Some(source) => todo::Entry::Join {
                hash,
                incarnation,
                source,
                since_ms,
            },
            None => todo::Entry::Collect {
                hash,
                incarnation,
                leaf,
                source,
                since_ms,
            },
        }
    });
    prop_oneof![streams, wake]
}

fn name_entry() -> impl Strategy<Value = registry::Entry> {
    let parts = ("\\PC{0,40}", life(), any::<u64>(), option::of(any::<u64>()));
    parts.prop_map(|(name, incarnation, since_ms, due_ms)| registry::Entry {
        name,
        incarnation,
        since_ms,
        due_ms,
    })
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![
        Just(State::Confirmed),
        Just(State::Unconfirmed),
        Just(State::Void)
    ]
}

/// Asserts that truncated bytes are refused, and also one extra byte at the end.
pub(super) fn refuses_cut<T: std::fmt::Debug>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, Corrupt>,
) {
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length]).is_err(), "cut to {length}");
    }
    let longer = [bytes, b"\0"].concat();
    assert!(decode(&longer).is_err(), "one byte more");
}

proptest! {
    #[test]
    fn heads_round_trip(head in head()) {
        let record = Record::Live(Box::new(head));
        let bytes = record.encode();
        prop_assert_eq!(Record::decode(&bytes, record.version()), Ok(record.clone()));
        let sealed = Envelope::decode(&record.seal()).unwrap();
        let expected = Envelope { state: State::Confirmed, version: record.version(), body: bytes.into() };
        prop_assert_eq!(sealed, expected);
    }

    #[test]
    fn the_summary_of_a_head_has_its_name_bytes_and_leaf(head in head()) {
        let (name, bytes, leaf) = (head.name.clone(), head.bytes, head.leaf);
        let sealed = Record::Live(Box::new(head)).seal();
        prop_assert_eq!(Summary::read(&sealed), Ok(Some(Summary { name: &name, bytes, leaf })));
    }

    #[test]
    fn a_tombstone_has_no_summary(tombstone in tombstone()) {
        let sealed = Record::Tombstone(tombstone).seal();
        prop_assert_eq!(Summary::read(&sealed), Ok(None));
    }

    /// Stores take a change that shortens a value even if they are full.
    #[test]
    fn the_close_of_a_lapsed_lease_makes_a_head_shorter(
        mut head in head(),
        secs in 1..=86_400_u64,
        renewed_ms in 1_700_000_000_000..1_900_000_000_000_u64,
    ) {
        head.closed = None;
        head.lease = Some(Lease { secs, renewed_ms });
        head.version = head.version.min(u64::MAX - 1);
        let leased = Record::Live(Box::new(head.clone())).seal();
        head.lapse();
        head.version += 1;
        prop_assert!(Record::Live(Box::new(head)).seal().len() < leased.len());
    }

    #[test]
    fn a_head_cut_before_its_inline_tail_is_refused(mut head in head()) {
        head.inline.clear();
        let version = head.version;
        let bytes = Record::Live(Box::new(head)).encode();
        for length in 0..bytes.len() {
            prop_assert_eq!(Record::decode(&bytes[..length], version), Err(Corrupt));
        }
    }

    #[test]
    fn tombstones_round_trip(tombstone in tombstone()) {
        let record = Record::Tombstone(tombstone);
        let bytes = record.encode();
        prop_assert_eq!(Record::decode(&bytes, record.version()), Ok(record.clone()));
        refuses_cut(&bytes, |bytes| Record::decode(bytes, 1));
    }

    #[test]
    fn blocks_round_trip(
        number: u64,
        first: u64,
        segments in vec(segment(), 0..64),
        owners in spans(),
    ) {
        let block = Block { number, first, segments, owners };
        let bytes = index::encode(&block);
        prop_assert_eq!(index::decode(&bytes, number), Ok(block));
        refuses_cut(&bytes, |bytes| index::decode(bytes, number));
    }

    #[test]
    fn debts_round_trip(owed in owed(), in_block: bool) {
        let debt = debt::Debt { owed, in_block };
        let bytes = debt::encode(&debt);
        prop_assert_eq!(debt::decode(&bytes), Ok(debt));
        refuses_cut(&bytes, debt::decode);
    }

    #[test]
    fn to_do_shards_round_trip(entries in vec(todo_entry(), 0..20)) {
        let bytes = todo::encode(&entries);
        prop_assert_eq!(todo::decode(&bytes), Ok(entries));
        // An empty value is an empty shard, so one byte is kept.
        refuses_cut(&bytes[1..], |rest| todo::decode(&[&bytes[..1], rest].concat()));
    }

    #[test]
    fn registry_leaves_round_trip(leaves: u32, open: u32, entries in vec(name_entry(), 0..20)) {
        let leaf = registry::Leaf { leaves, open, entries };
        let bytes = registry::encode(&leaf);
        prop_assert_eq!(registry::decode(&bytes), Ok(leaf));
        refuses_cut(&bytes[1..], |rest| registry::decode(&[&bytes[..1], rest].concat()));
    }

    #[test]
    fn envelopes_round_trip(state in state(), version: u64, body in vec(any::<u8>(), 0..50)) {
        let envelope = Envelope { state, version, body: body.into() };
        prop_assert_eq!(Envelope::decode(&envelope.encode()), Ok(envelope));
    }

    #[test]
    fn arbitrary_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200), kind in 0u8..3) {
        // Also try bytes that begin like a record.
        let likely = [&[kind][..], &bytes].concat();
        for bytes in [&bytes, &likely] {
            let _ = Envelope::decode(bytes);
            let _ = Summary::read(bytes);
            let _ = Record::decode(bytes, 1);
            let _ = index::decode(bytes, 1);
            let _ = debt::decode(bytes);
            let _ = todo::decode(bytes);
            let _ = registry::decode(bytes);
        }
    }

    /// A head with one changed byte is decoded to another value or refused, without a panic.
    #[test]
    fn a_damaged_head_is_read_or_refused(head in head(), at: prop::sample::Index, byte: u8) {
        let mut bytes = Record::Live(Box::new(head)).encode();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = Record::decode(&bytes, u64::MAX);
    }

    #[test]
    fn another_format_version_is_refused(version in 2u8.., body in vec(any::<u8>(), 0..50)) {
        let bytes = [&[version][..], &body].concat();
        prop_assert_eq!(Envelope::decode(&bytes), Err(Corrupt));
        if version > 2 {
            prop_assert_eq!(index::decode(&bytes, 0), Err(Corrupt));
        }
        prop_assert_eq!(debt::decode(&bytes), Err(Corrupt));
    }
}
