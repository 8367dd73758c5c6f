//! Facts about streams that a host counts: where a store keeps them, their names and their sizes.

use crate::keys::summary::{self, Summary, Tenure};
use crate::keys::{self, Key, Keys, NameHash};
use crate::limits::SHARDS;

/// Hash of a stream's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StreamHash(NameHash);

impl StreamHash {
    /// Returns the hash of a name.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self(NameHash::of(name))
    }

    /// The shard of the name registry that the name belongs to.
    #[must_use]
    pub fn shard(&self) -> u8 {
        self.0.shard()
    }

    /// The first bytes of the hash, as a number.
    #[must_use]
    pub const fn number(&self) -> usize {
        u32::from_be_bytes(self.0.mark()) as usize
    }
}

/// Keys of streams and of leaves of the name registry, in one namespace.
#[derive(Debug, Clone)]
pub struct StreamKeys {
    namespace: String,
    keys: Keys,
}

impl StreamKeys {
    /// Returns the keys for this value of the variable `key_namespace`.
    #[must_use]
    pub fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            keys: Keys::new(namespace),
        }
    }

    /// Returns the hash of the stream whose record has this key. None for all other keys.
    #[must_use]
    pub fn stream(&self, key: &str) -> Option<StreamHash> {
        let bare = match &*self.namespace {
            "" => key,
            namespace => key.strip_prefix(namespace)?.strip_prefix('.')?,
        };
        if !bare.starts_with("s.") {
            return None;
        }
        match keys::parse(bare)? {
            ("", Key::Head(hash, _)) => Some(StreamHash(hash)),
            _ => None,
        }
    }

    /// The key of a stream's record behind `gate`, and the key of the next gate.
    #[must_use]
    pub fn record(&self, hash: &StreamHash, gate: u32) -> (String, String) {
        let slot = self.keys.head(&hash.0);
        (slot.key(gate), slot.gate(gate.saturating_add(1)))
    }

    /// The key of a leaf of the registry behind `gate`, and the key of the next gate.
    #[must_use]
    pub fn leaf(&self, shard: u8, leaf: u32, gate: u32) -> (String, String) {
        let slot = self.keys.leaf(shard, leaf);
        (slot.key(gate), slot.gate(gate.saturating_add(1)))
    }
}

/// A live stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its bytes, for a fork without the bytes that it shares.
    pub bytes: u64,
    /// Leaf of the name registry that holds the name; none if the name is in no leaf.
    pub leaf: Option<u32>,
}

/// Reads the value of a stream's key. Returns `None` for a stream that does not exist, and for a value
/// that is no record.
#[must_use]
pub fn stream(value: &[u8]) -> Option<Stream<'_>> {
    let Summary { name, bytes, leaf } = Summary::read(value).ok().flatten()?;
    Some(Stream { name, bytes, leaf })
}

/// A change of the lease of a stream's writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseChange {
    /// A stream without a lease got one.
    Begun,
    /// The lease ended with a close by a request, or with the stream.
    Ended,
    /// The lease lapsed, and the server closed the stream.
    Lapsed,
}

/// Returns the change of the lease between two values of a stream's key. None for a renewal, and for a
/// value that is no record.
#[must_use]
pub fn lease_change(before: Option<&[u8]>, after: &[u8]) -> Option<LeaseChange> {
    let tenure = |value| Tenure::read(value).ok();
    let before = before.map_or(Some(Tenure::Free), tenure)?;
    match (before, tenure(after)?) {
        (Tenure::Free | Tenure::Lapsed, Tenure::Leased) => Some(LeaseChange::Begun),
        (Tenure::Leased, Tenure::Free) => Some(LeaseChange::Ended),
        (Tenure::Free | Tenure::Leased, Tenure::Lapsed) => Some(LeaseChange::Lapsed),
        (Tenure::Free | Tenure::Lapsed, Tenure::Free)
        | (Tenure::Leased, Tenure::Leased)
        | (Tenure::Lapsed, Tenure::Lapsed) => None,
    }
}

/// A leaf of the name registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryLeaf {
    /// Number of leaves in the shard; valid in leaf 0 only.
    pub leaves: u32,
    /// Hashes of the names in the leaf. A name may be there although its stream does not exist.
    pub streams: Vec<StreamHash>,
}

