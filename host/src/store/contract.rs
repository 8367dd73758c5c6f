//! The claims of [`Store`] as functions, which every backend and every wrapper runs.
//!
//! Each claim uses keys of its own, so that all of them may run on one store, one after another.
//! They fail by panicking, as tests do.

use super::{ChangeNumber, Seen, Store, StoreError, SwapError};
use bytes::Bytes;
use futures::FutureExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A check that fails by panicking.
pub type Check = fn(&dyn Store);

/// Every claim by its name.
pub const CLAIMS: &[(&str, Check)] = &[
    ("a_get_sees_the_last_set", a_get_sees_the_last_set),
    (
        "an_empty_value_is_not_an_absent_one",
        an_empty_value_is_not_an_absent_one,
    ),
    ("a_deleted_key_is_absent", a_deleted_key_is_absent),
    ("a_counter_counts_from_zero", a_counter_counts_from_zero),
    (
        "an_increment_by_zero_makes_the_key",
        an_increment_by_zero_makes_the_key,
    ),
    (
        "an_increment_of_what_is_no_counter_changes_nothing",
        an_increment_of_what_is_no_counter_changes_nothing,
    ),
    ("a_counter_never_overflows", a_counter_never_overflows),
    (
        "a_swap_of_what_was_seen_is_done",
        a_swap_of_what_was_seen_is_done,
    ),
    (
        "a_swap_after_another_swap_fails",
        a_swap_after_another_swap_fails,
    ),
    (
        "a_swap_after_any_other_write_fails",
        a_swap_after_any_other_write_fails,
    ),
    (
        "a_swap_after_the_same_value_came_back_fails",
        a_swap_after_the_same_value_came_back_fails,
    ),
    (
        "an_absent_key_is_created_by_one_swap_only",
        an_absent_key_is_created_by_one_swap_only,
    ),
    (
        "a_key_that_came_and_went_is_not_swapped_as_absent",
        a_key_that_came_and_went_is_not_swapped_as_absent,
    ),
    (
        "a_failed_swap_changes_nothing",
        a_failed_swap_changes_nothing,
    ),
    (
        "every_change_has_a_higher_number",
        every_change_has_a_higher_number,
    ),
    (
        "reads_and_writes_tell_the_number_of_the_change",
        reads_and_writes_tell_the_number_of_the_change,
    ),
    ("every_change_settles", every_change_settles),
    (
        "a_change_after_a_noted_number_is_never_missed",
        a_change_after_a_noted_number_is_never_missed,
    ),
    (
        "a_watch_is_woken_by_every_kind_of_change",
        a_watch_is_woken_by_every_kind_of_change,
    ),
    (
        "a_watch_is_left_alone_by_other_keys",
        a_watch_is_left_alone_by_other_keys,
    ),
    (
        "racing_swaps_lose_no_increment",
        racing_swaps_lose_no_increment,
    ),
    ("racing_creators_elect_one", racing_creators_elect_one),
    (
        "racing_increments_are_all_counted",
        racing_increments_are_all_counted,
    ),
    (
        "a_waiter_sees_every_value_of_a_racing_writer",
        a_waiter_sees_every_value_of_a_racing_writer,
    ),
];

