//! A store with the quirks of one of Spin's stores, over any other store.

use super::{ChangeNumber, Seen, Store, StoreError, SwapError, pass_on};
use bytes::Bytes;
use kv_model::{Lag, Quirks};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Imitates a store of Spin, as its [`Quirks`] describe.
pub struct SpinStore {
    below: Arc<dyn Store>,
    kind: &'static str,
    quirks: Quirks,
    /// Replaced values that plain reads may still return. `None` if reads never lag.
    lag: Option<Mutex<Lag<Seen>>>,
    /// Serializes writers, since a write and its condition must be one step.
    writes: Mutex<()>,
    /// Whether a panic has ended the only connection. Further calls fail.
    ended: AtomicBool,
}

/// Number of operations during which a read may still return a replaced value.
const LAG: u64 = 8;

impl SpinStore {
    /// Spin on SQLite.
    #[must_use]
    pub const fn sqlite(below: Arc<dyn Store>) -> Self {
        Self::new(below, "spin-sqlite", Quirks::SPIN_SQLITE)
    }

    /// Spin on Redis.
    #[must_use]
    pub const fn redis(below: Arc<dyn Store>) -> Self {
        Self::new(below, "spin-redis", Quirks::SPIN_REDIS)
    }

    /// Spin on DynamoDB, where plain reads lag unless they are consistent.
    #[must_use]
    pub const fn dynamodb(below: Arc<dyn Store>, consistent_read: bool) -> Self {
        let quirks = match consistent_read {
            true => Quirks::SPIN_DYNAMODB,
            false => Quirks::SPIN_DYNAMODB.lagging(LAG),
        };
        Self::new(below, "spin-dynamodb", quirks)
    }

    const fn new(below: Arc<dyn Store>, kind: &'static str, quirks: Quirks) -> Self {
        let lag = match quirks.lag {
            0 => None,
            operations => Some(Mutex::new(Lag::new(operations))),
        };
        Self {
            below,
            kind,
            quirks,
            lag,
            writes: Mutex::new(()),
            ended: AtomicBool::new(false),
        }
    }

    /// Returns the store below, unless this one has ended.
    fn there(&self) -> Result<&dyn Store, StoreError> {
        match self.ended.load(Ordering::Relaxed) {
            true => Err(other("the connection is poisoned")),
            false => Ok(&*self.below),
        }
    }

    /// Writes one key. Where reads lag, keeps the value before the write.
    fn write<T, E: From<StoreError>>(
        &self,
        key: &str,
        write: impl FnOnce(&dyn Store) -> Result<T, E>,
    ) -> Result<T, E> {
        let _one = locked(&self.writes);
        let below = self.there()?;
        let before = match &self.lag {
            Some(lag) => Some((lag, below.get(key)?)),
            None => None,
        };
        let written = write(below)?;
        if let Some((lag, before)) = before {
            locked(lag).write(key, before);
        }
        Ok(written)
    }

    fn stale(&self, key: &str) -> Option<Seen> {
        locked(self.lag.as_ref()?).read(key)
    }

    /// Swaps a key. Without `seen` there is nothing to compare, and the swap always applies.
    fn swap_seen(
        &self,
        key: &str,
        seen: Option<&Seen>,
        value: Bytes,
    ) -> Result<ChangeNumber, SwapError> {
        let swapped = self.write(key, |below| {
            let applies = match seen {
                Some(seen) => self.quirks.applies(&model(seen), &model(&below.get(key)?)),
                None => true,
            };
            match applies {
                true => Ok(below.set(key, value)?),
                false => Err(SwapError::Conflict),
            }
        });
        self.quirks.answer(swapped, || SwapError::Conflict)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn other(why: &str) -> StoreError {
    StoreError::Other(why.to_owned())
}

fn model(seen: &Seen) -> kv_model::Seen {
    kv_model::Seen {
        value: seen.value.clone(),
        changed: seen.changed.get(),
    }
}

impl Store for SpinStore {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn describe(&self) -> String {
        match self.lag {
            None => self.kind.to_owned(),
            Some(_) => format!("{} with lagging reads", self.kind),
        }
    }

    fn guards_creation(&self) -> bool {
        self.quirks.guards_creation()
    }

    fn is_sure_of_conflicts(&self) -> bool {
        self.quirks.is_sure_of_conflicts()
    }

    fn ignores_labels(&self) -> bool {
        self.quirks.one_bucket
    }

    fn get(&self, key: &str) -> Result<Seen, StoreError> {
        self.there()?.get(key)
    }

    fn get_now(&self, key: &str) -> Result<Option<Seen>, StoreError> {
        self.there()?.get_now(key)
    }

    fn read(&self, key: &str) -> Result<Seen, StoreError> {
        match self.stale(key) {
            Some(stale) => Ok(stale),
            None => self.there()?.read(key),
        }
    }

    fn exists(&self, key: &str) -> Result<(bool, ChangeNumber), StoreError> {
        match self.stale(key) {
            Some(stale) => Ok((stale.value.is_some(), stale.changed)),
            None => self.there()?.exists(key),
        }
    }

    fn set(&self, key: &str, value: Bytes) -> Result<ChangeNumber, StoreError> {
        self.write(key, |below| below.set(key, value))
    }

    fn delete(&self, key: &str) -> Result<ChangeNumber, StoreError> {
        self.write(key, |below| below.delete(key))
    }

    fn increment(&self, key: &str, delta: i64) -> Result<(i64, ChangeNumber), StoreError> {
        let counters = self.quirks.counters;
        self.write(key, |below| {
            let before = below.get(key)?.value;
            let sum = counters.add(before.as_deref(), delta).map_err(|error| {
                self.ended.fetch_or(error.ends_the_store, Ordering::Relaxed);
                other(error.why)
            })?;
            let changed = below.set(key, counters.encode(sum))?;
            Ok((sum, changed))
        })
    }

    fn swap(&self, key: &str, seen: &Seen, value: Bytes) -> Result<ChangeNumber, SwapError> {
        self.swap_seen(key, Some(seen), value)
    }

    fn swap_unseen(&self, key: &str, value: Bytes) -> Result<ChangeNumber, SwapError> {
        self.swap_seen(key, None, value)
    }

    pass_on!(below);
}

#[cfg(test)]
mod tests;
