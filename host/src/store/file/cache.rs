//! Cache of log values that are read repeatedly: the heads of busy streams.

use crate::store::{ChangeNumber, Figures};
use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache as Bounded;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Largest number of bytes of all keys and values.
const CACHE_BYTES: u64 = 64 << 20;
/// Longest value that is kept. Larger values are chunks, which are read once or by many readers at
/// a time.
const LONGEST_VALUE: usize = 32 << 10;
/// Bytes that an entry costs besides its key and value.
const ENTRY_BYTES: u64 = 128;
/// Number of keys remembered as read once.
const READ_ONCE: usize = 4096;

/// The values, by key. The cache does not keep values that are read only once, and drops values
/// that are not read for a while. The chunks and the tombstones of short-lived streams would fill
/// it otherwise.
pub(super) struct Cache {
    entries: Bounded<Box<str>, Arc<Entry>, Weight>,
    round: AtomicU32,
    hasher: RandomState,
    /// Hashes of keys that were read. The hash of a key gives its place.
    read_once: Vec<AtomicU64>,
}

struct Entry {
    /// The change that wrote the value.
    sequence: ChangeNumber,
    value: Bytes,
    /// The last round in which the value was read.
    read: AtomicU32,
}

#[derive(Clone)]
struct Weight;

impl Weighter<Box<str>, Arc<Entry>> for Weight {
    fn weight(&self, key: &Box<str>, entry: &Arc<Entry>) -> u64 {
        ENTRY_BYTES + key.len() as u64 + entry.value.len() as u64
    }
}

impl Default for Cache {
    fn default() -> Self {
        // Most values are heads, of a few kilobytes.
        let expected = CACHE_BYTES as usize / 4096;
        Self {
            entries: Bounded::with_weighter(expected, CACHE_BYTES, Weight),
            round: AtomicU32::new(0),
            hasher: RandomState::new(),
            read_once: (0..READ_ONCE).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Cache {
    /// Returns the value of a key, if the cache has the value that this change wrote.
    pub(super) fn get(&self, key: &str, sequence: ChangeNumber) -> Option<Bytes> {
        let entry = self.entries.get(key)?;
        if entry.sequence != sequence {
            return None;
        }
        entry
            .read
            .store(self.round.load(Ordering::Relaxed), Ordering::Relaxed);
        Some(entry.value.clone())
    }

    /// Keeps a value that was read from the log, if its key was read before.
    pub(super) fn keep(&self, key: &str, sequence: ChangeNumber, value: &Bytes) {
        if !self.is_read_again(key) {
            return;
        }
        let round = self.round.load(Ordering::Relaxed);
        self.insert(key.into(), sequence, value.clone(), round);
    }

    /// Replaces the cached value of a key that has another value in the log. A write does not
    /// extend the time that the key stays in the cache.
    pub(super) fn renew(&self, key: Box<str>, sequence: ChangeNumber, value: Bytes) {
        if let Some(known) = self.entries.peek(&key) {
            self.insert(key, sequence, value, known.read.load(Ordering::Relaxed));
        }
    }

    /// Drops a key that has no value any more.
    pub(super) fn remove(&self, key: &str) {
        self.entries.remove(key);
    }

    /// The cache's part of the store's figures.
    pub(super) fn figures(&self) -> Figures {
        Figures {
            cache_bytes: self.entries.weight(),
            cache_hits: self.entries.hits(),
            cache_misses: self.entries.misses(),
            ..Figures::default()
        }
    }

    /// Begins another round. Drops values that were read neither in the last round nor in this one.
    pub(super) fn turn(&self) {
        let last = self.round.fetch_add(1, Ordering::Relaxed);
        self.entries
            .retain(|_, entry| entry.read.load(Ordering::Relaxed) >= last);
    }

    /// Whether this key was read before, as far as the cache remembers.
    fn is_read_again(&self, key: &str) -> bool {
        let hash = self.hasher.hash_one(key);
        let place = self.read_once.get(hash as usize % READ_ONCE);
        place.is_some_and(|place| place.swap(hash, Ordering::Relaxed) == hash)
    }

    fn insert(&self, key: Box<str>, sequence: ChangeNumber, value: Bytes, round: u32) {
        if value.len() > LONGEST_VALUE {
            self.entries.remove(&key);
            return;
        }
        let entry = Entry {
            sequence,
            value,
            read: AtomicU32::new(round),
        };
        self.entries.insert(key, Arc::new(entry));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(length: usize) -> Bytes {
        Bytes::from(vec![7; length])
    }

    fn number(number: u64) -> ChangeNumber {
        ChangeNumber::new(number)
    }

    fn read_twice(cache: &Cache, key: &str, sequence: ChangeNumber) {
        for _ in 0..2 {
            assert_eq!(cache.get(key, sequence), None);
            cache.keep(key, sequence, &value(300));
        }
    }

    /// The chunks of streams that were read to their end and deleted took twice the memory of
    /// everything else.
    #[test]
    fn a_value_read_once_is_not_cached() {
        let cache = Cache::default();
        for number in 0..10_000 {
            cache.keep(&number.to_string(), ChangeNumber::new(1), &value(300));
        }
        assert_eq!(cache.entries.len(), 0);
        read_twice(&cache, "10000", number(1));
        assert_eq!(cache.get("10000", number(1)), Some(value(300)));
    }

    #[test]
    fn read_values_are_kept_up_to_date_and_unread_ones_are_not_cached() {
        let cache = Cache::default();
        cache.renew("written".into(), number(1), value(10));
        assert_eq!(cache.get("written", number(1)), None);
        read_twice(&cache, "read", number(2));
        cache.renew("read".into(), number(3), value(11));
        assert_eq!(cache.get("read", number(2)), None, "of an older change");
        assert_eq!(cache.get("read", number(3)), Some(value(11)));
        cache.renew("read".into(), number(4), value(LONGEST_VALUE + 1));
        assert_eq!(cache.entries.len(), 0, "too long");
    }

    /// In a run of an hour with short-lived streams the cache grew with each stream.
    #[test]
    fn an_unread_value_leaves_the_cache_though_it_is_written() {
        let cache = Cache::default();
        for key in ["tombstone", "written", "read"] {
            read_twice(&cache, key, number(1));
        }
        for round in 2..10 {
            cache.turn();
            cache.renew("written".into(), number(round), value(300));
            assert!(cache.get("read", number(1)).is_some());
        }
        assert_eq!(cache.entries.len(), 1);
    }

    #[test]
    fn a_value_read_once_a_round_stays() {
        let cache = Cache::default();
        read_twice(&cache, "a", number(1));
        for _ in 0..10 {
            cache.turn();
            assert!(cache.get("a", number(1)).is_some());
        }
    }
}
