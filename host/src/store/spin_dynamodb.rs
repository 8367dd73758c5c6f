//! A store with the habits of Spin's on DynamoDB, over any other.

use super::{ChangeNumber, Seen, Store, StoreError, SwapError, pass_on};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Guards creation: a swap of an absent key is conditioned on its absence. Reports every failure of a
/// swap as a conflict. Counters are decimals. Unless reads are consistent, a plain read may return the
/// value before the last write. A swap is always conditioned on the present value.
pub struct SpinDynamodb {
    below: Arc<dyn Store>,
    /// Values that plain reads may still return; nothing where they are consistent.
    past: Option<Mutex<Past>>,
    /// Writers take turns, as conditions are judged with the write.
    writes: Mutex<()>,
}

/// Operations for which a replaced value may still be read.
const LAG: u64 = 8;

/// Replaced values that a lagging read may still return.
#[derive(Default)]
struct Past {
    /// Operations so far.
    now: u64,
    /// For each key, the value before its last write, and the number of that operation.
    before: BTreeMap<Box<str>, (Seen, u64)>,
    /// The writes, the oldest first.
    writes: VecDeque<(u64, Box<str>)>,
}

impl Past {
    /// Counts one operation, and forgets values that are too old.
    fn pass(&mut self) {
        self.now = self.now.wrapping_add(1);
        let oldest = self.now.saturating_sub(LAG);
        while let Some((at, key)) = self.writes.front() {
            if *at >= oldest {
                return;
            }
            if self.before.get(key).is_some_and(|(_, then)| then == at) {
                self.before.remove(key);
            }
            self.writes.pop_front();
        }
    }

    fn note(&mut self, key: &str, before: Seen) {
        self.before.insert(key.into(), (before, self.now));
        self.writes.push_back((self.now, key.into()));
    }

    /// Value of a lagging read: a replica that is behind answers every other operation.
    fn stale(&self, key: &str) -> Option<Seen> {
        let (seen, _) = self.before.get(key)?;
        self.now.is_multiple_of(2).then(|| seen.clone())
    }
}

impl SpinDynamodb {
    /// Keeps everything in `below`.
    #[must_use]
    pub fn new(below: Arc<dyn Store>, consistent_read: bool) -> Self {
        Self {
            below,
            past: (!consistent_read).then(Mutex::default),
            writes: Mutex::new(()),
        }
    }

    /// Writes one key, and remembers the value before.
    fn write<T, E: From<StoreError>>(
        &self,
        key: &str,
        write: impl FnOnce(&dyn Store) -> Result<T, E>,
    ) -> Result<T, E> {
        let _one = locked(&self.writes);
        let before = match &self.past {
            Some(_) => Some(self.below.get(key)?),
            None => None,
        };
        let written = write(&*self.below);
        if let (Some(past), Some(before), Ok(_)) = (&self.past, before, &written) {
            let mut past = locked(past);
            past.pass();
            past.note(key, before);
        }
        written
    }

