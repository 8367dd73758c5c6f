//! Golden tests: the bytes of version 1 never change. `tests/fixtures/v1` has a file for each kind
//! of record. A failing test prints the bytes that it found, which are the content for a new
//! fixture. An existing fixture never changes, or stores of older builds could not be read.

use super::head::Record;
use super::{Corrupt, Envelope, NameHash, State, debt, index, registry, todo};
use crate::stream::{
    Asked, Block, Closed, ContentType, Era, Expiry, ForkStep, Forks, Head, Incarnation, Lease,
    Lineage, Link, Owed, Position, ProducerMark, ProducerState, Reason, Ring, Run, Segment, Span,
    Subscriber, Timelines, Tombstone,
};
use bytes::Bytes;

/// Reads the bytes of a fixture: hex digits, white space and comment lines with `#`.
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

/// Compares bytes with a fixture. A mismatch prints the content that a new fixture needs.
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

/// A head with a value in every field.
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
            reason: None,
        }),
        lease: None,
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
        timelines: Timelines::default(),
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
        closed: Some(Closed {
            by: None,
            reason: None,
        }),
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
    let restored = Head {
        timelines: Timelines::of(vec![
            Era {
                first: 3,
                timeline: 1,
            },
            Era {
                first: 130,
                timeline: 480_000,
            },
        ])
        .unwrap(),
        ..subscribed.clone()
    };
    let leased = Head {
        lease: Some(Lease {
            secs: 10,
            renewed_ms: 1_767_225_600_456,
        }),
        ..restored.clone()
    };
    let mut lapsed = leased.clone();
    lapsed.lapse();
    let stopped = Head {
        closed: Some(Closed {
            by: Some(golden_mark(0xa1)),
            reason: Reason::parse("stopped").ok(),
        }),
        ..golden_plain_head()
    };
    for (name, golden, head) in [
        ("head", golden!("head"), golden_head()),
        ("head_plain", golden!("head_plain"), golden_plain_head()),
        ("head_at", golden!("head_at"), at),
        ("head_forked", golden!("head_forked"), forked),
        ("head_fork", golden!("head_fork"), fork),
        ("head_subscribed", golden!("head_subscribed"), subscribed),
        ("head_timelines", golden!("head_timelines"), restored),
        ("head_leased", golden!("head_leased"), leased),
        ("head_lapsed", golden!("head_lapsed"), lapsed),
        ("head_stopped", golden!("head_stopped"), stopped),
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
        timeline: 0,
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
    let restored = Tombstone {
        timeline: 480_000,
        ..fork.clone()
    };
    for (name, golden, tombstone) in [
        ("tombstone", golden!("tombstone"), paid),
        ("tombstone_owing", golden!("tombstone_owing"), owing),
        ("tombstone_fork", golden!("tombstone_fork"), fork),
        (
            "tombstone_timeline",
            golden!("tombstone_timeline"),
            restored,
        ),
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

/// An earlier decoder read such a block as version 1, as if the stream owned all its chunks.
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
