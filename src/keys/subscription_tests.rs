//! Records of subscriptions survive encoding and decoding, and their bytes never change.

use super::golden_tests::{assert_golden, fixture, golden};
use super::record_tests::refuses_cut;
use super::signing::{self, Retired, Signing};
use super::subscription::Stored;
use super::subscriptions::{self, Entry};
use super::{Envelope, NameHash, State};
use crate::access::Rights;
use crate::limits::{MAX_DESCRIPTION_BYTES, MAX_ID_BYTES, MAX_PATTERN_BYTES, MAX_VALUE_BYTES};
use crate::limits::{MAX_WEBHOOK_URL_BYTES, SUBSCRIPTION_LINKS, SUBSCRIPTION_NAMES_BYTES};
use crate::stream::Position;
use crate::subscription::{Config, Delivery, Glob, Kind, Links, Phase, Subscription, config_hash};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn phase() -> impl Strategy<Value = Phase> {
    prop_oneof![
        Just(Phase::Idle),
        (
            any::<u64>(),
            option::of(any::<u64>()),
            option::of(any::<u64>())
        )
            .prop_map(|(wake, lease_ms, attempt_ms)| Phase::Waking {
                wake,
                lease_ms,
                attempt_ms,
            }),
        (any::<u64>(), "\\PC{0,20}", any::<u64>()).prop_map(|(wake, worker, lease_ms)| {
            Phase::Held {
                wake,
                worker,
                lease_ms,
            }
        }),
    ]
}

fn delivery() -> impl Strategy<Value = Delivery> {
    prop_oneof![
        "\\PC{0,20}".prop_map(|url| Delivery::Webhook { url }),
        "\\PC{0,20}".prop_map(|wake_stream| Delivery::PullWake { wake_stream }),
    ]
}

fn pattern() -> impl Strategy<Value = Glob> {
    "[a-z*]{1,5}(/[a-z*]{1,5}){0,3}".prop_map(|text| Glob::parse(&text).unwrap())
}

fn links() -> impl Strategy<Value = Links> {
    let kind = prop_oneof![Just(Kind::Glob), Just(Kind::Explicit), Just(Kind::Both)];
    let life = option::of(any::<[u8; 8]>());
    vec((any::<[u8; 20]>(), any::<(u64, u64)>(), kind, life), 0..9).prop_map(|all| {
        let mut links = Links::default();
        for (stream, (segment, byte), kind, life) in all {
            let at = Position::new(segment, byte);
            links.add(stream, at, kind, life).unwrap();
        }
        links
    })
}

prop_compose! {
    fn subscription()(
        (id, life, version) in ("\\PC{0,20}", any::<u64>(), any::<u64>()),
        (delivery, pattern) in (delivery(), option::of(pattern())),
        (lease_ttl_ms, description) in (any::<u64>(), option::of("\\PC{0,20}")),
        (config_hash, streams) in (any::<[u8; 32]>(), vec("\\PC{0,20}", 0..4)),
        (read, write, manage, prefix) in (any::<bool>(), any::<bool>(), any::<bool>(), "\\PC{0,9}"),
        (origin, created_ms, commits) in ("\\PC{0,20}", any::<u64>(), vec(any::<u64>(), 0..32)),
        (backfilled, generation, phase) in (any::<bool>(), any::<u64>(), phase()),
        (failures, noted, is_noted) in any::<(u32, u64, bool)>(),
        links in links(),
    ) -> Subscription {
        Subscription {
            id,
            life,
            version,
            config: Config { delivery, pattern, lease_ttl_ms, description },
            config_hash,
            streams,
            rights: Rights { read, write, close: write, manage, prefix },
            origin,
            created_ms,
            commits,
            backfilled,
            generation,
            phase,
            failures,
            noted,
            is_noted,
            links,
        }
    }
}