    fn stale(&self, key: &str) -> Option<Seen> {
        let mut past = locked(self.past.as_ref()?);
        past.pass();
        past.stale(key)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn decimal(value: &Bytes) -> Option<i64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

impl Store for SpinDynamodb {
    fn kind(&self) -> &'static str {
        "spin-dynamodb"
    }

    fn describe(&self) -> String {
        match self.past {
            None => self.kind().to_owned(),
            Some(_) => format!("{} with lagging reads", self.kind()),
        }
    }

    fn ignores_labels(&self) -> bool {
        true
    }

    fn get(&self, key: &str) -> Result<Seen, StoreError> {
        self.below.get(key)
    }

    fn get_now(&self, key: &str) -> Result<Option<Seen>, StoreError> {
        self.below.get_now(key)
    }

    fn read(&self, key: &str) -> Result<Seen, StoreError> {
        match self.stale(key) {
            Some(stale) => Ok(stale),
            None => self.below.read(key),
        }
    }

    fn exists(&self, key: &str) -> Result<(bool, ChangeNumber), StoreError> {
        match self.stale(key) {
            Some(stale) => Ok((stale.value.is_some(), stale.changed)),
            None => self.below.exists(key),
        }
    }

    fn set(&self, key: &str, value: Bytes) -> Result<ChangeNumber, StoreError> {
        self.write(key, |below| below.set(key, value))
    }

    fn delete(&self, key: &str) -> Result<ChangeNumber, StoreError> {
        self.write(key, |below| below.delete(key))
    }

    fn increment(&self, key: &str, delta: i64) -> Result<(i64, ChangeNumber), StoreError> {
        let other = |why: &str| StoreError::Other(why.to_owned());
        self.write(key, |below| {
            let before = match below.get(key)?.value {
                None => 0,
                Some(value) => decimal(&value).ok_or_else(|| other("invalid digit"))?,
            };
            let sum = before
                .checked_add(delta)
                .ok_or_else(|| other("attempt to add with overflow"))?;
            let changed = below.set(key, sum.to_string().into())?;
            Ok((sum, changed))
        })
    }

    fn swap(&self, key: &str, seen: &Seen, value: Bytes) -> Result<ChangeNumber, SwapError> {
        let swapped = self.write(key, |below| below.swap(key, seen, value));
        swapped.map_err(|_: SwapError| SwapError::Conflict)
    }

    fn swap_unseen(&self, key: &str, value: Bytes) -> Result<ChangeNumber, SwapError> {
        let swapped = self.write(key, |below| Ok(below.set(key, value)?));
        swapped.map_err(|_: SwapError| SwapError::Conflict)
    }

    pass_on!(below);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use crate::store::contract;

    fn store(consistent_read: bool) -> SpinDynamodb {
        SpinDynamodb::new(Arc::new(MemoryStore::new()), consistent_read)
    }

    fn text(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn the_contract_is_kept_where_reads_are_consistent() {
        contract::check_all(&|| Arc::new(store(true)), &[]);
    }

    #[test]
    fn a_plain_read_may_return_what_was_replaced_and_a_handle_never_does() -> Result<(), StoreError>
    {
        let store = store(false);
        store.set("k", text("old"))?;
        // Nothing of the time before is left.
        for _ in 0..=2 * LAG {
            store.read("k")?;
        }
        store.set("k", text("new"))?;
        let mut read = Vec::new();
        for _ in 0..2 * LAG {
            assert_eq!(store.get("k")?.value, Some(text("new")));
            read.push(store.read("k")?.value);
        }
        assert!(read.contains(&Some(text("old"))));
        let (lagging, settled) = read.split_at(read.len() / 2);
        assert!(lagging.contains(&Some(text("new"))), "{lagging:?}");
        assert_eq!(settled, vec![Some(text("new")); settled.len()]);
        Ok(())
    }

    #[test]
    fn what_exists_may_lag_too() -> Result<(), StoreError> {
        let store = store(false);
        store.set("k", text("v"))?;
        let mut seen = Vec::new();
        for _ in 0..2 * LAG {
            seen.push(store.exists("k")?.0);
        }
        assert!(
            seen.contains(&false) && seen.last() == Some(&true),
            "{seen:?}"
        );
        Ok(())
    }

    #[test]
    fn a_swap_of_an_absent_key_is_guarded_and_one_that_looked_at_nothing_overwrites()
    -> Result<(), SwapError> {
        let store = store(true);
        let absent = store.get("k")?;
        store.swap("k", &absent, text("first"))?;
        let refused = store.swap("k", &absent, text("second"));
        assert_eq!(refused, Err(SwapError::Conflict));
        assert_eq!(store.get("k")?.value, Some(text("first")));
        store.swap_unseen("k", text("third"))?;
        assert_eq!(store.get("k")?.value, Some(text("third")));
        Ok(())
    }

    #[test]
    fn a_counter_is_a_decimal() -> Result<(), StoreError> {
        let store = store(true);
        assert_eq!(store.increment("k", -12)?.0, -12);
        assert_eq!(store.get("k")?.value, Some(text("-12")));
        Ok(())
    }

    #[test]
    fn creation_is_guarded_and_nothing_survives_a_restart() {
        assert!(store(true).guards_creation() && store(true).is_volatile());
        assert_eq!(store(true).describe(), "spin-dynamodb");
        assert_eq!(store(false).describe(), "spin-dynamodb with lagging reads");
    }
}
