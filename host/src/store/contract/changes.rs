//! Claims about the numbers of changes, about durability and about watches.

use super::{ChangeNumber, Store, bytes, delete, increment, see, set};
use futures::FutureExt;

/// The numbers of the store and of the key grow with every change.
pub(super) fn every_change_has_a_higher_number(store: &dyn Store) {
    let key = "contract.numbers";
    let mut before = store.latest_change();
    let mut check = |name: &str| {
        let after = store.last_change(key);
        assert!(after > before, "{name}: {after:?} after {before:?}");
        assert!(store.latest_change() >= after, "{name}");
        before = store.latest_change();
    };
    set(store, key, "one");
    check("set");
    let seen = see(store, key);
    assert!(store.swap(key, &seen, bytes("two")).is_ok());
    check("swap");
    delete(store, key);
    check("delete");
    assert_eq!(increment(store, key, 1), 1);
    check("increment");
}

/// Reads and writes return the key's own number.
pub(super) fn reads_and_writes_tell_the_number_of_the_change(store: &dyn Store) {
    let key = "contract.told";
    let absent = see(store, key).changed;
    let written = store.set(key, bytes("one")).expect("the store writes");
    assert!(written > absent);
    assert_eq!(see(store, key).changed, written);
    assert_eq!(store.exists(key), Ok((true, written)));
    let swapped = store.swap(key, &see(store, key), bytes("two"));
    let swapped = swapped.expect("no other caller wrote");
    assert!(swapped > written);
    assert_eq!(see(store, key).changed, swapped);
    let deleted = delete(store, key);
    assert!(deleted > swapped);
    assert!(see(store, key).changed >= deleted);
    let (_, counted) = store.increment(key, 1).expect("the store counts");
    assert!(counted > deleted);
    assert_eq!(store.exists(key), Ok((true, counted)));
}

/// Every change settles without a further call.
pub(super) fn every_change_settles(store: &dyn Store) {
    let key = "contract.settles";
    let written = store.set(key, bytes("one")).expect("the store writes");
    let deleted = delete(store, key);
    let (_, counted) = store.increment(key, 1).expect("the store counts");
    for change in [ChangeNumber::ZERO, written, deleted, counted] {
        assert_eq!(futures::executor::block_on(store.settle(change)), Ok(()));
        assert_eq!(store.settle(change).known(), Some(Ok(())));
    }
    assert_eq!(store.losses(), 0);
}

/// The claim also covers a key that is gone by the time of the read.
pub(super) fn a_change_after_a_noted_number_is_never_missed(store: &dyn Store) {
    let key = "contract.noted";
    let noted = store.latest_change();
    set(store, key, "one");
    assert!(store.last_change(key) > noted);
    let noted = store.latest_change();
    assert!(store.last_change(key) <= noted, "nothing changed since");
    delete(store, key);
    for number in 0..100 {
        let other = format!("contract.noted.{number}");
        store.set(&other, bytes("x")).expect("the store writes");
        delete(store, &other);
    }
    assert!(store.last_change(key) > noted);
}

/// The kinds are set, swap, increment and delete.
pub(super) fn a_watch_is_woken_by_every_kind_of_change(store: &dyn Store) {
    let key = "contract.watch";
    let woken = |change: &dyn Fn()| {
        let mut watch = store.watch(key);
        assert_eq!((&mut watch).now_or_never(), None, "woken by nothing");
        change();
        assert_eq!((&mut watch).now_or_never(), Some(()), "not woken");
    };
    woken(&|| set(store, key, "one"));
    woken(&|| {
        let seen = see(store, key);
        assert!(store.swap(key, &seen, bytes("two")).is_ok());
    });
    woken(&|| {
        delete(store, key);
    });
    woken(&|| assert_eq!(increment(store, key, 1), 1));
}

/// A change of one key costs the readers of other keys nothing.
pub(super) fn a_watch_is_left_alone_by_other_keys(store: &dyn Store) {
    let mut watch = store.watch("contract.quiet");
    for number in 0..100 {
        let other = format!("contract.loud.{number}");
        store.set(&other, bytes("x")).expect("the store writes");
    }
    assert_eq!((&mut watch).now_or_never(), None);
}
