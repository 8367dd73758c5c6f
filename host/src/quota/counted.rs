//! The store of all instances, with the streams and bytes of its swaps counted.

use super::counter::Counter;
use crate::store::{ChangeNumber, Seen, Store, StoreError, SwapError, pass_on};
use bytes::Bytes;
use std::sync::Arc;

/// Counts the swaps of another store.
pub(super) struct CountedStore {
    below: Arc<dyn Store>,
    counter: Arc<Counter>,
}

impl CountedStore {
    /// Wraps `below`, which keeps all data.
    pub(super) fn new(below: Arc<dyn Store>, counter: Arc<Counter>) -> Self {
        Self { below, counter }
    }

    fn count(
        &self,
        key: &str,
        seen: &Seen,
        value: Bytes,
        swap: impl FnOnce(Bytes) -> Result<ChangeNumber, SwapError>,
    ) -> Result<ChangeNumber, SwapError> {
        let Some(hash) = self.counter.stream(key) else {
            return swap(value);
        };
        let _begun = self.counter.begin(&hash);
        let swapped = swap(value.clone());
        match &swapped {
            Ok(_) => self.counter.swapped(&hash, seen.value.as_deref(), &value),
            Err(SwapError::Conflict) if self.below.is_sure_of_conflicts() => {}
            Err(SwapError::Conflict | SwapError::Store(StoreError::Unavailable(_))) => {
                self.counter.doubt();
            }
            Err(SwapError::Store(_)) => {}
        }
        swapped
    }

    /// Notes a write of a stream's record that is no swap. Instances make none.
    fn doubt(&self, key: &str) {
        if self.counter.stream(key).is_some() {
            self.counter.doubt();
        }
    }
}

impl Store for CountedStore {
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
        self.below.get(key)
    }

    fn get_now(&self, key: &str) -> Result<Option<Seen>, StoreError> {
        self.below.get_now(key)
    }

    fn read(&self, key: &str) -> Result<Seen, StoreError> {
        self.below.read(key)
    }

    fn exists(&self, key: &str) -> Result<(bool, ChangeNumber), StoreError> {
        self.below.exists(key)
    }

    fn set(&self, key: &str, value: Bytes) -> Result<ChangeNumber, StoreError> {
        let written = self.below.set(key, value);
        self.doubt(key);
        written
    }

    fn delete(&self, key: &str) -> Result<ChangeNumber, StoreError> {
        let deleted = self.below.delete(key);
        self.doubt(key);
        deleted
    }

    fn write_since(
        &self,
        losses: u64,
        key: &str,
        value: Option<Bytes>,
    ) -> Result<ChangeNumber, StoreError> {
        let written = self.below.write_since(losses, key, value);
        self.doubt(key);
        written
    }

    fn increment(&self, key: &str, delta: i64) -> Result<(i64, ChangeNumber), StoreError> {
        self.below.increment(key, delta)
    }

    fn swap(&self, key: &str, seen: &Seen, value: Bytes) -> Result<ChangeNumber, SwapError> {
        self.count(key, seen, value, |value| self.below.swap(key, seen, value))
    }

    fn swap_since(
        &self,
        losses: u64,
        key: &str,
        seen: &Seen,
        value: Bytes,
    ) -> Result<ChangeNumber, SwapError> {
        self.count(key, seen, value, |value| {
            self.below.swap_since(losses, key, seen, value)
        })
    }

    fn swap_unseen(&self, key: &str, value: Bytes) -> Result<ChangeNumber, SwapError> {
        let swapped = self.below.swap_unseen(key, value);
        self.doubt(key);
        swapped
    }

    pass_on!(below);
}

#[cfg(test)]
mod tests {
    use super::super::rules::tests::rules;
    use super::*;
    use crate::meters::{Meters, StoreMeters};
    use crate::store::{MemoryStore, MeteredStore, contract};
    use durable_streams_edge::seam::streams::{StreamHash, StreamKeys};

    #[test]
    fn the_contract_is_kept() {
        let store = || {
            let rules = Arc::new(rules(&["*:streams=1"]));
            let counter = Counter::new(StreamKeys::new(""), rules);
            let below = Arc::new(MemoryStore::new());
            Arc::new(CountedStore::new(below, counter)) as Arc<dyn Store>
        };
        contract::check_all(&store, &[]);
    }
    /// An append is one read and one swap. Its count must not add to them.
    #[test]
    fn counting_a_swap_calls_the_store_no_further_time() {
        let meters = Meters::new();
        let below = Arc::new(MemoryStore::new()) as Arc<dyn Store>;
        let metered =
            MeteredStore::new(below, StreamKeys::new(""), StoreMeters::new(&meters, true));
        let keys = StreamKeys::new("");
        let counter = Counter::new(keys.clone(), Arc::new(rules(&["*:bytes=1"])));
        let store = CountedStore::new(Arc::new(metered), counter);
        let (key, _) = keys.record(&StreamHash::of("a"), 0);
        let absent = store.get(&key).expect("the store answers");
        let swapped = store.swap(&key, &absent, Bytes::from_static(b"value"));
        assert!(swapped.is_ok());
        let text = meters.render();
        let calls: f64 = text
            .lines()
            .filter(|line| line.starts_with("durable_streams_store_calls_total{"))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum();
        assert!((calls - 2.0).abs() < f64::EPSILON, "{text}");
    }
}
