//! Every record comes back as it was written, what is no record is refused, and the bytes of
//! version 1 stay what they are.

use super::head::Record;
use super::{Corrupt, Envelope, NameHash, State, debt, index, registry, todo};
use crate::stream::{
    Asked, Block, Closed, ContentType, Expiry, ForkStep, Forks, Head, Incarnation, Lineage, Link,
    Owed, Position, ProducerMark, ProducerState, Ring, Run, Segment, Span, Subscriber, Tombstone,
};
use bytes::Bytes;
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

prop_compose! {
    fn head()(
        name in "\\PC{0,40}",
        incarnation in life(),
        (born, steps) in (0..u64::MAX / 2, vec((any::<u64>(), 0u64..1000), 0..64)),
        (content_type, expiry) in (kind(), expiry()),
        (created_ms, touched_ms, bytes) in any::<(u64, u64, u64)>(),
        closed in option::of(option::of(mark()).prop_map(|by| Closed { by })),
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
        }
    }
}

prop_compose! {
    fn tombstone()(
        name in "\\PC{0,40}",
        incarnation in life(),
        (version, next_segment) in any::<(u64, u64)>(),
        owes in option::of(owed()),
        source in option::of(link()),
    ) -> Tombstone {
        Tombstone { name, incarnation, version, next_segment, owes, source }
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

/// Every beginning of `bytes` that is shorter by at least what may be missing unseen is refused.
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
    fn heads_come_back(head in head()) {
        let record = Record::Live(Box::new(head));
        let bytes = record.encode();
        prop_assert_eq!(Record::decode(&bytes, record.version()), Ok(record.clone()));
        let sealed = Envelope::decode(&record.seal()).unwrap();
        let expected = Envelope { state: State::Confirmed, version: record.version(), body: bytes.into() };
        prop_assert_eq!(sealed, expected);
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
    fn tombstones_come_back(tombstone in tombstone()) {
        let record = Record::Tombstone(tombstone);
        let bytes = record.encode();
        prop_assert_eq!(Record::decode(&bytes, record.version()), Ok(record.clone()));
        refuses_cut(&bytes, |bytes| Record::decode(bytes, 1));
    }

    #[test]
    fn blocks_come_back(
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
    fn debts_come_back(owed in owed(), in_block: bool) {
        let debt = debt::Debt { owed, in_block };
        let bytes = debt::encode(&debt);
        prop_assert_eq!(debt::decode(&bytes), Ok(debt));
        refuses_cut(&bytes, debt::decode);
    }

    #[test]
    fn to_do_shards_come_back(entries in vec(todo_entry(), 0..20)) {
        let bytes = todo::encode(&entries);
        prop_assert_eq!(todo::decode(&bytes), Ok(entries));
        // No bytes at all are an empty shard.
        refuses_cut(&bytes[1..], |rest| todo::decode(&[&bytes[..1], rest].concat()));
    }

    #[test]
    fn registry_leaves_come_back(leaves: u32, open: u32, entries in vec(name_entry(), 0..20)) {
        let leaf = registry::Leaf { leaves, open, entries };
        let bytes = registry::encode(&leaf);
        prop_assert_eq!(registry::decode(&bytes), Ok(leaf));
        refuses_cut(&bytes[1..], |rest| registry::decode(&[&bytes[..1], rest].concat()));
    }

    #[test]
    fn envelopes_come_back(state in state(), version: u64, body in vec(any::<u8>(), 0..50)) {
        let envelope = Envelope { state, version, body: body.into() };
        prop_assert_eq!(Envelope::decode(&envelope.encode()), Ok(envelope));
    }

    #[test]
    fn arbitrary_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200), kind in 0u8..3) {
        // Also such as begin like a record.
        let likely = [&[kind][..], &bytes].concat();
        for bytes in [&bytes, &likely] {
            let _ = Envelope::decode(bytes);
            let _ = Record::decode(bytes, 1);
            let _ = index::decode(bytes, 1);
            let _ = debt::decode(bytes);
            let _ = todo::decode(bytes);
            let _ = registry::decode(bytes);
        }
    }

    /// One byte that is not what it was: read as something else, or refused, but never a panic.
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

/// The bytes in a fixture: hex digits, white space and lines that begin with `#`.
pub(super) fn fixture(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::bytes)
        .filter(u8::is_ascii_hexdigit)
        .collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Compares bytes with a fixture; a mismatch shows what the fixture would have to be.
pub(super) fn assert_golden(name: &str, golden: &str, bytes: &[u8]) {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(fixture(golden) == bytes, "{name} is now\n{hex}\n");
}

macro_rules! golden {
    ($name:literal) => {
        include_str!(concat!("../../tests/fixtures/v1/", $name, ".hex"))
    };
}

pub(super) use golden;

const LIFE: Incarnation =
    Incarnation(*b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff");

fn golden_mark(byte: u8) -> ProducerMark {
    ProducerMark {
        id: [byte; 16],
        epoch: 2,
        seq: (1 << 53) - 1,
    }
}

fn golden_segments() -> Vec<Segment> {
    let segment = |id, length, ends_message| Segment {
        id,
        length,
        ends_message,
    };
    vec![
        segment(0x0123_4567_89ab_cdef, 262_144, false),
        segment(7, 1, true),
    ]
}

/// A head with something in every field.
fn golden_head() -> Head {
    Head {
        name: "rooms/caf\u{e9}".to_owned(),
        incarnation: LIFE,
        version: 305,
        born: 300,
        ring: Ring::of(vec![(0xfedc_ba98_7654_3210, 301), (1, 304)]),
        content_type: ContentType::parse("application/json; charset=utf-8").unwrap(),
        created_ms: 1_767_225_600_000,
        expiry: Expiry::Ttl { secs: 3_600 },
        touched_ms: 1_767_225_600_123,
        closed: Some(Closed {
            by: Some(golden_mark(0xa1)),
        }),
        seq: Some(b"00042".to_vec()),
        producers: vec![
            ProducerState {
                last: golden_mark(0xa1),
                used_ms: 1_767_225_600_123,
            },
            ProducerState {
                last: golden_mark(0xb2),
                used_ms: 5,
            },
        ],
        bytes: 9_000_000_000,
        leaf: Some(3),
        first: 130,
        recent_first: 192,
        recent: golden_segments(),
        inline: b"{\"a\":1},".to_vec(),
        forks: Forks::default(),
        lineage: None,
        subscribers: Vec::new(),
    }
}

/// The smallest head.
fn golden_plain_head() -> Head {
    Head {
        name: "a".to_owned(),
        version: 1,
        born: 1,
        ring: Ring::default(),
        content_type: ContentType::octets(),
        expiry: Expiry::Never,
        closed: None,
        seq: None,
        producers: Vec::new(),
        bytes: 0,
        leaf: None,
        first: 0,
        recent_first: 0,
        recent: Vec::new(),
        inline: Vec::new(),
        ..golden_head()
    }
}

#[test]
fn heads_of_version_1_stay_as_they_are() {
    let at = Head {
        expiry: Expiry::At {
            ms: 1_798_761_600_000,
        },
        closed: Some(Closed { by: None }),
        ..golden_plain_head()
    };
    let step = |byte, step| (Incarnation([byte; 16]), step);
    let forked = Head {
        forks: Forks {
            count: 10_000,
            steps: vec![
                step(1, ForkStep::Joining),
                step(2, ForkStep::Joined),
                step(3, ForkStep::Leaving),
            ],
            deleted: true,
        },
        ..golden_plain_head()
    };
    let fork = Head {
        lineage: Some(Box::new(golden_lineage())),
        ..golden_plain_head()
    };
    let subscribed = Head {
        subscribers: vec![
            Subscriber {
                subscription: *NameHash::of("sub-1").bytes(),
                life: 0x0123_4567_89ab_cdef,
                since: Position::new(300, 9_000),
            },
            Subscriber {
                subscription: [9; 20],
                life: 1,
                since: Position::ZERO,
            },
        ],
        ..golden_plain_head()
    };
    for (name, golden, head) in [
        ("head", golden!("head"), golden_head()),
        ("head_plain", golden!("head_plain"), golden_plain_head()),
        ("head_at", golden!("head_at"), at),
        ("head_forked", golden!("head_forked"), forked),
        ("head_fork", golden!("head_fork"), fork),
        ("head_subscribed", golden!("head_subscribed"), subscribed),
    ] {
        let record = Record::Live(Box::new(head));
        assert_golden(name, golden, &record.seal());
        let envelope = Envelope::decode(&fixture(golden)).unwrap();
        let decoded = Record::decode(&envelope.body, envelope.version).unwrap();
        assert_eq!((&decoded, envelope.state), (&record, State::Confirmed));
        assert_golden(name, golden, &decoded.seal());
    }
}

#[test]
fn tombstones_of_version_1_stay_as_they_are() {
    let paid = Tombstone {
        name: "rooms/caf\u{e9}".to_owned(),
        incarnation: LIFE,
        version: 306,
        next_segment: 195,
        owes: None,
        source: None,
    };
    let fork = Tombstone {
        source: Some(GOLDEN_SOURCE),
        ..paid.clone()
    };
    let owing = Tombstone {
        owes: Some(golden_owed()),
        ..paid.clone()
    };
    for (name, golden, tombstone) in [
        ("tombstone", golden!("tombstone"), paid),
        ("tombstone_owing", golden!("tombstone_owing"), owing),
        ("tombstone_fork", golden!("tombstone_fork"), fork),
    ] {
        let record = Record::Tombstone(tombstone);
        assert_golden(name, golden, &record.seal());
        let envelope = Envelope::decode(&fixture(golden)).unwrap();
        let decoded = Record::decode(&envelope.body, envelope.version).unwrap();
        assert_eq!(decoded, record);
        assert_golden(name, golden, &decoded.seal());
    }
}

const GOLDEN_SOURCE: Link = Link {
    hash: [0x5a; 20],
    incarnation: Incarnation([0xc3; 16]),
};

fn golden_spans() -> Vec<Span> {
    let span = |end, byte| Span {
        end,
        owner: Incarnation([byte; 16]),
    };
    vec![span(131, 4), span(132, 5)]
}

fn golden_lineage() -> Lineage {
    let run = |first_block, byte| Run {
        first_block,
        owner: Incarnation([byte; 16]),
    };
    Lineage {
        source: GOLDEN_SOURCE,
        asked: Asked {
            offset: Some(Position::new(130, 7)),
            sub: 300,
        },
        point: Position::new(131, 9),
        pending: true,
        depth: 2,
        floor: 77,
        runs: vec![run(0, 4), run(1, 5)],
        own_block: 2,
        owners: golden_spans(),
    }
}

fn golden_owed() -> Owed {
    Owed {
        first_block: 2,
        end_block: 300,
        chunks: vec![7, u64::MAX],
    }
}

#[test]
fn blocks_and_debts_of_version_1_stay_as_they_are() {
    let block = Block {
        number: 2,
        first: 130,
        segments: golden_segments(),
        owners: Vec::new(),
    };
    let shared = Block {
        owners: golden_spans(),
        ..block.clone()
    };
    for (name, golden, block) in [
        ("block", golden!("block"), block),
        ("block_shared", golden!("block_shared"), shared),
    ] {
        assert_golden(name, golden, &index::encode(&block));
        assert_eq!(index::decode(&fixture(golden), 2), Ok(block));
    }
    let debt = debt::Debt {
        owed: golden_owed(),
        in_block: true,
    };
    assert_golden("debt", golden!("debt"), &debt::encode(&debt));
    assert_eq!(debt::decode(&fixture(golden!("debt"))), Ok(debt));
}

/// It was read as a block of version 1, whose chunks are all the stream's own.
#[test]
fn a_shared_block_without_owners_is_refused() {
    let own = index::encode(&Block {
        number: 2,
        first: 130,
        segments: golden_segments(),
        owners: Vec::new(),
    });
    let shared = [&[2, 0], &own[1..]].concat();
    assert_eq!(index::decode(&shared, 2), Err(Corrupt));
}

#[test]
fn to_do_shards_and_registry_leaves_of_version_1_stay_as_they_are() {
    let hash = NameHash::of("rooms/caf\u{e9}");
    let entry = |leaf, source| todo::Entry::Collect {
        hash,
        incarnation: LIFE,
        leaf,
        source,
        since_ms: 1_767_225_600_000,
    };
    let entries = vec![entry(Some(300), None), entry(None, None)];
    let join = todo::Entry::Join {
        hash,
        incarnation: LIFE,
        source: GOLDEN_SOURCE,
        since_ms: 1_767_225_600_000,
    };
    let fork_entries = vec![entry(Some(300), Some(GOLDEN_SOURCE)), join];
    let wake_entries = vec![todo::Entry::Wake {
        hash,
        life: 0x0123_4567_89ab_cdef,
        turn: 300,
        since_ms: 1_767_225_600_000,
    }];
    let shard = |state, body: Vec<u8>| Envelope {
        state,
        version: 9,
        body: body.into(),
    };
    for (name, golden, entries) in [
        ("todo", golden!("todo"), entries),
        ("todo_fork", golden!("todo_fork"), fork_entries),
        ("todo_wake", golden!("todo_wake"), wake_entries),
    ] {
        let sealed = shard(State::Confirmed, todo::encode(&entries));
        assert_golden(name, golden, &sealed.encode());
        let body = Envelope::decode(&fixture(golden)).unwrap().body;
        assert_eq!(todo::decode(&body), Ok(entries));
    }

    let entry = |name: &str, due_ms| registry::Entry {
        name: name.to_owned(),
        incarnation: LIFE,
        since_ms: 1_767_225_600_000,
        due_ms,
    };
    let leaf = registry::Leaf {
        leaves: 300,
        open: 1,
        entries: vec![
            entry("rooms/caf\u{e9}", Some(1_767_229_200_000)),
            entry("a", None),
        ],
    };
    let sealed = shard(State::Confirmed, registry::encode(&leaf));
    assert_golden("registry", golden!("registry"), &sealed.encode());
    let body = Envelope::decode(&fixture(golden!("registry")))
        .unwrap()
        .body;
    assert_eq!(registry::decode(&body), Ok(leaf));
}

#[test]
fn envelopes_of_version_1_stay_as_they_are() {
    let of = |state, body: &[u8]| Envelope {
        state,
        version: 300,
        body: Bytes::copy_from_slice(body),
    };
    for (name, golden, envelope) in [
        (
            "unconfirmed",
            golden!("unconfirmed"),
            of(State::Unconfirmed, b"body"),
        ),
        ("void", golden!("void"), of(State::Void, b"")),
    ] {
        assert_golden(name, golden, &envelope.encode());
        assert_eq!(Envelope::decode(&fixture(golden)), Ok(envelope));
    }
}

#[test]
fn names_of_keys_stay_as_they_are() {
    let keys = super::Keys::new("");
    let hash = NameHash::of("rooms/caf\u{e9}");
    let names = [
        keys.head(&hash).key(0),
        keys.head(&hash).gate(1),
        keys.todo(hash.shard()).key(0),
        keys.leaf(hash.shard(), 2).key(0),
        keys.chunk(LIFE, 7),
        keys.block(LIFE, 2),
        keys.debt(LIFE),
        keys.marker(),
        keys.subscription(&NameHash::of("sub-1")).key(0),
        keys.subscriptions().key(0),
        keys.signing().gate(1),
    ];
    let golden = include_str!("../../tests/fixtures/v1/keys.txt")
        .lines()
        .filter(|line| !line.starts_with('#'));
    assert_eq!(
        names.to_vec(),
        golden.collect::<Vec<_>>(),
        "{}",
        names.join("\n")
    );
}