/// Reads the value of a leaf's key. Returns `None` for a value that is no leaf.
#[must_use]
pub fn registry_leaf(value: &[u8]) -> Option<RegistryLeaf> {
    let leaf = summary::read_registry(value).ok().flatten()?;
    let names = leaf.entries.iter();
    Some(RegistryLeaf {
        leaves: leaf.leaves,
        streams: names.map(|entry| StreamHash::of(&entry.name)).collect(),
    })
}

/// Shards of the name registry.
pub const REGISTRY_SHARDS: u8 = SHARDS;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::head::Record;
    use crate::keys::{Envelope, State, registry};
    use crate::stream::{Closed, Lease, Reason, test_head};

    #[test]
    fn the_key_of_a_stream_is_known_in_its_namespace_only() {
        let hash = StreamHash::of("a/b");
        for namespace in ["", "ns", "g"] {
            let keys = StreamKeys::new(namespace);
            let (record, gate) = keys.record(&hash, 0);
            assert_eq!(keys.stream(&record), Some(hash), "{record}");
            assert_eq!(keys.stream(&keys.record(&hash, 7).0), Some(hash));
            assert_eq!(keys.stream(&gate), None, "{gate}");
            assert_eq!(keys.stream(&keys.leaf(3, 0, 0).0), None);
            assert_eq!(StreamKeys::new("other").stream(&record), None);
        }
    }

    #[test]
    fn only_confirmed_heads_are_streams() {
        let mut head = test_head();
        (head.bytes, head.leaf) = (7, Some(3));
        let name = head.name.clone();
        let record = Record::Live(Box::new(head));
        let sealed = record.seal();
        let expected = Stream {
            name: &name,
            bytes: 7,
            leaf: Some(3),
        };
        assert_eq!(stream(&sealed), Some(expected));
        for state in [State::Unconfirmed, State::Void] {
            let envelope = Envelope {
                state,
                version: 1,
                body: record.encode().into(),
            };
            assert_eq!(stream(&envelope.encode()), None, "{state:?}");
        }
        assert_eq!(stream(b"damaged"), None);
    }

    #[test]
    fn a_lease_begins_ends_and_lapses_by_two_values_of_a_record() {
        use LeaseChange::{Begun, Ended, Lapsed};
        let seal = |head| Record::Live(Box::new(head)).seal();
        let free = test_head();
        let (mut leased, mut lapsed, mut stopped) = (free.clone(), free.clone(), free.clone());
        leased.lease = Some(Lease {
            secs: 30,
            renewed_ms: 1,
        });
        lapsed.lapse();
        stopped.closed = Some(Closed {
            by: None,
            reason: Reason::parse("stopped").ok(),
        });
        let [free, leased, lapsed, stopped] = [free, leased, lapsed, stopped].map(seal);
        for (before, after, change) in [
            (None, &free, None),
            (None, &leased, Some(Begun)),
            (Some(&*free), &leased, Some(Begun)),
            (Some(&*lapsed), &leased, Some(Begun)),
            (Some(&*leased), &leased, None),
            (Some(&*leased), &free, Some(Ended)),
            (Some(&*leased), &stopped, Some(Ended)),
            (Some(&*leased), &lapsed, Some(Lapsed)),
            (Some(&*lapsed), &lapsed, None),
            (Some(&*lapsed), &free, None),
            (Some(&*free), &stopped, None),
            (Some(b"damaged"), &leased, None),
        ] {
            assert_eq!(lease_change(before, after), change, "{before:?} {after:?}");
        }
    }

    #[test]
    fn a_leaf_lists_the_hashes_of_its_names() {
        let entry = |name: &str| registry::Entry {
            name: name.to_owned(),
            incarnation: test_head().incarnation,
            since_ms: 0,
            due_ms: None,
        };
        let leaf = registry::Leaf {
            leaves: 4,
            open: 1,
            entries: vec![entry("a"), entry("b/c")],
        };
        let envelope = Envelope {
            state: State::Confirmed,
            version: 9,
            body: registry::encode(&leaf).into(),
        };
        let read = registry_leaf(&envelope.encode()).expect("a leaf");
        assert_eq!(read.leaves, 4);
        assert_eq!(read.streams, ["a", "b/c"].map(StreamHash::of));
        assert_eq!(registry_leaf(b""), None);
    }
}
