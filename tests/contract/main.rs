//! A store outside the host's crate passes the host's contract suite.
//!
//! `cargo test -p durable-streams-host --features contract --test contract` runs this.

use bytes::Bytes;
use durable_streams_host::store::contract::{Breach, check_all};
use durable_streams_host::store::{
    ChangeNumber, Seen, Store, StoreError, SwapError, Watch, Watchers,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// A map behind one lock. A deleted key stays in the map, with its number.
#[derive(Default)]
struct Outside {
    state: Mutex<State>,
    watchers: Watchers,
    /// Whether a swap does not compare.
    overwrites: bool,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<String, (Option<Bytes>, u64)>,
    latest: u64,
}

impl Outside {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no caller panics")
    }

    /// Replaces the value of a key with the result of `change`.
    fn write<T, E>(
        &self,
        key: &str,
        change: impl FnOnce(&Seen) -> Result<(Option<Bytes>, T), E>,
    ) -> Result<(T, ChangeNumber), E> {
        let mut state = self.state();
        let (value, answer) = change(&state.see(key))?;
        state.latest += 1;
        let changed = state.latest;
        state.entries.insert(key.to_owned(), (value, changed));
        drop(state);
        self.watchers.notify(key);
        Ok((answer, ChangeNumber::new(changed)))
    }
}

impl State {
    fn see(&self, key: &str) -> Seen {
        let (value, changed) = self.entries.get(key).cloned().unwrap_or_default();
        let changed = ChangeNumber::new(changed);
        Seen { value, changed }
    }
}

fn other(why: &str) -> StoreError {
    StoreError::Other(why.to_owned())
}

impl Store for Outside {
    fn kind(&self) -> &'static str {
        "outside"
    }

    fn guards_creation(&self) -> bool {
        true
    }

    fn is_sure_of_conflicts(&self) -> bool {
        true
    }

    fn get(&self, key: &str) -> Result<Seen, StoreError> {
        Ok(self.state().see(key))
    }

    fn set(&self, key: &str, value: Bytes) -> Result<ChangeNumber, StoreError> {
        let ((), changed) = self.write(key, |_| Ok((Some(value), ())))?;
        Ok(changed)
    }

    fn delete(&self, key: &str) -> Result<ChangeNumber, StoreError> {
        let ((), changed) = self.write(key, |_| Ok((None, ())))?;
        Ok(changed)
    }

    fn increment(&self, key: &str, delta: i64) -> Result<(i64, ChangeNumber), StoreError> {
        self.write(key, |seen| {
            let before = match &seen.value {
                None => 0,
                Some(value) => {
                    let bytes = value.as_ref().try_into();
                    i64::from_le_bytes(bytes.map_err(|_| other("it is no counter"))?)
                }
            };
            let sum = before.checked_add(delta);
            let sum = sum.ok_or_else(|| other("it would overflow"))?;
            Ok((Some(Bytes::copy_from_slice(&sum.to_le_bytes())), sum))
        })
    }

    fn swap(&self, key: &str, seen: &Seen, value: Bytes) -> Result<ChangeNumber, SwapError> {
        let swapped = self.write(key, |now| {
            match self.overwrites || now.changed == seen.changed {
                true => Ok((Some(value), ())),
                false => Err(SwapError::Conflict),
            }
        });
        swapped.map(|((), changed)| changed)
    }

    fn latest_change(&self) -> ChangeNumber {
        ChangeNumber::new(self.state().latest)
    }

    fn last_change(&self, key: &str) -> ChangeNumber {
        self.state().see(key).changed
    }

    fn watch(&self, key: &str) -> Watch {
        self.watchers.watch(key)
    }
}

#[test]
fn a_store_outside_the_crate_keeps_the_contract() {
    check_all(&|| Arc::new(Outside::default()), &[]);
}

#[test]
fn a_store_that_breaks_a_claim_has_to_name_it() {
    let broken = || -> Arc<dyn Store> {
        Arc::new(Outside {
            overwrites: true,
            ..Outside::default()
        })
    };
    let (always, at_times) = (
        Breach::Always("it compares nothing"),
        Breach::AtTimes("two may both win"),
    );
    check_all(
        &broken,
        &[
            ("a_swap_after_another_swap_fails", always),
            ("a_swap_after_any_other_write_fails", always),
            ("a_swap_after_the_same_value_came_back_fails", always),
            ("an_absent_key_is_created_by_one_swap_only", always),
            ("a_key_that_came_and_went_is_not_swapped_as_absent", always),
            ("a_failed_swap_changes_nothing", always),
            ("racing_swaps_lose_no_increment", at_times),
            ("racing_creators_elect_one", at_times),
        ],
    );
}
