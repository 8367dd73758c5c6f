//! Claims about compare-and-swap.

use super::{Check, Store, SwapError, bytes, delete, get, increment, see, set};

/// The plain case: no other write happens in between.
pub(super) fn a_swap_of_the_current_value_is_applied(store: &dyn Store) {
    set(store, "contract.swap", "one");
    let seen = see(store, "contract.swap");
    assert_eq!(seen.value, Some(bytes("one")));
    assert!(store.swap("contract.swap", &seen, bytes("two")).is_ok());
    assert_eq!(get(store, "contract.swap"), Some(bytes("two")));
}

/// Of two swaps that saw the same version, the second fails.
pub(super) fn a_swap_after_another_swap_fails(store: &dyn Store) {
    set(store, "contract.twice", "one");
    let first = see(store, "contract.twice");
    let second = see(store, "contract.twice");
    assert!(store.swap("contract.twice", &first, bytes("two")).is_ok());
    let refused = store.swap("contract.twice", &second, bytes("three"));
    assert_eq!(refused, Err(SwapError::Conflict));
    assert_eq!(get(store, "contract.twice"), Some(bytes("two")));
}

/// Plain writes count as changes.
pub(super) fn a_swap_after_any_other_write_fails(store: &dyn Store) {
    let key = "contract.written";
    let writes: [(&str, Check); 3] = [
        ("set", |store| set(store, "contract.written", "other")),
        ("delete", |store| {
            delete(store, "contract.written");
        }),
        ("increment", |store| {
            increment(store, "contract.written", 1);
        }),
    ];
    for (name, write) in writes {
        delete(store, key);
        increment(store, key, 1);
        let seen = see(store, key);
        write(store);
        let refused = store.swap(key, &seen, bytes("mine"));
        assert_eq!(refused, Err(SwapError::Conflict), "after {name}");
    }
}

/// A swap compares versions, not values.
pub(super) fn a_swap_after_the_same_value_came_back_fails(store: &dyn Store) {
    set(store, "contract.aba", "a");
    let seen = see(store, "contract.aba");
    set(store, "contract.aba", "b");
    set(store, "contract.aba", "a");
    let refused = store.swap("contract.aba", &seen, bytes("c"));
    assert_eq!(refused, Err(SwapError::Conflict));
}

/// Absence is a condition like any other.
pub(super) fn an_absent_key_is_created_by_one_swap_only(store: &dyn Store) {
    let first = see(store, "contract.create");
    let second = see(store, "contract.create");
    assert_eq!(first.value, None);
    assert!(store.swap("contract.create", &first, bytes("mine")).is_ok());
    let refused = store.swap("contract.create", &second, bytes("theirs"));
    assert_eq!(refused, Err(SwapError::Conflict));
    assert_eq!(get(store, "contract.create"), Some(bytes("mine")));
}

/// A key that was absent, present and absent again has changed.
pub(super) fn a_key_that_came_and_went_is_not_swapped_as_absent(store: &dyn Store) {
    let seen = see(store, "contract.went");
    set(store, "contract.went", "short-lived");
    delete(store, "contract.went");
    let refused = store.swap("contract.went", &seen, bytes("mine"));
    assert_eq!(refused, Err(SwapError::Conflict));
    assert_eq!(get(store, "contract.went"), None);
}

/// A failed swap changes neither the value nor its number.
pub(super) fn a_failed_swap_changes_nothing(store: &dyn Store) {
    set(store, "contract.failed", "one");
    let seen = see(store, "contract.failed");
    set(store, "contract.failed", "two");
    let before = store.last_change("contract.failed");
    let refused = store.swap("contract.failed", &seen, bytes("three"));
    assert_eq!(refused, Err(SwapError::Conflict));
    assert_eq!(store.last_change("contract.failed"), before);
    assert_eq!(get(store, "contract.failed"), Some(bytes("two")));
}
