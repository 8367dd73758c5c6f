//! Values newer than the log.

use super::cache::Cache;
use crate::store::log::Change;
use crate::store::{ChangeNumber, Seen};
use bytes::Bytes;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Number of locks. Unrelated keys seldom share one.
const SHARDS: usize = 64;

/// The newest values, by key.
pub(super) struct Overlay {
    hasher: RandomState,
    shards: Vec<Mutex<Shard>>,
    pub(super) cache: Cache,
}

/// A part of the keys, behind one lock.
#[derive(Default)]
pub(super) struct Shard {
    /// Values that are not durable. An absent value is a deletion.
    newer: HashMap<Box<str>, Seen>,
    /// The number of the last durable deletion in this shard.
    forgotten: ChangeNumber,
    /// The change number of the last loss. Every durable key counts as changed by it.
    pub(super) floor: ChangeNumber,
}

impl Shard {
    /// The state of the key, if it is newer than the log.
    pub(super) fn seen(&self, key: &str) -> Option<Seen> {
        self.newer.get(key).cloned()
    }

    /// The number of the key's last change, if it is newer than the log.
    pub(super) fn last_change(&self, key: &str) -> Option<ChangeNumber> {
        self.newer.get(key).map(|seen| seen.changed)
    }

    /// The change number of keys that are neither in the overlay nor in the log.
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
        Self {
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            cache: Cache::default(),
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

    /// Removes durable changes that are still the newest of their keys. The log serves them now.
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
            // Fill the cache first. A reader would go to the disk in between otherwise.
            match value {
                Some(value) => self.cache.renew(key.clone(), changed, value),
                None => self.cache.remove(&key),
            }
            shard.newer.remove(&key);
        }
    }

    /// Drops everything newer than the log, while all shards are locked. `floor` is called then,
    /// and returns the change number of every key from then on.
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
