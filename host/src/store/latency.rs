//! A store with added latency: `--inject latency:MS`.

use super::{ChangeNumber, Seen, Store, StoreError, SwapError, pass_on};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// Waits before every operation on another store. The wait blocks the calling instance and its
/// thread, as the stores of Spin do.
pub struct LatencyStore {
    below: Arc<dyn Store>,
    latency: Duration,
}

impl LatencyStore {
    /// Wraps `below`, which keeps all data.
    #[must_use]
    pub const fn new(below: Arc<dyn Store>, latency: Duration) -> Self {
        Self { below, latency }
    }

    /// Waits, then returns the store below.
    fn there(&self) -> &dyn Store {
        std::thread::sleep(self.latency);
        &*self.below
    }
}

impl Store for LatencyStore {
    fn kind(&self) -> &'static str {
        self.below.kind()
    }

    fn is_sure_of_conflicts(&self) -> bool {
        self.below.is_sure_of_conflicts()
    }

    fn guards_creation(&self) -> bool {
        self.below.guards_creation()
    }

    fn describe(&self) -> String {
        format!("{} with latency:{:?}", self.below.describe(), self.latency)
    }

    fn ignores_labels(&self) -> bool {
        self.below.ignores_labels()
    }

    fn get(&self, key: &str) -> Result<Seen, StoreError> {
        self.there().get(key)
    }

    fn read(&self, key: &str) -> Result<Seen, StoreError> {
        self.there().read(key)
    }

    fn get_now(&self, key: &str) -> Result<Option<Seen>, StoreError> {
        self.there().get_now(key)
    }

    fn exists(&self, key: &str) -> Result<(bool, ChangeNumber), StoreError> {
        self.there().exists(key)
    }

    fn set(&self, key: &str, value: Bytes) -> Result<ChangeNumber, StoreError> {
        self.there().set(key, value)
    }

    fn delete(&self, key: &str) -> Result<ChangeNumber, StoreError> {
        self.there().delete(key)
    }

    fn increment(&self, key: &str, delta: i64) -> Result<(i64, ChangeNumber), StoreError> {
        self.there().increment(key, delta)
    }

    fn swap(&self, key: &str, seen: &Seen, value: Bytes) -> Result<ChangeNumber, SwapError> {
        self.there().swap(key, seen, value)
    }

    fn swap_unseen(&self, key: &str, value: Bytes) -> Result<ChangeNumber, SwapError> {
        self.there().swap_unseen(key, value)
    }

    pass_on!(below);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MemoryStore, SpinStore, contract};
    use std::time::Instant;

    #[test]
    fn the_contract_is_kept() {
        let latency = Duration::from_micros(1);
        contract::check_all(
            &|| Arc::new(LatencyStore::new(Arc::new(MemoryStore::new()), latency)),
            &[],
        );
    }

    #[test]
    fn every_operation_takes_at_least_as_long() {
        let latency = Duration::from_millis(5);
        let store = LatencyStore::new(Arc::new(MemoryStore::new()), latency);
        let value = || Bytes::from_static(b"v");
        let absent = store.get("k").expect("the store answers");
        let operations: [&dyn Fn(); 8] = [
            &|| drop(store.get("k")),
            &|| drop(store.get_now("k")),
            &|| drop(store.exists("k")),
            &|| drop(store.swap("k", &absent, value())),
            &|| drop(store.swap_unseen("k", value())),
            &|| drop(store.set("k", value())),
            &|| drop(store.delete("k")),
            &|| drop(store.increment("k", 1)),
        ];
        for (number, operation) in operations.iter().enumerate() {
            let begun = Instant::now();
            operation();
            assert!(begun.elapsed() >= latency, "operation {number}");
        }
    }

    #[test]
    fn the_properties_of_the_wrapped_store_show_through() {
        let below = Arc::new(SpinStore::redis(Arc::new(MemoryStore::new())));
        let store = LatencyStore::new(below, Duration::from_millis(3));
        assert!(store.ignores_labels());
        assert!(store.is_volatile());
        assert_eq!(store.kind(), "spin-redis");
        assert_eq!(store.describe(), "spin-redis with latency:3ms");
    }
}