proptest! {
    #[test]
    fn subscriptions_round_trip(subscription in subscription()) {
        let stored = Stored::Live(Box::new(subscription));
        let bytes = stored.encode();
        prop_assert_eq!(Stored::decode(&bytes, stored.version()), Ok(stored.clone()));
        refuses_cut(&bytes, |bytes| Stored::decode(bytes, 1));
        let envelope = Envelope::decode(&stored.seal()).unwrap();
        prop_assert_eq!((envelope.version, envelope.state), (stored.version(), State::Confirmed));
    }

    #[test]
    fn lists_of_subscriptions_round_trip(subscriptions in vec(subscription(), 0..5)) {
        let entries: Vec<Entry> = subscriptions.iter().map(Entry::of).collect();
        let bytes = subscriptions::encode(&entries);
        prop_assert_eq!(subscriptions::decode(&bytes), Ok(entries.clone()));
        refuses_cut(&bytes[1..], |rest| subscriptions::decode(&[&bytes[..1], rest].concat()));
        // If a subscription wants a stream, its entry must say that it may want it.
        for (subscription, entry) in subscriptions.iter().zip(&entries) {
            for name in subscription.streams.iter().map(String::as_str).chain(["a", "a/b"]) {
                if subscription.wants(name).is_some() {
                    prop_assert!(entry.may_want(name, &NameHash::of(name)));
                }
            }
        }
    }

    #[test]
    fn signing_keys_round_trip(
        (secret, seed) in any::<([u8; 32], [u8; 32])>(),
        retired in vec(any::<([u8; 32], u64, Option<[u8; 4]>)>(), 0..4),
    ) {
        let one = |(public, at_ms, prefix)| Retired { public, at_ms, prefix };
        let mut retired: Vec<Retired> = retired.into_iter().map(one).collect();
        retired.sort_by_key(|one| std::cmp::Reverse(one.at_ms));
        let mut keys = Signing { secret, seed, retired };
        let decoded = signing::decode(&signing::encode(&keys));
        prop_assert_eq!(decoded, Ok(Some(keys.clone())));
        // A missing second list is valid, so it is left out before bytes are cut.
        keys.retired.retain(|one| one.prefix.is_none());
        let bytes = signing::encode(&keys);
        refuses_cut(&bytes[1..], |rest| signing::decode(&[&bytes[..1], rest].concat()));
    }

    #[test]
    fn arbitrary_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200), kind in 0u8..3) {
        let likely = [&[kind][..], &bytes].concat();
        for bytes in [&bytes, &likely] {
            let _ = Stored::decode(bytes, 1);
            let _ = subscriptions::decode(bytes);
            let _ = signing::decode(bytes);
        }
    }

    #[test]
    fn a_damaged_subscription_is_read_or_refused(
        subscription in subscription(),
        at: prop::sample::Index,
        byte: u8,
    ) {
        let mut bytes = Stored::Live(Box::new(subscription)).encode();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = Stored::decode(&bytes, 1);
    }
}

fn golden_subscription(delivery: Delivery, phase: Phase) -> Subscription {
    let config = Config {
        delivery,
        pattern: Some(Glob::parse("events/*").unwrap()),
        lease_ttl_ms: 30_000,
        description: Some("event processor".to_owned()),
    };
    let streams = vec!["rooms/caf\u{e9}".to_owned()];
    let mut links = Links::default();
    for (name, kind) in [("events/a", Kind::Glob), ("events/b", Kind::Both)] {
        let stream = *NameHash::of(name).bytes();
        links
            .add(stream, Position::new(300, 42), kind, None)
            .unwrap();
    }
    let named = *NameHash::of(&streams[0]).bytes();
    links
        .add(named, Position::ZERO, Kind::Explicit, None)
        .unwrap();
    Subscription {
        id: "sub-1".to_owned(),
        life: 0x0123_4567_89ab_cdef,
        version: 300,
        config_hash: config_hash(&config, &streams),
        config,
        streams,
        rights: Rights {
            prefix: "events".to_owned(),
            ..Rights::all()
        },
        origin: "https://streams.example".to_owned(),
        created_ms: 1_767_225_600_000,
        commits: vec![1, 0xfedc_ba98_7654_3210],
        backfilled: true,
        generation: 7,
        phase,
        failures: 3,
        noted: 300,
        is_noted: true,
        links,
    }
}