/// How a store breaks a claim, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breach {
    /// Whenever it is asked.
    Always(&'static str),
    /// Not each time, or without an end: the claim is not asked of it.
    AtTimes(&'static str),
}

/// Runs every claim on the stores that `new` makes: on one of them, one after another, those that
/// it keeps, and on one of its own each that it breaks. A breach that is not there fails too.
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

/// What was set last is what is read.
pub fn a_get_sees_the_last_set(store: &dyn Store) {
    assert_eq!(get(store, "contract.set"), None);
    set(store, "contract.set", "one");
    set(store, "contract.set", "two");
    assert_eq!(get(store, "contract.set"), Some(bytes("two")));
    assert!(exists(store, "contract.set"));
    assert_eq!(get(store, "contract.set.other"), None);
}

/// No bytes is a value.
pub fn an_empty_value_is_not_an_absent_one(store: &dyn Store) {
    assert!(!exists(store, "contract.empty"));
    set(store, "contract.empty", "");
    assert_eq!(get(store, "contract.empty"), Some(bytes("")));
    assert!(exists(store, "contract.empty"));
}

/// A deletion removes, once or twice.
pub fn a_deleted_key_is_absent(store: &dyn Store) {
    set(store, "contract.delete", "value");
    delete(store, "contract.delete");
    assert_eq!(get(store, "contract.delete"), None);
    assert!(!exists(store, "contract.delete"));
    delete(store, "contract.delete");
}

/// Counters start at 0 and take negative steps.
pub fn a_counter_counts_from_zero(store: &dyn Store) {
    assert_eq!(increment(store, "contract.counter", 1), 1);
    assert_eq!(increment(store, "contract.counter", 5), 6);
    assert_eq!(increment(store, "contract.counter", -10), -4);
}

/// Gates are opened this way.
pub fn an_increment_by_zero_makes_the_key(store: &dyn Store) {
    assert_eq!(increment(store, "contract.zero", 0), 0);
    assert!(exists(store, "contract.zero"));
    assert_eq!(increment(store, "contract.zero", 1), 1);
}

/// An error leaves the value as it was.
pub fn an_increment_of_what_is_no_counter_changes_nothing(store: &dyn Store) {
    set(store, "contract.text", "no counter");
    let refused = store.increment("contract.text", 1);
    assert!(matches!(refused, Err(StoreError::Other(_))), "{refused:?}");
    assert_eq!(get(store, "contract.text"), Some(bytes("no counter")));
}

/// The ends of the range are an error, not a wrap.
pub fn a_counter_never_overflows(store: &dyn Store) {
    assert_eq!(increment(store, "contract.top", i64::MAX), i64::MAX);
    let refused = store.increment("contract.top", 1);
    assert!(matches!(refused, Err(StoreError::Other(_))), "{refused:?}");
    assert_eq!(increment(store, "contract.top", 0), i64::MAX);
}

/// The plain case.
pub fn a_swap_of_what_was_seen_is_done(store: &dyn Store) {
    set(store, "contract.swap", "one");
    let seen = see(store, "contract.swap");
    assert_eq!(seen.value, Some(bytes("one")));
    assert!(store.swap("contract.swap", &seen, bytes("two")).is_ok());
    assert_eq!(get(store, "contract.swap"), Some(bytes("two")));
}

/// Of two that saw the same, one loses.
pub fn a_swap_after_another_swap_fails(store: &dyn Store) {
    set(store, "contract.twice", "one");
    let first = see(store, "contract.twice");
    let second = see(store, "contract.twice");
    assert!(store.swap("contract.twice", &first, bytes("two")).is_ok());
    let refused = store.swap("contract.twice", &second, bytes("three"));
    assert_eq!(refused, Err(SwapError::Conflict));
    assert_eq!(get(store, "contract.twice"), Some(bytes("two")));
}

/// Plain writes count as changes.
pub fn a_swap_after_any_other_write_fails(store: &dyn Store) {
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
pub fn a_swap_after_the_same_value_came_back_fails(store: &dyn Store) {
    set(store, "contract.aba", "a");
    let seen = see(store, "contract.aba");
    set(store, "contract.aba", "b");
    set(store, "contract.aba", "a");
    let refused = store.swap("contract.aba", &seen, bytes("c"));
    assert_eq!(refused, Err(SwapError::Conflict));
}

/// Absence is a condition as good as any.
pub fn an_absent_key_is_created_by_one_swap_only(store: &dyn Store) {
    let first = see(store, "contract.create");
    let second = see(store, "contract.create");
    assert_eq!(first.value, None);
    assert!(store.swap("contract.create", &first, bytes("mine")).is_ok());
    let refused = store.swap("contract.create", &second, bytes("theirs"));
    assert_eq!(refused, Err(SwapError::Conflict));
    assert_eq!(get(store, "contract.create"), Some(bytes("mine")));
}

/// Absent, present, absent again is a change.
pub fn a_key_that_came_and_went_is_not_swapped_as_absent(store: &dyn Store) {
    let seen = see(store, "contract.went");
    set(store, "contract.went", "short-lived");
    delete(store, "contract.went");
    let refused = store.swap("contract.went", &seen, bytes("mine"));
    assert_eq!(refused, Err(SwapError::Conflict));
    assert_eq!(get(store, "contract.went"), None);
}

/// Neither the value nor its number.
pub fn a_failed_swap_changes_nothing(store: &dyn Store) {
    set(store, "contract.failed", "one");
    let seen = see(store, "contract.failed");
    set(store, "contract.failed", "two");
    let before = store.last_change("contract.failed");
    let refused = store.swap("contract.failed", &seen, bytes("three"));
    assert_eq!(refused, Err(SwapError::Conflict));
    assert_eq!(store.last_change("contract.failed"), before);
    assert_eq!(get(store, "contract.failed"), Some(bytes("two")));
}

/// Numbers grow, the store's with the key's.
pub fn every_change_has_a_higher_number(store: &dyn Store) {
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

/// What a write says its number is, and what a read says, is the key's own.
pub fn reads_and_writes_tell_the_number_of_the_change(store: &dyn Store) {
    let key = "contract.told";
    let absent = see(store, key).changed;
    let written = store.set(key, bytes("one")).expect("the store writes");
    assert!(written > absent);
    assert_eq!(see(store, key).changed, written);
    assert_eq!(store.exists(key), Ok((true, written)));
    let swapped = store.swap(key, &see(store, key), bytes("two"));
    let swapped = swapped.expect("nobody else wrote");
    assert!(swapped > written);
    assert_eq!(see(store, key).changed, swapped);
    let deleted = delete(store, key);
    assert!(deleted > swapped);
    assert!(see(store, key).changed >= deleted);
    let (_, counted) = store.increment(key, 1).expect("the store counts");
    assert!(counted > deleted);
    assert_eq!(store.exists(key), Ok((true, counted)));
}

/// Whatever was said becomes durable, without anybody's help.
pub fn every_change_settles(store: &dyn Store) {
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

/// Also where the key is gone by the time one looks.
pub fn a_change_after_a_noted_number_is_never_missed(store: &dyn Store) {
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

/// Set, swap, increment and delete.
pub fn a_watch_is_woken_by_every_kind_of_change(store: &dyn Store) {
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

/// One reader of one stream pays for nobody else.
pub fn a_watch_is_left_alone_by_other_keys(store: &dyn Store) {
    let mut watch = store.watch("contract.quiet");
    for number in 0..100 {
        let other = format!("contract.loud.{number}");
        store.set(&other, bytes("x")).expect("the store writes");
    }
    assert_eq!((&mut watch).now_or_never(), None);
}

const THREADS: u64 = 8;
const ROUNDS: u64 = 500;

fn race(work: impl Fn(u64) + Sync) {
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let work = &work;
            scope.spawn(move || work(thread));
        }
    });
}

/// A counter kept by swaps alone.
pub fn racing_swaps_lose_no_increment(store: &dyn Store) {
    let key = "contract.race.swap";
    race(|_| {
        for _ in 0..ROUNDS {
            loop {
                let seen = see(store, key);
                let text = seen.value.clone().unwrap_or_else(|| bytes("0"));
                let text = std::str::from_utf8(&text).expect("digits");
                let next = text.parse::<u64>().expect("digits").saturating_add(1);
                match store.swap(key, &seen, next.to_string().into()) {
                    Ok(_) => break,
                    Err(SwapError::Conflict) => {}
                    Err(SwapError::Store(error)) => panic!("{error}"),
                }
            }
        }
    });
    let total = (THREADS * ROUNDS).to_string();
    assert_eq!(get(store, key), Some(Bytes::from(total)));
}

/// Who is told that it created the key finds its own value there.
pub fn racing_creators_elect_one(store: &dyn Store) {
    for round in 0..50 {
        let key = format!("contract.race.create.{round}");
        let winner = AtomicU64::new(THREADS);
        race(|thread| {
            let seen = see(store, &key);
            let mine = Bytes::from(thread.to_string());
            if seen.value.is_none() && store.swap(&key, &seen, mine).is_ok() {
                let before = winner.swap(thread, Ordering::SeqCst);
                assert_eq!(before, THREADS, "two creators of {key}");
            }
        });
        let winner = winner.into_inner();
        // An absent key's swap may fail for nothing, so there may be no winner at all.
        let expected = (winner < THREADS).then(|| Bytes::from(winner.to_string()));
        assert_eq!(get(store, &key), expected);
    }
}

/// Each caller gets a sum of its own.
pub fn racing_increments_are_all_counted(store: &dyn Store) {
    let key = "contract.race.increment";
    let sum = AtomicU64::new(0);
    race(|_| {
        for _ in 0..ROUNDS {
            let count = increment(store, key, 1);
            sum.fetch_add(count.unsigned_abs(), Ordering::SeqCst);
        }
    });
    let last = THREADS * ROUNDS;
    assert_eq!(increment(store, key, 0), last as i64);
    assert_eq!(sum.into_inner(), last * (last + 1) / 2);
}

/// The loop that live reads are made of: note, read, register, look, wait. Were a wake-up lost, the
/// waiter would hang; were a number too low, it would miss the last value.
pub fn a_waiter_sees_every_value_of_a_racing_writer(store: &dyn Store) {
    let key = "contract.race.wait";
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            loop {
                let noted = store.latest_change();
                let value = get(store, key).unwrap_or_default();
                if value == ROUNDS.to_string() {
                    break;
                }
                let watch = store.watch(key);
                if store.last_change(key) <= noted {
                    futures::executor::block_on(watch);
                }
            }
        });
        for number in 0..=ROUNDS {
            let value = Bytes::from(number.to_string());
            store.set(key, value).expect("the store writes");
            if number % 16 == 0 {
                std::thread::yield_now();
            }
        }
        waiter.join().expect("the waiter saw the last value");
    });
}
