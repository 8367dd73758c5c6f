//! A store with the habits of Spin's on Redis, over any other.

use super::{ChangeNumber, Seen, Store, StoreError, SwapError, pass_on};
use bytes::Bytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Swaps as it should and says of every swap that it failed: what follows the transaction is a
/// command that Redis refuses. Counters are decimals, and all labels are one bucket.
pub struct SpinRedis {
    below: Arc<dyn Store>,
    /// Redis does one command after another; only writes can tell.
    writes: Mutex<()>,
}

impl SpinRedis {
    /// Keeps everything in `below`.
    #[must_use]
    pub fn new(below: Arc<dyn Store>) -> Self {
        Self {
            below,
            writes: Mutex::new(()),
        }
    }

    fn write(&self) -> MutexGuard<'_, ()> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn decimal(value: &Bytes) -> Option<i64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

impl Store for SpinRedis {
    fn kind(&self) -> &'static str {
        "spin-redis"
    }

    fn ignores_labels(&self) -> bool {
        true
    }

    fn guards_creation(&self) -> bool {
        false
    }

    fn get(&self, key: &str) -> Result<Seen, StoreError> {
        self.below.get(key)
    }

    fn get_now(&self, key: &str) -> Result<Option<Seen>, StoreError> {
        self.below.get_now(key)
    }

    fn exists(&self, key: &str) -> Result<(bool, ChangeNumber), StoreError> {
        self.below.exists(key)
    }

    fn set(&self, key: &str, value: Bytes) -> Result<ChangeNumber, StoreError> {
        let _one = self.write();
        self.below.set(key, value)
    }

    fn delete(&self, key: &str) -> Result<ChangeNumber, StoreError> {
        let _one = self.write();
        self.below.delete(key)
    }

    fn increment(&self, key: &str, delta: i64) -> Result<(i64, ChangeNumber), StoreError> {
        let other = |why: &str| StoreError::Other(why.to_owned());
        let _one = self.write();
        let before = match self.below.get(key)?.value {
            None => 0,
            Some(value) => decimal(&value)
                .ok_or_else(|| other("ERR value is not an integer or out of range"))?,
        };
        let sum = before
            .checked_add(delta)
            .ok_or_else(|| other("ERR increment or decrement would overflow"))?;
        let changed = self.below.set(key, sum.to_string().into())?;
        Ok((sum, changed))
    }

    fn swap(&self, key: &str, seen: &Seen, value: Bytes) -> Result<ChangeNumber, SwapError> {
        let _one = self.write();
        // Whatever it came to, also an error: the answer is always the same.
        let _ = self.below.swap(key, seen, value);
        Err(SwapError::Conflict)
    }

    fn swap_unseen(&self, key: &str, value: Bytes) -> Result<ChangeNumber, SwapError> {
        let _one = self.write();
        let _ = self.below.set(key, value);
        Err(SwapError::Conflict)
    }

    pass_on!(below);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use crate::store::contract::{self, Breach};

    fn store() -> SpinRedis {
        SpinRedis::new(Arc::new(MemoryStore::new()))
    }

    fn text(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn the_contract_is_kept_but_for_the_answer_of_a_swap() {
        let denied = Breach::Always("a swap that was applied is said to have failed");
        contract::check_all(
            &|| Arc::new(store()),
            &[
                ("a_swap_of_what_was_seen_is_done", denied),
                ("a_swap_after_another_swap_fails", denied),
                ("an_absent_key_is_created_by_one_swap_only", denied),
                ("every_change_has_a_higher_number", denied),
                ("reads_and_writes_tell_the_number_of_the_change", denied),
                ("a_watch_is_woken_by_every_kind_of_change", denied),
                ("racing_creators_elect_one", denied),
                (
                    "racing_swaps_lose_no_increment",
                    Breach::AtTimes("who believes the answer swaps for ever"),
                ),
            ],
        );
    }

    #[test]
    fn a_swap_of_what_did_not_change_is_applied_and_said_to_have_failed() -> Result<(), SwapError> {
        let store = store();
        store.set("k", text("one"))?;
        let seen = store.get("k")?;
        let mut watch = store.watch("k");
        let refused = store.swap("k", &seen, text("two"));
        assert_eq!(refused, Err(SwapError::Conflict));
        assert_eq!(store.get("k")?.value, Some(text("two")));
        assert!(store.last_change("k") > seen.changed);
        let woken = futures::FutureExt::now_or_never(&mut watch);
        assert_eq!(woken, Some(()));
        Ok(())
    }

    #[test]
    fn a_swap_of_what_changed_is_not_applied_also_where_the_value_came_back()
    -> Result<(), SwapError> {
        let store = store();
        store.set("k", text("a"))?;
        let seen = store.get("k")?;
        store.set("k", text("b"))?;
        store.set("k", text("a"))?;
        let refused = store.swap("k", &seen, text("c"));
        assert_eq!(refused, Err(SwapError::Conflict));
        assert_eq!(store.get("k")?.value, Some(text("a")));
        Ok(())
    }

    #[test]
    fn of_two_swaps_of_an_absent_key_the_first_is_applied_and_both_are_said_to_have_failed()
    -> Result<(), SwapError> {
        let store = store();
        let absent = store.get("k")?;
        for creator in ["first", "second"] {
            let refused = store.swap("k", &absent, text(creator));
            assert_eq!(refused, Err(SwapError::Conflict));
        }
        assert_eq!(store.get("k")?.value, Some(text("first")));
        Ok(())
    }

    #[test]
    fn who_tries_again_until_a_swap_is_confirmed_counts_24_times() -> Result<(), SwapError> {
        let store = store();
        store.set("k", text("0"))?;
        for _ in 0..24 {
            let seen = store.get("k")?;
            let before = seen.value.as_ref().and_then(decimal).unwrap_or_default();
            let next = Bytes::from((before + 1).to_string());
            assert_eq!(store.swap("k", &seen, next), Err(SwapError::Conflict));
        }
        assert_eq!(store.get("k")?.value, Some(text("24")));
        Ok(())
    }

    #[test]
    fn a_swap_that_looked_at_nothing_overwrites() -> Result<(), SwapError> {
        let store = store();
        store.set("k", text("theirs"))?;
        let refused = store.swap_unseen("k", text("mine"));
        assert_eq!(refused, Err(SwapError::Conflict));
        assert_eq!(store.get("k")?.value, Some(text("mine")));
        Ok(())
    }

    #[test]
    fn a_counter_is_a_decimal_and_a_decimal_a_counter() -> Result<(), StoreError> {
        let store = store();
        assert_eq!(store.increment("k", -12)?.0, -12);
        assert_eq!(store.get("k")?.value, Some(text("-12")));
        store.set("k", text("41"))?;
        assert_eq!(store.increment("k", 1)?.0, 42);
        store.set("k", text("no counter"))?;
        assert!(store.increment("k", 1).is_err());
        assert_eq!(store.get("k")?.value, Some(text("no counter")));
        Ok(())
    }

    #[test]
    fn creation_is_not_guarded_and_nothing_survives_a_restart() {
        let store = store();
        assert!(store.is_volatile());
        assert_eq!(store.describe(), "spin-redis");
    }
}
