use super::FileStore;
use crate::store::log::Options;
use crate::store::log::faults::{Fault, FaultyFiles, Operation};
use crate::store::{ChangeNumber, Lost, Seen, Store, StoreError, SwapError, contract};
use bytes::Bytes;
use futures::executor::block_on;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

fn directory() -> PathBuf {
    PathBuf::from("/store")
}

fn is_upkeep(key: &str) -> bool {
    key.starts_with("upkeep")
}

fn open(files: &FaultyFiles) -> FileStore {
    let options = Options {
        segment_bytes: 1 << 20,
        ..Options::default()
    };
    let files = Arc::new(files.clone());
    let opened = FileStore::open(&directory(), files, options, is_upkeep, 0);
    opened.expect("it opens").0
}

fn settled(store: &FileStore, change: ChangeNumber) -> Result<(), Lost> {
    block_on(store.settle(change))
}

fn set(store: &FileStore, key: &str, value: &str) -> ChangeNumber {
    let changed = store.set(key, Bytes::from(value.to_owned()));
    changed.expect("the store writes")
}

fn get(store: &FileStore, key: &str) -> Option<Bytes> {
    store.get(key).expect("the store answers").value
}

#[test]
fn the_file_store_keeps_the_contract() {
    let directory = tempfile::tempdir().expect("a directory");
    let files = Arc::new(crate::store::log::SystemFiles);
    let opened = FileStore::open(directory.path(), files, Options::default(), is_upkeep, 0);
    let (store, _) = opened.expect("it opens");
    for (claim, check) in contract::CLAIMS {
        println!("{claim}");
        check(&store);
    }
}

#[test]
fn written_values_are_there_when_the_store_is_opened_again() {
    let files = FaultyFiles::default();
    let store = open(&files);
    for number in 0..1000 {
        set(&store, &format!("key.{number}"), &number.to_string());
    }
    store.delete("key.7").expect("the store deletes");
    store.increment("count", 3).expect("the store counts");
    let latest = store.latest_change();
    drop(store);
    let store = open(&files);
    assert_eq!(get(&store, "key.7"), None);
    assert_eq!(get(&store, "key.999"), Some(Bytes::from("999")));
    assert_eq!(store.increment("count", 1).map(|(sum, _)| sum), Ok(4));
    assert!(store.latest_change() > latest, "numbers go on");
}

#[test]
fn settled_changes_survive_a_crash_at_any_moment() {
    for operations in 1..60 {
        let files = FaultyFiles::default();
        let store = open(&files);
        files.crash_after(operations);
        let mut last_settled = 0;
        for number in 1..=20 {
            let Ok(changed) = store.set("key", Bytes::from(number.to_string())) else {
                break;
            };
            if settled(&store, changed).is_err() {
                break;
            }
            last_settled = number;
        }
        let store = open(&files.crash(operations));
        let found = get(&store, "key").unwrap_or_default();
        let found: u64 = std::str::from_utf8(&found).map_or(0, |text| text.parse().unwrap_or(0));
        // The write in flight may have become durable.
        let allowed = last_settled..=last_settled + 1;
        assert!(
            allowed.contains(&found),
            "{found}, {last_settled} had settled"
        );
    }
}

#[test]
fn changes_for_which_there_is_no_room_are_lost_and_the_store_goes_on() {
    let files = FaultyFiles::default();
    let store = open(&files);
    assert_eq!(settled(&store, set(&store, "key", "kept")), Ok(()));
    files.fail(
        Operation::Write,
        1,
        Fault::Short(10, ErrorKind::StorageFull),
    );
    let watch = store.watch("other");
    let lost = set(&store, "key", "lost");
    let built_on_it = Seen {
        value: Some(Bytes::from("lost")),
        changed: lost,
    };
    assert_eq!(settled(&store, lost), Err(Lost::NoSpace));
    assert_eq!(get(&store, "key"), Some(Bytes::from("kept")));
    assert_eq!(store.losses(), 1);
    let swapped = store.swap("key", &built_on_it, Bytes::from("on what was lost"));
    assert_eq!(swapped, Err(SwapError::Conflict));
    // Every waiting reader reads again.
    block_on(watch);
    assert!(
        store.write_since(0, "key", None).is_err(),
        "by a caller that may have seen the lost change"
    );
    assert!(
        store.write_since(0, "absent", None).is_err(),
        "also for an absent key: its value may have been lost"
    );
    assert!(store.write_since(1, "other", None).is_ok());
    assert_eq!(settled(&store, set(&store, "key", "again")), Ok(()));
    assert_eq!(settled(&store, lost), Err(Lost::NoSpace), "it stays lost");
    drop(store);
    assert_eq!(get(&open(&files), "key"), Some(Bytes::from("again")));
}

