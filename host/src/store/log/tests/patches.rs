//! Values stored as patches of older ones.

use super::super::faults::{Fault, Operation};
use super::super::{Durability, ReadError};
use super::*;
use std::io::ErrorKind;

/// The value of `a` after this many commits of [`append`].
pub(super) fn a_after(number: u64) -> Vec<u8> {
    (0..number).fold(appended(&[], 0, 1100), |value, number| {
        appended(&value, number, 20)
    })
}

/// Commits the next value of `a`. The third value is the first that may be a patch; its base is the
/// second.
pub(super) fn append(log: &Log, number: u64) -> Result<(), CommitError> {
    commit(log, set("a", &a_after(number), number))
}

pub(super) fn log_with_a_patch(files: &FaultyFiles) -> Log {
    let log = open(files);
    for number in 1..=3 {
        append(&log, number).expect("commits");
    }
    assert_eq!(patches(&log), 1);
    log
}

#[test]
fn a_patched_value_is_read_also_after_opening_again() {
    let files = FaultyFiles::default();
    let log = open(&files);
    for number in 1..=9 {
        let before = log.stats().disk_bytes;
        append(&log, number).expect("commits");
        let written = log.stats().disk_bytes - before;
        assert_eq!(written < 400, number > 2, "{written} bytes for {number}");
        assert_eq!(value(&log, "a").as_deref(), Some(&*a_after(number)));
        let length = a_after(number).len() as u32;
        log.for_each_key(|_, _, shown| assert_eq!(shown, length));
    }
    let before = contents(&log);
    let live = log.stats().live_bytes;
    drop(log);
    for files in [files.clone(), files.kill(), files.crash(1)] {
        let log = open(&files);
        assert_eq!(contents(&log), before);
        assert_eq!((patches(&log), log.stats().live_bytes), (1, live));
        // The bases in memory are gone after the log is opened again.
        append(&log, 10).expect("commits");
        assert_eq!(patches(&log), 0);
        append(&log, 11).expect("commits");
        assert_eq!(patches(&log), 1);
        assert_eq!(value(&log, "a").as_deref(), Some(&*a_after(11)));
    }
}

#[test]
fn a_patched_value_takes_two_reads_and_neither_waits_where_it_must_not() {
    let files = FaultyFiles::default();
    let log = log_with_a_patch(&files);
    let found = log.get("a", Wait::Never).expect("reads");
    assert!(matches!(found, Found::Value { .. }));
    let evicted = files.clone();
    // The patch is still read from memory, but its base is not.
    files.before_read(1, move || evicted.evict());
    let found = log.get("a", Wait::Never).expect("reads");
    assert_eq!(found, Found::NotResident);
    let found = log.get("a", Wait::Never).expect("reads");
    assert_eq!(found, Found::NotResident);
    assert_eq!(value(&log, "a").as_deref(), Some(&*a_after(3)));
    for nth in 1..=2 {
        files.fail(Operation::Read, nth, Fault::Error(ErrorKind::Other));
        let failed = log.get("a", Wait::ForDisk);
        assert!(matches!(failed, Err(ReadError::Io { .. })));
        files.heal();
    }
}

#[test]
fn a_deleted_or_replaced_value_is_no_base_any_more() {
    let files = FaultyFiles::default();
    let log = log_with_a_patch(&files);
    commit(&log, delete("a", 4)).expect("commits");
    commit(&log, set("a", &a_after(5), 5)).expect("commits");
    assert_eq!(patches(&log), 0);
    commit(&log, set("a", b"short", 6)).expect("commits");
    commit(&log, set("a", &a_after(7), 7)).expect("commits");
    assert_eq!(patches(&log), 0);
    commit(&log, set("a", &a_after(8), 8)).expect("commits");
    assert_eq!(patches(&log), 1);
    let before = contents(&log);
    drop(log);
    assert_eq!(contents(&open(&files)), before);
}

