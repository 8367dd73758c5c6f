//! A store in memory: nothing survives a restart.

use super::{ChangeNumber, Seen, Store, StoreError, SwapError, Watch, Watchers, counter};
use bytes::Bytes;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Number of locks. Unrelated keys seldom share one.
const SHARDS: usize = 64;

/// Keys and values in hash maps, each behind its own lock.
///
/// The version of a key is the number of its last change, so no two writes share a version. For
/// deleted keys each shard keeps only the highest number, which stands for all of them.
pub struct MemoryStore {
    hasher: RandomState,
    shards: Vec<Mutex<Shard>>,
    latest: AtomicU64,
    watchers: Watchers,
}

#[derive(Default)]
struct Shard {
    entries: HashMap<Box<str>, Entry>,
    /// The number of the last deletion in this shard.
    forgotten: ChangeNumber,
}

struct Entry {
    value: Bytes,
    changed: ChangeNumber,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            latest: AtomicU64::new(0),
            watchers: Watchers::default(),
        }
    }
}

impl Shard {
    fn seen(&self, key: &str) -> Seen {
        let entry = self.entries.get(key);
        Seen {
            value: entry.map(|entry| entry.value.clone()),
            changed: entry.map_or(self.forgotten, |entry| entry.changed),
        }
    }

    fn last_change(&self, key: &str) -> ChangeNumber {
        match self.entries.get(key) {
            Some(entry) => entry.changed,
            None => self.forgotten,
        }
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn shard(&self, key: &str) -> MutexGuard<'_, Shard> {
        let shard = self.hasher.hash_one(key) as usize % self.shards.len();
        self.shards[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next number. The caller holds the lock of the changing key's shard. A reader that
    /// notes a number and then reads the old value must later find a higher number on the key.
    fn next_change(&self) -> ChangeNumber {
        let before = self.latest.fetch_add(1, Ordering::SeqCst);
        ChangeNumber::new(before.wrapping_add(1))
    }

    fn write(&self, shard: &mut Shard, key: &str, value: Bytes) -> ChangeNumber {
        let changed = self.next_change();
        if let Some(entry) = shard.entries.get_mut(key) {
            *entry = Entry { value, changed };
        } else {
            shard.entries.insert(key.into(), Entry { value, changed });
        }
        changed
    }
}

impl Store for MemoryStore {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn guards_creation(&self) -> bool {
        true
    }

    fn is_sure_of_conflicts(&self) -> bool {
        true
    }

    fn is_volatile(&self) -> bool {
        true
    }

    fn get(&self, key: &str) -> Result<Seen, StoreError> {
        Ok(self.shard(key).seen(key))
    }

    fn set(&self, key: &str, value: Bytes) -> Result<ChangeNumber, StoreError> {
        let changed = self.write(&mut self.shard(key), key, value);
        self.watchers.notify(key);
        Ok(changed)
    }

    fn delete(&self, key: &str) -> Result<ChangeNumber, StoreError> {
        let mut shard = self.shard(key);
        if shard.entries.remove(key).is_none() {
            return Ok(shard.forgotten);
        }
        let changed = self.next_change();
        shard.forgotten = changed;
        drop(shard);
        self.watchers.notify(key);
        Ok(changed)
    }

    fn increment(&self, key: &str, delta: i64) -> Result<(i64, ChangeNumber), StoreError> {
        let mut shard = self.shard(key);
        let before = shard.entries.get(key).map(|entry| &entry.value);
        let (sum, value) = counter::add(before, delta)?;
        let changed = self.write(&mut shard, key, value);
        drop(shard);
        self.watchers.notify(key);
        Ok((sum, changed))
    }

    fn swap(&self, key: &str, seen: &Seen, value: Bytes) -> Result<ChangeNumber, SwapError> {
        let mut shard = self.shard(key);
        // For an absent key this is the shard's number, so the deletion of another key may make the
        // swap fail. If this key was created and deleted in between, the swap always fails.
        if shard.last_change(key) != seen.changed {
            return Err(SwapError::Conflict);
        }
        let changed = self.write(&mut shard, key, value);
        drop(shard);
        self.watchers.notify(key);
        Ok(changed)
    }

    fn latest_change(&self) -> ChangeNumber {
        ChangeNumber::new(self.latest.load(Ordering::SeqCst))
    }

    fn last_change(&self, key: &str) -> ChangeNumber {
        self.shard(key).last_change(key)
    }

    fn watch(&self, key: &str) -> Watch {
        self.watchers.watch(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract;
    use std::sync::Arc;

    #[test]
    fn the_memory_store_keeps_the_contract() {
        contract::check_all(&|| Arc::new(MemoryStore::new()), &[]);
    }

    #[test]
    fn nothing_is_kept_of_keys_that_are_gone() -> Result<(), StoreError> {
        let store = MemoryStore::new();
        for number in 0..10_000 {
            let key = format!("gone.{number}");
            store.set(&key, Bytes::from_static(b"value"))?;
            drop(store.watch(&key));
            store.delete(&key)?;
        }
        let left: usize = (0..SHARDS)
            .filter_map(|shard| store.shards[shard].lock().ok())
            .map(|shard| shard.entries.len())
            .sum();
        assert_eq!(left, 0);
        assert_eq!(store.watchers.watched_keys(), 0);
        Ok(())
    }
}
