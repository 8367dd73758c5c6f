//! Checks for the claims of [`Store`]. Every backend and every wrapper runs them.
//!
//! Each claim uses keys of its own, so all of them can run on one store, one after another. A claim
//! that does not hold panics, as a test does.
//!
//! A store outside this crate runs the suite too. It enables the feature `contract` in its
//! dev-dependencies:
//!
//! ```toml
//! [dev-dependencies]
//! durable-streams-host = { path = "../host", features = ["contract"] }
//! ```
//!
//! Its test names the claims that the store breaks, if any:
//!
//! ```
//! # use durable_streams_host::store::MemoryStore as TheStore;
//! use durable_streams_host::store::contract::check_all;
//! use std::sync::Arc;
//!
//! # /*
//! #[test]
//! # */
//! fn the_store_keeps_the_contract() {
//!     check_all(&|| Arc::new(TheStore::default()), &[]);
//! }
//! # the_store_keeps_the_contract();
//! ```
//!
//! `tests/contract/main.rs` is such a test.

mod changes;
mod races;
mod swaps;
mod values;

use super::{ChangeNumber, Seen, Store, StoreError, SwapError};
use bytes::Bytes;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Check of one claim. Panics if the claim does not hold.
pub type Check = fn(&dyn Store);

macro_rules! claims {
    ($($module:ident: $($claim:ident),+;)+) => {
        /// Every claim by its name.
        pub const CLAIMS: &[(&str, Check)] = &[
            $($((stringify!($claim), $module::$claim)),+),+
        ];
    };
}

claims! {
    values:
        a_get_sees_the_last_set,
        an_empty_value_is_not_an_absent_one,
        a_deleted_key_is_absent,
        a_counter_counts_from_zero,
        an_increment_by_zero_makes_the_key,
        an_increment_of_a_value_that_is_no_counter_changes_nothing,
        a_counter_never_overflows;
    swaps:
        a_swap_of_the_current_value_is_applied,
        a_swap_after_another_swap_fails,
        a_swap_after_any_other_write_fails,
        a_swap_after_the_same_value_came_back_fails,
        an_absent_key_is_created_by_one_swap_only,
        a_key_that_came_and_went_is_not_swapped_as_absent,
        a_failed_swap_changes_nothing;
    changes:
        every_change_has_a_higher_number,
        reads_and_writes_tell_the_number_of_the_change,
        every_change_settles,
        a_change_after_a_noted_number_is_never_missed,
        a_watch_is_woken_by_every_kind_of_change,
        a_watch_is_left_alone_by_other_keys;
    races:
        racing_swaps_lose_no_increment,
        racing_creators_elect_one,
        racing_increments_are_all_counted,
        a_waiter_sees_every_value_of_a_racing_writer;
}

/// How a store breaks a claim, with the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breach {
    /// Every time.
    Always(&'static str),
    /// Only sometimes, or the check would never end. The suite skips the claim.
    AtTimes(&'static str),
}

/// Runs every claim on stores that `new` makes. All claims that the store keeps run on one store,
/// one after another. Each broken claim runs on a store of its own, and must fail.
pub fn check_all(new: &dyn Fn() -> Arc<dyn Store>, except: &[(&str, Breach)]) {
    for (excepted, _) in except {
        let known = CLAIMS.iter().any(|(claim, _)| claim == excepted);
        assert!(known, "there is no claim {excepted}");
    }
    let shared = new();
    for (claim, check) in CLAIMS {
        let breach = except.iter().find(|(excepted, _)| excepted == claim);
        match breach {
            None => {
                println!("{claim}");
                check(&*shared);
            }
            Some((_, Breach::AtTimes(why))) => println!("{claim}: not asked, since {why}"),
            Some((_, Breach::Always(why))) => {
                println!("{claim}: broken, since {why}; the panic that follows shows it");
                let own = new();
                let kept = catch_unwind(AssertUnwindSafe(|| check(&*own))).is_ok();
                assert!(!kept, "{claim} is kept, though {why}");
            }
        }
    }
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn see(store: &dyn Store, key: &str) -> Seen {
    store.get(key).expect("the store answers")
}

fn get(store: &dyn Store, key: &str) -> Option<Bytes> {
    see(store, key).value
}

fn exists(store: &dyn Store, key: &str) -> bool {
    let (exists, _) = store.exists(key).expect("the store answers");
    exists
}

fn delete(store: &dyn Store, key: &str) -> ChangeNumber {
    store.delete(key).expect("the store deletes")
}

fn increment(store: &dyn Store, key: &str, delta: i64) -> i64 {
    let (sum, _) = store.increment(key, delta).expect("the store counts");
    sum
}

fn set(store: &dyn Store, key: &str, value: &'static str) {
    store.set(key, bytes(value)).expect("the store writes");
}