#[test]
fn every_key_counts_as_changed_after_a_loss() {
    let files = FaultyFiles::default();
    let store = open(&files);
    set(&store, "present", "value");
    let gone = set(&store, "gone", "value");
    store.delete("gone").expect("the store deletes");
    assert_eq!(settled(&store, store.latest_change()), Ok(()));
    files.fail(Operation::Write, 1, Fault::Error(ErrorKind::Other));
    let lost = set(&store, "key", "lost");
    assert_eq!(settled(&store, lost), Err(Lost::NotWritten));
    for key in ["present", "gone", "key", "never"] {
        assert!(store.last_change(key) > lost, "{key}");
        let seen = store.get(key).expect("the store answers");
        assert_eq!(seen.changed, store.last_change(key), "{key}");
        assert_eq!(settled(&store, seen.changed), Ok(()), "{key}");
    }
    assert!(gone < lost);
}

#[test]
fn after_a_failed_sync_writes_are_refused_and_reads_go_on() {
    let files = FaultyFiles::default();
    let store = open(&files);
    assert_eq!(settled(&store, set(&store, "key", "kept")), Ok(()));
    files.fail(Operation::Sync, 1, Fault::Error(ErrorKind::Other));
    let lost = set(&store, "key", "lost");
    assert_eq!(settled(&store, lost), Err(Lost::NotConfirmed));
    let refused = store.set("key", Bytes::from("more"));
    assert!(
        matches!(refused, Err(StoreError::Refused(_))),
        "{refused:?}"
    );
    assert_eq!(get(&store, "key"), Some(Bytes::from("kept")));
    drop(store);
    let store = open(&files);
    assert_eq!(settled(&store, set(&store, "key", "again")), Ok(()));
}

#[test]
fn a_value_that_is_not_in_memory_is_not_waited_for_in_a_hurry() {
    let files = FaultyFiles::default();
    let large = "x".repeat(100_000);
    let store = open(&files);
    set(&store, "large", &large);
    drop(store);
    let store = open(&files);
    files.evict();
    assert_eq!(store.get_now("large"), Ok(None));
    assert_eq!(get(&store, "large"), Some(Bytes::from(large)));
    let absent = store.get_now("absent").expect("the store answers");
    assert_eq!(
        absent.and_then(|seen| seen.value),
        None,
        "that takes no disk"
    );
}

#[test]
fn changes_that_wait_together_cost_one_write() {
    let files = FaultyFiles::default();
    let store = open(&files);
    let before = files.changes();
    for number in 0..5000 {
        set(&store, &format!("key.{}", number % 50), "value");
    }
    assert_eq!(settled(&store, store.latest_change()), Ok(()));
    let operations = files.changes() - before;
    assert!(
        operations < 2500,
        "{operations} operations for 5000 changes"
    );
}

#[test]
fn a_damaged_value_is_distinguished_from_a_failing_disk() {
    let files = FaultyFiles::default();
    let store = open(&files);
    for key in ["damaged", "intact"] {
        let changed = set(&store, key, "a value");
        settled(&store, changed).expect("it is kept");
    }
    drop(store);
    let path = directory().join("0000000001.log");
    let mut flipped = files.contents(&path);
    let at = flipped.windows(7).position(|bytes| bytes == b"a value");
    flipped[at.expect("it is there")] ^= 1;
    files.put(&path, flipped);
    let store = open(&files);
    let failed = store.get("damaged");
    assert!(matches!(failed, Err(StoreError::Damaged(_))), "{failed:?}");
    assert_eq!(get(&store, "intact"), Some(Bytes::from("a value")));
    files.fail(Operation::Read, 1, Fault::Error(ErrorKind::Other));
    let failed = store.get("intact");
    assert!(
        matches!(failed, Err(StoreError::Unavailable(_))),
        "{failed:?}"
    );
}
