//! A store for tests of waiting requests. The test decides when writes settle or are lost, and
//! which values are out of memory.

use crate::store::{
    ChangeNumber, Lost, MemoryStore, Seen, Settle, Settling, Store, StoreError, SwapError, Watch,
};
use bytes::Bytes;
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard};

#[derive(Default)]
pub(crate) struct HeldStore {
    memory: MemoryStore,
    settling: Settling,
    /// Keys with values that are not in memory.
    cold: Mutex<HashSet<String>>,
}

impl HeldStore {
    /// Makes every write so far durable.
    pub(crate) fn confirm(&self) {
        self.settling.confirm(self.memory.latest_change());
    }

    /// Makes every write up to this change durable.
    pub(crate) fn confirm_to(&self, change: ChangeNumber) {
        self.settling.confirm(change);
    }

    /// Loses every write that has not settled, and gives this key its earlier value back.
    pub(crate) fn lose(&self, key: &str, before: &'static str, lost: Lost) {
        self.settling.count_loss();
        let last = self.memory.latest_change();
        let restored = self.memory.set(key, Bytes::from(before));
        self.settling.lose(last, lost);
        self.settling.confirm(restored.expect("memory takes it"));
    }

    pub(crate) fn evict(&self, key: &str) {
        self.cold().insert(key.to_owned());
    }

    fn cold(&self) -> MutexGuard<'_, HashSet<String>> {
        self.cold.lock().expect("no test panicked")
    }
}

impl Store for HeldStore {
    fn kind(&self) -> &'static str {
        "held"
    }

    fn guards_creation(&self) -> bool {
        true
    }

    fn is_sure_of_conflicts(&self) -> bool {
        true
    }

    fn get(&self, key: &str) -> Result<Seen, StoreError> {
        self.cold().remove(key);
        self.memory.get(key)
    }

    fn get_now(&self, key: &str) -> Result<Option<Seen>, StoreError> {
        if self.cold().contains(key) {
            return Ok(None);
        }
        self.memory.get(key).map(Some)
    }

    fn set(&self, key: &str, value: Bytes) -> Result<ChangeNumber, StoreError> {
        self.memory.set(key, value)
    }

    fn delete(&self, key: &str) -> Result<ChangeNumber, StoreError> {
        self.memory.delete(key)
    }

    fn increment(&self, key: &str, delta: i64) -> Result<(i64, ChangeNumber), StoreError> {
        self.memory.increment(key, delta)
    }

    fn swap(&self, key: &str, seen: &Seen, value: Bytes) -> Result<ChangeNumber, SwapError> {
        self.memory.swap(key, seen, value)
    }

    fn latest_change(&self) -> ChangeNumber {
        self.memory.latest_change()
    }

    fn last_change(&self, key: &str) -> ChangeNumber {
        self.memory.last_change(key)
    }

    fn watch(&self, key: &str) -> Watch {
        self.memory.watch(key)
    }

    fn settle(&self, change: ChangeNumber) -> Settle {
        self.settling.settle(change)
    }

    fn losses(&self) -> u64 {
        self.settling.losses()
    }
}