#[test]
fn a_batch_that_failed_is_no_base() {
    let files = FaultyFiles::default();
    let log = log_with_a_patch(&files);
    let other = appended(&[], 1, 3000);
    for number in 4..8 {
        for nth in 1..=2 {
            files.fail(Operation::Write, nth, Fault::Error(ErrorKind::StorageFull));
        }
        let failed = commit(&log, set("a", &other, number));
        assert!(matches!(failed, Err(CommitError::Full(_))));
        files.heal();
        append(&log, number).expect("commits");
        assert_eq!(patches(&log), 1);
        assert_eq!(value(&log, "a").as_deref(), Some(&*a_after(number)));
        assert_eq!(
            value(&open(&files.crash(number)), "a").as_deref(),
            Some(&*a_after(number))
        );
    }
}

/// A log with a third of each segment live: the values of `a0`, `a1`, ... and the bases of their
/// patches.
fn log_with_much_garbage(files: &FaultyFiles) -> Log {
    let (log, _) = try_open(files, small_segments()).expect("opens");
    for sequence in 1..=150 {
        let (key, number) = (sequence / 4, sequence % 4 + 1);
        let change = set(&format!("a{key}"), &a_after(number), sequence);
        commit(&log, change).expect("commits");
    }
    assert!(patches(&log) > 10);
    log
}

#[test]
fn a_patched_value_is_moved_whole_and_with_its_sequence() {
    let files = FaultyFiles::default();
    let log = log_with_much_garbage(&files);
    let before = contents(&log);
    let segments = log.stats().segments;
    let all = patches(&log);
    compact_all(&log);
    assert!(log.stats().segments < segments);
    assert!(patches(&log) + 3 < all);
    assert_eq!(contents(&log), before);
    for seed in 0..20 {
        let (log, _) = try_open(&files.crash(seed), small_segments()).expect("opens");
        assert_eq!(contents(&log), before);
    }
}

#[test]
fn a_patch_that_changes_while_it_is_being_moved_is_not_moved() {
    let mut changed = 0;
    // Find the key that is moved first: its value is no patch any more.
    let log = log_with_much_garbage(&FaultyFiles::default());
    let before = patched_keys(&log);
    while patched_keys(&log) == before {
        assert!(log.compact().expect("compacts"));
    }
    let after = patched_keys(&log);
    let key = before.iter().find(|key| !after.contains(*key));
    let key = key.expect("was moved").as_str();
    for deletes in [false, true] {
        for nth in 1..20 {
            let files = FaultyFiles::default();
            let log = Arc::new(log_with_much_garbage(&files));
            let mut expected = contents(&log);
            let change = if deletes {
                expected.remove(key);
                delete(key, 500)
            } else {
                let new = Bytes::from_static(b"new");
                expected.insert(key.to_owned(), (new, ChangeNumber::new(500)));
                set(key, b"new", 500)
            };
            let changing = Arc::clone(&log);
            files.before_read(nth, move || {
                commit(&changing, change).expect("commits");
            });
            compact_all(&log);
            // Compaction made fewer than `nth` reads, so the change did not happen.
            if log.highest_sequence() < ChangeNumber::new(500) {
                continue;
            }
            changed += 1;
            assert_eq!(contents(&log), expected);
            let (log, _) = try_open(&files.crash(nth), small_segments()).expect("opens");
            assert_eq!(contents(&log), expected);
        }
    }
    assert!(changed > 10, "{changed}");
}

/// Without syncs, the base of a later patch may be lost.
#[test]
fn without_syncs_no_patch_outlives_its_base() {
    let options = Options {
        durability: Durability::Os,
        ..Options::default()
    };
    let files = FaultyFiles::default();
    let (log, _) = try_open(&files, options).expect("opens");
    for number in 1..=6 {
        append(&log, number).expect("commits");
    }
    assert_eq!(patches(&log), 1);
    for seed in 0..200 {
        let (log, _) = try_open(&files.crash(seed), options).expect("opens");
        if let Some((found, sequence)) = read(&log, "a") {
            assert_eq!(&*found, &*a_after(sequence.get()));
        }
    }
}