#[test]
fn records_of_version_1_stay_as_they_are() {
    let webhook = golden_subscription(
        Delivery::Webhook {
            url: "https://worker.example/hooks".to_owned(),
        },
        Phase::Waking {
            wake: 255,
            lease_ms: None,
            attempt_ms: Some(1_767_225_600_000),
        },
    );
    let pull = golden_subscription(
        Delivery::PullWake {
            wake_stream: "wake/pool".to_owned(),
        },
        Phase::Held {
            wake: 255,
            worker: "worker-1".to_owned(),
            lease_ms: 1_767_225_600_000,
        },
    );
    let entries = vec![Entry::of(&webhook), Entry::of(&pull)];
    let mut lives = pull.clone();
    for name in ["events/a", "events/b", "events/c"] {
        let (stream, at) = (*NameHash::of(name).bytes(), Position::new(300, 43));
        let life = Some(*b"\x00\x11\x22\x33\x44\x55\x66\x77");
        lives.links.add(stream, at, Kind::Glob, life).unwrap();
    }
    let deleted = Stored::Deleted {
        id: "sub-1".to_owned(),
        life: 0x0123_4567_89ab_cdef,
        version: 301,
    };
    for (name, golden, stored) in [
        (
            "subscription_webhook",
            golden!("subscription_webhook"),
            Stored::Live(Box::new(webhook)),
        ),
        (
            "subscription_pull",
            golden!("subscription_pull"),
            Stored::Live(Box::new(pull)),
        ),
        (
            "subscription_lives",
            golden!("subscription_lives"),
            Stored::Live(Box::new(lives)),
        ),
        (
            "subscription_deleted",
            golden!("subscription_deleted"),
            deleted,
        ),
    ] {
        assert_golden(name, golden, &stored.seal());
        let envelope = Envelope::decode(&fixture(golden)).unwrap();
        let decoded = Stored::decode(&envelope.body, envelope.version);
        assert_eq!(decoded, Ok(stored));
    }
    let golden = golden!("subscriptions");
    assert_golden("subscriptions", golden, &subscriptions::encode(&entries));
    assert_eq!(subscriptions::decode(&fixture(golden)), Ok(entries));
    let keys = Signing {
        secret: [7; 32],
        seed: [9; 32],
        retired: vec![Retired {
            public: [5; 32],
            at_ms: 1_767_225_600_000,
            prefix: None,
        }],
    };
    let golden = golden!("signing");
    assert_golden("signing", golden, &signing::encode(&keys));
    assert_eq!(signing::decode(&fixture(golden)), Ok(Some(keys)));
}

#[test]
fn the_largest_subscription_is_one_value() {
    let text = |bytes| "x".repeat(bytes);
    let mut links = Links::default();
    for number in 0..SUBSCRIPTION_LINKS as u32 {
        let mut stream = [0xff; 20];
        stream[..4].copy_from_slice(&number.to_be_bytes());
        let far = Position::new((1 << 53) - 1, 1 << 20);
        links.add(stream, far, Kind::Both, Some([0xff; 8])).unwrap();
    }
    let largest = Subscription {
        id: text(MAX_ID_BYTES),
        config: Config {
            delivery: Delivery::Webhook {
                url: text(MAX_WEBHOOK_URL_BYTES),
            },
            pattern: Some(Glob::parse(&text(MAX_PATTERN_BYTES)).unwrap()),
            lease_ttl_ms: u64::MAX,
            description: Some(text(MAX_DESCRIPTION_BYTES)),
        },
        // The shortest names give the largest number of names.
        streams: vec![text(8); SUBSCRIPTION_NAMES_BYTES / 8],
        origin: text(16 * 1024),
        commits: vec![u64::MAX; 32],
        links,
        ..golden_subscription(
            Delivery::Webhook { url: String::new() },
            Phase::Held {
                wake: u64::MAX,
                worker: text(MAX_ID_BYTES),
                lease_ms: u64::MAX,
            },
        )
    };
    let bytes = Stored::Live(Box::new(largest)).seal().len();
    assert!(bytes <= MAX_VALUE_BYTES, "{bytes}");
}
