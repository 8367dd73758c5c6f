use super::*;
use crate::store::{MemoryStore, SpinStore, contract};
use futures::FutureExt;
use std::collections::BTreeSet;

fn faulty(seed: u64) -> (FaultyStore, Arc<MemoryStore>) {
    let below = Arc::new(MemoryStore::new());
    let store = FaultyStore::new(Arc::clone(&below) as Arc<dyn Store>, seed);
    (store, below)
}

/// Returns the value in the store below, without faults.
fn value(below: &MemoryStore, key: &str) -> Option<Bytes> {
    below.get(key).expect("memory answers").value
}

fn bytes(number: u64) -> Bytes {
    Bytes::from(number.to_string())
}

#[test]
fn without_faults_the_contract_is_kept() {
    let never = Rates::default();
    let below = || Arc::new(MemoryStore::new());
    contract::check_all(
        &|| Arc::new(FaultyStore::with_rates(below(), 1, never)),
        &[],
    );
}

/// Swaps numbers into one key, each built on the last. Returns the result of each attempt, and
/// whether it was applied.
fn swaps(store: &FaultyStore, below: &MemoryStore, count: u64) -> Vec<(String, bool)> {
    (1..=count)
        .map(|number| {
            store.land();
            let seen = below.get("k").expect("memory answers");
            let answer = store.swap("k", &seen, bytes(number));
            let answer = answer.map_or_else(|error| error.to_string(), |_| "ok".to_owned());
            (answer, value(below, "k") == Some(bytes(number)))
        })
        .collect()
}

#[test]
fn the_same_seed_and_operations_are_the_same_history() {
    let run = |seed| {
        let (store, below) = faulty(seed);
        swaps(&store, &below, 2000)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn an_answer_reveals_no_more_of_the_effect_than_a_store_may() {
    let (store, below) = faulty(4);
    let outcomes: BTreeSet<_> = swaps(&store, &below, 5000).into_iter().collect();
    let unavailable = |why: &str, applied| (format!("unavailable: injected: {why}"), applied);
    let conflict = SwapError::Conflict.to_string();
    let expected = BTreeSet::from([
        ("ok".to_owned(), true),
        (conflict.clone(), true),
        (conflict, false),
        ("full: injected".to_owned(), false),
        unavailable("not sent", false),
        unavailable("no answer", true),
        unavailable("no answer yet", false),
        unavailable("timed out", true),
        unavailable("timed out", false),
    ]);
    assert_eq!(outcomes, expected);
}

#[test]
fn most_operations_succeed() {
    let (store, _) = faulty(5);
    let good = (0..1000).filter(|number| store.set("k", bytes(*number)).is_ok());
    let good = good.count();
    assert!((900..1000).contains(&good), "{good}");
    let good = (0..1000).filter(|_| store.get("k").is_ok()).count();
    assert!((950..1000).contains(&good), "{good}");
}

/// Repeats a write until its error says that it is still under way.
fn until_late(mut write: impl FnMut() -> String) {
    let late = (0..10_000).any(|_| write().contains("no answer yet"));
    assert!(late, "no write was late");
}

fn error_text<T, E: std::fmt::Display>(result: Result<T, E>) -> String {
    result
        .err()
        .map_or_else(String::new, |error| error.to_string())
}

#[test]
fn a_late_write_lands_after_some_later_operations_and_wakes_waiting_readers() {
    let (store, below) = faulty(6);
    let mut number = 0;
    until_late(|| {
        number += 1;
        error_text(store.set(&format!("k.{number}"), bytes(1)))
    });
    let key = format!("k.{number}");
    assert_eq!(value(&below, &key), None);
    let noted = store.latest_change();
    let mut watch = store.watch(&key);
    let overtaking = (0..100).take_while(|_| {
        let _ = store.exists("other");
        value(&below, &key).is_none()
    });
    assert!(overtaking.count() < 32);
    assert_eq!(value(&below, &key), Some(bytes(1)));
    assert!(store.last_change(&key) > noted);
    assert_eq!((&mut watch).now_or_never(), Some(()));
}

#[test]
fn a_late_deletion_removes_a_value_written_meanwhile() {
    let (store, below) = faulty(7);
    until_late(|| {
        below.set("k", bytes(1)).expect("memory writes");
        error_text(store.delete("k"))
    });
    below.set("k", bytes(2)).expect("memory writes");
    store.land();
    assert_eq!(value(&below, "k"), None);
}

#[test]
fn a_late_increment_counts_once() {
    let (store, below) = faulty(8);
    let mut number = 0;
    until_late(|| {
        number += 1;
        error_text(store.increment(&format!("k.{number}"), 1))
    });
    let key = format!("k.{number}");
    store.land();
    store.land();
    assert_eq!(below.increment(&key, 0).map(|(sum, _)| sum), Ok(1));
}

#[test]
fn a_late_swap_is_not_applied_once_the_key_has_changed() {
    for changed in [false, true] {
        let (store, below) = faulty(9);
        until_late(|| {
            below.set("k", bytes(0)).expect("memory writes");
            let seen = below.get("k").expect("memory answers");
            error_text(store.swap("k", &seen, bytes(1)))
        });
        if changed {
            below.set("k", bytes(2)).expect("memory writes");
        }
        store.land();
        let expected = if changed { bytes(2) } else { bytes(1) };
        assert_eq!(value(&below, "k"), Some(expected));
    }
}

#[test]
fn the_properties_of_the_wrapped_store_show_through() {
    let below = SpinStore::sqlite(Arc::new(MemoryStore::new()));
    let store = FaultyStore::new(Arc::new(below), 7);
    assert!(!store.ignores_labels());
    assert!(store.is_volatile());
    assert_eq!(store.kind(), "spin-sqlite");
    assert_eq!(store.describe(), "spin-sqlite with faults:7");
}
