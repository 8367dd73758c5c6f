//! Claims about single keys: values, absence and counters.

use super::{Store, StoreError, bytes, delete, exists, get, increment, set};

/// A read returns the last value that was set.
pub(super) fn a_get_sees_the_last_set(store: &dyn Store) {
    assert_eq!(get(store, "contract.set"), None);
    set(store, "contract.set", "one");
    set(store, "contract.set", "two");
    assert_eq!(get(store, "contract.set"), Some(bytes("two")));
    assert!(exists(store, "contract.set"));
    assert_eq!(get(store, "contract.set.other"), None);
}

/// An empty value is a value.
pub(super) fn an_empty_value_is_not_an_absent_one(store: &dyn Store) {
    assert!(!exists(store, "contract.empty"));
    set(store, "contract.empty", "");
    assert_eq!(get(store, "contract.empty"), Some(bytes("")));
    assert!(exists(store, "contract.empty"));
}

/// A second deletion also succeeds, and the key stays absent.
pub(super) fn a_deleted_key_is_absent(store: &dyn Store) {
    set(store, "contract.delete", "value");
    delete(store, "contract.delete");
    assert_eq!(get(store, "contract.delete"), None);
    assert!(!exists(store, "contract.delete"));
    delete(store, "contract.delete");
}

/// Counters start at 0 and take negative steps.
pub(super) fn a_counter_counts_from_zero(store: &dyn Store) {
    assert_eq!(increment(store, "contract.counter", 1), 1);
    assert_eq!(increment(store, "contract.counter", 5), 6);
    assert_eq!(increment(store, "contract.counter", -10), -4);
}

/// Gates are opened by an increment of zero.
pub(super) fn an_increment_by_zero_makes_the_key(store: &dyn Store) {
    assert_eq!(increment(store, "contract.zero", 0), 0);
    assert!(exists(store, "contract.zero"));
    assert_eq!(increment(store, "contract.zero", 1), 1);
}

/// An error leaves the value unchanged.
pub(super) fn an_increment_of_a_value_that_is_no_counter_changes_nothing(store: &dyn Store) {
    set(store, "contract.text", "no counter");
    let refused = store.increment("contract.text", 1);
    assert!(matches!(refused, Err(StoreError::Other(_))), "{refused:?}");
    assert_eq!(get(store, "contract.text"), Some(bytes("no counter")));
}

/// An increment past the range of `i64` fails instead of wrapping.
pub(super) fn a_counter_never_overflows(store: &dyn Store) {
    assert_eq!(increment(store, "contract.top", i64::MAX), i64::MAX);
    let refused = store.increment("contract.top", 1);
    assert!(matches!(refused, Err(StoreError::Other(_))), "{refused:?}");
    assert_eq!(increment(store, "contract.top", 0), i64::MAX);
}
