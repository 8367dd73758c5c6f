//! A store with the habits of Spin's on SQLite, over any other.

use super::{ChangeNumber, Seen, Store, StoreError, SwapError, counter, pass_on};
use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};

/// Compares values where it swaps, and compares nothing where the key was absent or not looked at.
/// An increment of what is no counter panics there and takes the connection with it.
pub struct SpinSqlite {
    below: Arc<dyn Store>,
    /// The one connection, and whether somebody panicked while holding it.
    poisoned: Mutex<bool>,
}

impl SpinSqlite {
    /// Keeps everything in `below`.
    #[must_use]
    pub fn new(below: Arc<dyn Store>) -> Self {
        Self {
            below,
            poisoned: Mutex::new(false),
        }
    }

    /// Does one thing while nobody else does any. It may come back with the connection poisoned.
    fn locked<T, E: From<StoreError>>(
        &self,
        act: impl FnOnce(&dyn Store, &mut bool) -> Result<T, E>,
    ) -> Result<T, E> {
        // Ours has nothing half-done in it, so only the flag counts.
        let mut poisoned = self.poisoned.lock().unwrap_or_else(PoisonError::into_inner);
        match *poisoned {
            true => Err(E::from(panicked("the connection is poisoned"))),
            false => act(&*self.below, &mut poisoned),
        }
    }
}

fn panicked(why: &str) -> StoreError {
    StoreError::Other(why.to_owned())
}

impl Store for SpinSqlite {
    fn kind(&self) -> &'static str {
        "spin-sqlite"
    }

    fn guards_creation(&self) -> bool {
        false
    }

    fn get(&self, key: &str) -> Result<Seen, StoreError> {
        self.locked(|below, _| below.get(key))
    }

    fn get_now(&self, key: &str) -> Result<Option<Seen>, StoreError> {
        self.locked(|below, _| below.get_now(key))
    }

    fn exists(&self, key: &str) -> Result<(bool, ChangeNumber), StoreError> {
        self.locked(|below, _| below.exists(key))
    }

    fn set(&self, key: &str, value: Bytes) -> Result<ChangeNumber, StoreError> {
        self.locked(|below, _| below.set(key, value))
    }

    fn delete(&self, key: &str) -> Result<ChangeNumber, StoreError> {
        self.locked(|below, _| below.delete(key))
    }

    fn increment(&self, key: &str, delta: i64) -> Result<(i64, ChangeNumber), StoreError> {
        self.locked(|below, poisoned| {
            let before = below.get(key)?.value;
            let Some(before) = counter::value(before.as_ref()) else {
                *poisoned = true;
                return Err(panicked("incorrect length"));
            };
            let sum = before.wrapping_add(delta);
            let changed = below.set(key, counter::bytes(sum))?;
            Ok((sum, changed))
        })
    }

    fn swap(&self, key: &str, seen: &Seen, value: Bytes) -> Result<ChangeNumber, SwapError> {
        self.locked(|below, _| {
            if seen.value.is_some() && below.get(key)?.value != seen.value {
                return Err(SwapError::Conflict);
            }
            Ok(below.set(key, value)?)
        })
    }

    fn swap_unseen(&self, key: &str, value: Bytes) -> Result<ChangeNumber, SwapError> {
        self.locked(|below, _| Ok(below.set(key, value)?))
    }

    pass_on!(below);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use crate::store::contract::{self, Breach};

    fn store() -> SpinSqlite {
        SpinSqlite::new(Arc::new(MemoryStore::new()))
    }

    fn text(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn the_contract_is_kept_but_for_the_quirks() {
        let upsert = Breach::Always("a swap of an absent key is an upsert");
        let races = Breach::AtTimes("two creators may both be told that they won");
        contract::check_all(
            &|| Arc::new(store()),
            &[
                ("an_absent_key_is_created_by_one_swap_only", upsert),
                ("a_key_that_came_and_went_is_not_swapped_as_absent", upsert),
                ("racing_creators_elect_one", races),
                ("racing_swaps_lose_no_increment", races),
                (
                    "a_swap_after_the_same_value_came_back_fails",
                    Breach::Always("values are compared, not versions"),
                ),
                (
                    "an_increment_of_what_is_no_counter_changes_nothing",
                    Breach::Always("nothing can be read after it"),
                ),
                (
                    "a_counter_never_overflows",
                    Breach::Always("sums are not checked"),
                ),
            ],
        );
    }

    #[test]
    fn a_swap_of_an_absent_key_overwrites_what_others_wrote_meanwhile() -> Result<(), SwapError> {
        let store = store();
        let absent = store.get("k")?;
        for creator in ["first", "second", "third"] {
            store.swap("k", &absent, text(creator))?;
            assert_eq!(store.get("k")?.value, Some(text(creator)));
        }
        Ok(())
    }

    #[test]
    fn a_swap_compares_values_and_does_not_notice_that_one_went_and_came_back()
    -> Result<(), SwapError> {
        let store = store();
        store.set("k", text("a"))?;
        let seen = store.get("k")?;
        store.set("k", text("b"))?;
        let refused = store.swap("k", &seen, text("c"));
        assert_eq!(refused, Err(SwapError::Conflict));
        store.delete("k")?;
        let refused = store.swap("k", &seen, text("c"));
        assert_eq!(refused, Err(SwapError::Conflict));
        store.set("k", text("a"))?;
        store.swap("k", &seen, text("c"))?;
        assert_eq!(store.get("k")?.value, Some(text("c")));
        Ok(())
    }

    #[test]
    fn a_swap_that_looked_at_nothing_overwrites() -> Result<(), SwapError> {
        let store = store();
        store.set("k", text("theirs"))?;
        store.swap_unseen("k", text("mine"))?;
        assert_eq!(store.get("k")?.value, Some(text("mine")));
        Ok(())
    }

    #[test]
    fn a_counter_is_a_little_endian_i64() -> Result<(), StoreError> {
        let store = store();
        assert_eq!(store.increment("k", 258)?.0, 258);
        let value = Bytes::from_static(&[2, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(store.get("k")?.value, Some(value));
        Ok(())
    }

    #[test]
    fn an_increment_of_any_other_value_is_the_end_of_the_store() -> Result<(), SwapError> {
        let store = store();
        store.set("k", text("no counter"))?;
        let seen = store.get("k")?;
        assert!(store.increment("k", 1).is_err());
        assert!(store.get("k").is_err());
        assert!(store.get_now("k").is_err());
        assert!(store.exists("other").is_err());
        assert!(store.set("other", text("x")).is_err());
        assert!(store.delete("other").is_err());
        assert!(store.increment("other", 1).is_err());
        assert!(store.swap_unseen("other", text("x")).is_err());
        let refused = store.swap("k", &seen, text("x"));
        assert!(matches!(refused, Err(SwapError::Store(_))), "{refused:?}");
        Ok(())
    }

    #[test]
    fn creation_is_not_guarded_and_nothing_survives_a_restart() {
        let store = store();
        assert!(store.is_volatile());
        assert_eq!(store.describe(), "spin-sqlite");
    }
}
