//! Values that are newer than the log, and the small ones that are used most.

use crate::store::log::Change;
use crate::store::{ChangeNumber, Seen};
use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks that unrelated keys seldom share.
const SHARDS: usize = 64;
/// Bytes of all cached keys and values.
const CACHE_BYTES: u64 = 64 << 20;
/// Larger values are not cached: they are chunks, which are read once or by many at a time.
const CACHED_BYTES: usize = 32 << 10;
/// A value of less than this part of the one before has ended.
const SHRUNK: usize = 4;
/// Bytes that an entry costs besides.
const ENTRY_BYTES: u64 = 128;

/// The newest values, by key.
pub(super) struct Overlay {
    hasher: RandomState,
    shards: Vec<Mutex<Shard>>,
    cache: Cache<Box<str>, (ChangeNumber, Bytes), Weight>,
}

#[derive(Clone)]
struct Weight;

impl Weighter<Box<str>, (ChangeNumber, Bytes)> for Weight {
    fn weight(&self, key: &Box<str>, (_, value): &(ChangeNumber, Bytes)) -> u64 {
        ENTRY_BYTES + key.len() as u64 + value.len() as u64
    }
}

/// Some of the keys.
#[derive(Default)]
pub(super) struct Shard {
    /// What is not durable; an absent value is a deletion.
    newer: HashMap<Box<str>, Seen>,
    /// The number of the last deletion that became durable here.
    forgotten: ChangeNumber,
    /// Every key that is durable counts as changed by this one: the last loss.
    pub(super) floor: ChangeNumber,
}

impl Shard {
    /// The key, if it is newer than the log.
    pub(super) fn seen(&self, key: &str) -> Option<Seen> {
        self.newer.get(key).cloned()
    }

    /// The number of its last change, if it is newer than the log.
    pub(super) fn last_change(&self, key: &str) -> Option<ChangeNumber> {
        self.newer.get(key).map(|seen| seen.changed)
    }

    /// The number of keys that are neither here nor in the log.
    pub(super) fn absent(&self) -> ChangeNumber {
        self.forgotten.max(self.floor)
    }

    pub(super) fn write(&mut self, key: &str, value: Option<Bytes>, changed: ChangeNumber) {
        let seen = Seen { value, changed };
        match self.newer.get_mut(key) {
            Some(place) => *place = seen,
            None => {
                self.newer.insert(key.into(), seen);
            }
        }
    }
}

impl Default for Overlay {
    fn default() -> Self {
        // What is cached are heads, of a few kilobytes.
        let expected = CACHE_BYTES as usize / 4096;
        Self {
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            cache: Cache::with_weighter(expected, CACHE_BYTES, Weight),
        }
    }
}

impl Overlay {
    pub(super) fn shard(&self, key: &str) -> MutexGuard<'_, Shard> {
        let shard = self.hasher.hash_one(key) as usize % self.shards.len();
        self.shards[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of a key in the log, if it is cached as of this change.
    pub(super) fn cached(&self, key: &str, sequence: ChangeNumber) -> Option<Bytes> {
        let (known, value) = self.cache.get(key)?;
        (known == sequence).then_some(value)
    }

    pub(super) fn cache(&self, key: &str, sequence: ChangeNumber, value: &Bytes) {
        if value.len() <= CACHED_BYTES {
            self.cache.insert(key.into(), (sequence, value.clone()));
        }
    }

    /// Whether a value is to be cached as soon as it is durable: that of a key which was read. One
    /// that shrank to a small part is the end of something, a tail that was sealed or a stream that
    /// was deleted: the tombstones of streams that come and go would fill the cache.
    fn is_used(&self, key: &str, value: &Bytes) -> bool {
        let known = self.cache.peek(key);
        let goes_on = |known: &Bytes| value.len() >= known.len() / SHRUNK;
        value.len() <= CACHED_BYTES && known.is_some_and(|(_, known)| goes_on(&known))
    }

    /// Changes are durable: what is still the newest is left to the log.
    pub(super) fn clean(&self, changes: Vec<Change>) {
        for Change {
            key,
            value,
            sequence: changed,
        } in changes
        {
            let mut shard = self.shard(&key);
            if value.is_none() {
                shard.forgotten = shard.forgotten.max(changed);
            }
            if shard.last_change(&key) != Some(changed) {
                continue;
            }
            // First the cache: between the two a reader would go to the disk.
            match value {
                Some(value) if self.is_used(&key, &value) => {
                    self.cache.insert(key.clone(), (changed, value));
                }
                _ => {
                    self.cache.remove(&key);
                }
            }
            shard.newer.remove(&key);
        }
    }

    /// Drops everything that is newer than the log, while nobody can read or write. `floor` is
    /// called then, and says as which change every key counts as changed.
    pub(super) fn drop_newer(&self, floor: impl FnOnce() -> ChangeNumber) {
        let lock = |shard| Mutex::lock(shard).unwrap_or_else(PoisonError::into_inner);
        let mut shards: Vec<_> = self.shards.iter().map(lock).collect();
        let floor = floor();
        for shard in &mut shards {
            shard.newer = HashMap::new();
            shard.floor = floor;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes values of these lengths under one key, and reads it between where that is asked for.
    fn cached_after(lengths: &[usize], read_first: bool) -> bool {
        let overlay = Overlay::default();
        for (number, length) in (1..).zip(lengths) {
            let value = Bytes::from(vec![7; *length]);
            let changed = ChangeNumber::new(number);
            if number == 1 && read_first {
                overlay.cache("key", changed, &value);
            }
            overlay
                .shard("key")
                .write("key", Some(value.clone()), changed);
            overlay.clean(vec![Change {
                key: "key".into(),
                value: Some(value),
                sequence: changed,
            }]);
        }
        let last = ChangeNumber::new(lengths.len() as u64);
        overlay.cached("key", last).is_some()
    }

    #[test]
    fn what_is_read_is_cached_and_what_is_only_written_is_not() {
        assert!(cached_after(&[1000, 1256, 1512], true));
        assert!(!cached_after(&[1000, 1256, 1512], false));
        assert!(!cached_after(&[1000, CACHED_BYTES + 1], true));
    }

    #[test]
    fn tombstones_of_streams_that_come_and_go_do_not_fill_the_cache() {
        assert!(!cached_after(&[9000, 90], true));
        // It is cached again when it is read again.
        assert!(!cached_after(&[9000, 90, 346], true));
    }
}
