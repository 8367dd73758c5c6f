use super::*;
use crate::store::MemoryStore;
use crate::store::contract::{self, Breach};

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

fn sqlite() -> SpinStore {
    SpinStore::sqlite(memory())
}

fn redis() -> SpinStore {
    SpinStore::redis(memory())
}

fn dynamodb() -> SpinStore {
    SpinStore::dynamodb(memory(), true)
}

fn lagging() -> SpinStore {
    SpinStore::dynamodb(memory(), false)
}

fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[test]
fn sqlite_keeps_the_contract_but_for_its_quirks() {
    let upsert = Breach::Always("a swap of an absent key is an upsert");
    let races = Breach::AtTimes("two creators may both get the answer that they won");
    contract::check_all(
        &|| Arc::new(sqlite()),
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
                "an_increment_of_a_value_that_is_no_counter_changes_nothing",
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
fn redis_keeps_the_contract_but_for_the_answer_of_a_swap() {
    let denied = Breach::Always("a swap that was applied is said to have failed");
    contract::check_all(
        &|| Arc::new(redis()),
        &[
            ("a_swap_of_the_current_value_is_applied", denied),
            ("a_swap_after_another_swap_fails", denied),
            ("an_absent_key_is_created_by_one_swap_only", denied),
            ("every_change_has_a_higher_number", denied),
            ("reads_and_writes_tell_the_number_of_the_change", denied),
            ("a_watch_is_woken_by_every_kind_of_change", denied),
            ("racing_creators_elect_one", denied),
            (
                "racing_swaps_lose_no_increment",
                Breach::AtTimes("a caller that believes the answer swaps for ever"),
            ),
        ],
    );
}

#[test]
fn dynamodb_keeps_the_contract_where_reads_are_consistent() {
    contract::check_all(&|| Arc::new(dynamodb()), &[]);
}

#[test]
fn every_kind_has_its_name_and_its_guarantees() {
    for (store, description, guarded, one_bucket) in [
        (sqlite(), "spin-sqlite", false, false),
        (redis(), "spin-redis", false, true),
        (dynamodb(), "spin-dynamodb", true, true),
        (lagging(), "spin-dynamodb with lagging reads", true, true),
    ] {
        assert_eq!(store.describe(), description);
        assert_eq!(store.guards_creation(), guarded, "{description}");
        assert_eq!(store.ignores_labels(), one_bucket, "{description}");
        assert!(store.is_volatile(), "{description}");
    }
}

/// Results of two swaps after both callers saw the key absent, and the final value.
fn two_creators(store: &SpinStore) -> (Vec<bool>, Option<Bytes>) {
    let absent = store.get("k").expect("memory answers");
    let creators = ["first", "second"];
    let answers = creators.map(|creator| store.swap("k", &absent, text(creator)).is_ok());
    (
        answers.to_vec(),
        store.get("k").expect("memory answers").value,
    )
}

#[test]
fn of_two_creators_sqlite_lets_both_win_redis_confirms_none_and_dynamodb_elects_one() {
    let (first, second) = (Some(text("first")), Some(text("second")));
    assert_eq!(two_creators(&sqlite()), (vec![true, true], second));
    assert_eq!(two_creators(&redis()), (vec![false, false], first.clone()));
    assert_eq!(two_creators(&dynamodb()), (vec![true, false], first));
}

#[test]
fn a_swap_after_a_value_was_restored_is_applied_over_sqlite_only() -> Result<(), StoreError> {
    for (store, applied) in [(sqlite(), true), (redis(), false), (dynamodb(), false)] {
        store.set("k", text("a"))?;
        let seen = store.get("k")?;
        store.set("k", text("b"))?;
        let refused = store.swap("k", &seen, text("c"));
        assert_eq!(refused, Err(SwapError::Conflict), "{}", store.kind());
        store.set("k", text("a"))?;
        assert_eq!(store.swap("k", &seen, text("c")).is_ok(), applied);
        let expected = if applied { "c" } else { "a" };
        assert_eq!(store.get("k")?.value, Some(text(expected)));
    }
    Ok(())
}

#[test]
fn a_swap_without_a_read_overwrites() -> Result<(), StoreError> {
    for store in [sqlite(), redis(), dynamodb()] {
        store.set("k", text("theirs"))?;
        let is_done = store.swap_unseen("k", text("mine")).is_ok();
        assert_eq!(is_done, store.kind() != "spin-redis", "{}", store.kind());
        assert_eq!(store.get("k")?.value, Some(text("mine")));
    }
    Ok(())
}

#[test]
fn redis_applies_a_swap_and_wakes_its_watchers_though_it_says_that_it_failed()
-> Result<(), StoreError> {
    let store = redis();
    store.set("k", text("0"))?;
    for count in ["1", "2", "3"] {
        let seen = store.get("k")?;
        let mut watch = store.watch("k");
        let refused = store.swap("k", &seen, text(count));
        assert_eq!(refused, Err(SwapError::Conflict));
        assert_eq!(store.get("k")?.value, Some(text(count)));
        assert!(store.last_change("k") > seen.changed);
        let woken = futures::FutureExt::now_or_never(&mut watch);
        assert_eq!(woken, Some(()));
    }
    Ok(())
}

#[test]
fn a_counter_is_kept_in_the_format_of_the_store() -> Result<(), StoreError> {
    let little_endian = Bytes::from_static(&[2, 1, 0, 0, 0, 0, 0, 0]);
    for (store, expected) in [
        (sqlite(), little_endian),
        (redis(), text("258")),
        (dynamodb(), text("258")),
    ] {
        assert_eq!(store.increment("k", 258)?.0, 258);
        assert_eq!(store.get("k")?.value, Some(expected));
    }
    Ok(())
}

#[test]
fn an_increment_of_any_other_value_ends_sqlite() -> Result<(), SwapError> {
    let store = sqlite();
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
fn a_plain_read_may_return_a_replaced_value_and_a_handle_never_does() -> Result<(), StoreError> {
    let store = lagging();
    store.set("k", text("old"))?;
    // Let the effects of earlier writes expire.
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
fn existence_may_lag_too() -> Result<(), StoreError> {
    let store = lagging();
    store.set("k", text("v"))?;
    let exist: Result<Vec<_>, _> = (0..2 * LAG).map(|_| store.exists("k")).collect();
    let exist: Vec<bool> = exist?.into_iter().map(|(exists, _)| exists).collect();
    assert!(exist.contains(&false), "{exist:?}");
    assert_eq!(exist.last(), Some(&true), "{exist:?}");
    Ok(())
}
