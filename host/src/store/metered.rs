//! A store whose calls are counted, for `/metrics`.

use super::{ChangeNumber, Seen, Store, StoreError, SwapError, pass_on};
use crate::meters::{StoreCall, StoreMeters, StoreResult};
use bytes::Bytes;
use durable_streams_edge::seam::streams::{StreamKeys, lease_change};
use std::sync::Arc;

/// Counts the calls of another store, and the leases that its swaps begin and end.
pub(crate) struct MeteredStore {
    below: Arc<dyn Store>,
    keys: StreamKeys,
    meters: StoreMeters,
}

impl MeteredStore {
    /// Wraps `below`, which keeps all data. `keys` are those of its streams.
    pub(crate) fn new(below: Arc<dyn Store>, keys: StreamKeys, meters: StoreMeters) -> Self {
        Self {
            below,
            keys,
            meters,
        }
    }

    fn count<T>(
        &self,
        call: StoreCall,
        run: impl FnOnce(&dyn Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let result = |result: &Result<T, StoreError>| match result {
            Ok(_) => StoreResult::Ok,
            Err(error) => of_error(error),
        };
        self.meters.count(call, result, || run(&*self.below))
    }

    fn count_swap(
        &self,
        key: &str,
        seen: &Seen,
        value: Bytes,
        swap: impl FnOnce(&dyn Store, Bytes) -> Result<ChangeNumber, SwapError>,
    ) -> Result<ChangeNumber, SwapError> {
        // The few records with a lease are found before their key is looked at.
        let change = lease_change(seen.value.as_deref(), &value);
        let change = change.filter(|_| self.keys.stream(key).is_some());
        let swapped = self.count_call(|store| swap(store, value));
        if let (Ok(_), Some(change)) = (&swapped, change) {
            self.meters.lease(change);
        }
        swapped
    }

    fn count_call(
        &self,
        run: impl FnOnce(&dyn Store) -> Result<ChangeNumber, SwapError>,
    ) -> Result<ChangeNumber, SwapError> {
        let result = |result: &Result<ChangeNumber, SwapError>| match result {
            Ok(_) => StoreResult::Ok,
            Err(SwapError::Conflict) => StoreResult::Conflict,
            Err(SwapError::Store(error)) => of_error(error),
        };
        let run = || run(&*self.below);
        self.meters.count(StoreCall::Swap, result, run)
    }
}

const fn of_error(error: &StoreError) -> StoreResult {
    match error {
        StoreError::Unavailable(_) => StoreResult::Unavailable,
        StoreError::Full(_) => StoreResult::Full,
        StoreError::Refused(_) => StoreResult::Refused,
        StoreError::Damaged(_) => StoreResult::Damaged,
        StoreError::Other(_) => StoreResult::Other,
    }
}

impl Store for MeteredStore {
    fn kind(&self) -> &'static str {
        self.below.kind()
    }

    fn describe(&self) -> String {
        self.below.describe()
    }

    fn guards_creation(&self) -> bool {
        self.below.guards_creation()
    }

    fn is_sure_of_conflicts(&self) -> bool {
        self.below.is_sure_of_conflicts()
    }

    fn ignores_labels(&self) -> bool {
        self.below.ignores_labels()
    }

    fn get(&self, key: &str) -> Result<Seen, StoreError> {
        self.count(StoreCall::Get, |store| store.get(key))
    }

    fn get_now(&self, key: &str) -> Result<Option<Seen>, StoreError> {
        self.count(StoreCall::Get, |store| store.get_now(key))
    }

    fn read(&self, key: &str) -> Result<Seen, StoreError> {
        self.count(StoreCall::Get, |store| store.read(key))
    }

    fn exists(&self, key: &str) -> Result<(bool, ChangeNumber), StoreError> {
        self.count(StoreCall::Exists, |store| store.exists(key))
    }

    fn set(&self, key: &str, value: Bytes) -> Result<ChangeNumber, StoreError> {
        self.count(StoreCall::Set, |store| store.set(key, value))
    }

    fn delete(&self, key: &str) -> Result<ChangeNumber, StoreError> {
        self.count(StoreCall::Delete, |store| store.delete(key))
    }

    fn write_since(
        &self,
        losses: u64,
        key: &str,
        value: Option<Bytes>,
    ) -> Result<ChangeNumber, StoreError> {
        let call = match value {
            Some(_) => StoreCall::Set,
            None => StoreCall::Delete,
        };
        self.count(call, |store| store.write_since(losses, key, value))
    }

    fn increment(&self, key: &str, delta: i64) -> Result<(i64, ChangeNumber), StoreError> {
        self.count(StoreCall::Increment, |store| store.increment(key, delta))
    }

    fn swap(&self, key: &str, seen: &Seen, value: Bytes) -> Result<ChangeNumber, SwapError> {
        self.count_swap(key, seen, value, |store, value| {
            store.swap(key, seen, value)
        })
    }

    fn swap_since(
        &self,
        losses: u64,
        key: &str,
        seen: &Seen,
        value: Bytes,
    ) -> Result<ChangeNumber, SwapError> {
        self.count_swap(key, seen, value, |store, value| {
            store.swap_since(losses, key, seen, value)
        })
    }

    fn swap_unseen(&self, key: &str, value: Bytes) -> Result<ChangeNumber, SwapError> {
        self.count_call(|store| store.swap_unseen(key, value))
    }

    pass_on!(below);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meters::Meters;
    use crate::store::{MemoryStore, SpinStore, contract};

    fn metered(below: Arc<dyn Store>, meters: &Meters) -> Arc<MeteredStore> {
        let meters = StoreMeters::new(meters, true);
        Arc::new(MeteredStore::new(below, StreamKeys::new(""), meters))
    }

    #[test]
    fn the_contract_is_kept() {
        let meters = Meters::new();
        let store = || metered(Arc::new(MemoryStore::new()), &meters) as Arc<dyn Store>;
        contract::check_all(&store, &[]);
    }

    #[test]
    fn calls_are_counted_by_their_kind_and_result() {
        let meters = Meters::new();
        let store = metered(Arc::new(MemoryStore::new()), &meters);
        let value = || Bytes::from_static(b"v");
        let absent = store.get("k").expect("the store answers");
        assert!(store.swap("k", &absent, value()).is_ok());
        assert!(store.swap("k", &absent, value()).is_err());
        assert!(store.write_since(0, "k", Some(value())).is_ok());
        assert!(store.write_since(1, "k", None).is_err());
        let text = meters.render();
        for (call, result, count) in [
            ("get", "ok", 1),
            ("swap", "ok", 1),
            ("swap", "conflict", 1),
            ("set", "ok", 1),
            ("delete", "unavailable", 1),
            ("delete", "ok", 0),
        ] {
            let labels = format!("call=\"{call}\",result=\"{result}\"");
            let line = format!("durable_streams_store_calls_total{{{labels}}} {count}\n");
            assert!(text.contains(&line), "{line}: {text}");
        }
    }

    #[test]
    fn the_properties_of_the_wrapped_store_show_through() {
        let below = Arc::new(SpinStore::redis(Arc::new(MemoryStore::new())));
        let store = metered(below, &Meters::new());
        assert!(store.ignores_labels());
        assert!(!store.is_sure_of_conflicts());
        assert!(!store.guards_creation());
        assert!(store.is_volatile());
        assert_eq!(store.describe(), "spin-redis");
    }
}
