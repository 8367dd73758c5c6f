//! Deletions on a full disk.
//!
//! On a disk filled up by small appends, the store refused all of 3,660 deletions, even after a
//! restart, since a deletion itself takes room.

use super::super::faults::{Fault, Operation};
use super::*;
use std::io::ErrorKind;

const DISK: u64 = 8 << 20;

/// A log that has filled up a small disk with values of 2,000 bytes, and its keys in random order.
fn full_log(files: &FaultyFiles) -> (Log, Vec<String>) {
    let (log, recovered) = try_open(files, Options::default()).expect("opens");
    assert!(!recovered.lacks_reserve);
    let mut random = Random::new(7);
    let mut keys = Vec::new();
    for sequence in 1..100_000 {
        let key = format!("k{sequence}");
        match commit(&log, set(&key, &[7; 2000], sequence)) {
            Ok(()) => keys.insert(random.below(keys.len() + 1), key),
            Err(CommitError::Full(_)) => return (log, keys),
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the disk does not fill up");
}

/// Deletes keys one by one, and compacts now and then. Before each deletion it writes an upkeep
/// record, which grows the store.
fn empty(log: &Log, keys: Vec<String>) {
    let mut sequence = 1_000_000;
    for (number, key) in keys.into_iter().enumerate() {
        sequence += 3;
        let upkeep = format!("upkeep{number}");
        let batches = [
            (set(&upkeep, &[1; 100], sequence), 100),
            (delete(&key, sequence + 1), 0),
            (delete(&upkeep, sequence + 2), 0),
        ];
        for (change, growth) in batches {
            let freed = match log.commit(std::slice::from_ref(&change)) {
                Err(CommitError::Full(_)) => log.commit_freeing(&[change], growth),
                other => other,
            };
            freed.unwrap_or_else(|error| panic!("{number}: {error}"));
        }
        if number % 100 == 99 {
            let mut steps = 0;
            while log.compact().expect("compacts") {
                steps += 1;
                assert!(steps < 1000);
            }
            log.restore_reserve();
        }
    }
}

#[test]
fn a_full_disk_is_emptied_by_deletions_and_takes_writes_again() {
    for restart in [false, true] {
        let files = FaultyFiles::default();
        files.limit_disk(DISK);
        let (mut log, keys) = full_log(&files);
        if restart {
            drop(log);
            log = open(&files);
        }
        empty(&log, keys);
        compact_all(&log);
        assert!(log.restore_reserve());
        assert!(!log.is_on_reserve());
        commit(&log, set("a", &vec![1; 3 << 20], 2_000_000)).expect("there is room");
        expect_exact_live_bytes(&log);
        drop(log);
        let (log, recovered) = try_open(&files, Options::default()).expect("opens");
        assert!(!recovered.lacks_reserve);
        assert_eq!(contents(&log).len(), 1);
    }
}

#[test]
fn on_the_reserve_other_writes_are_refused_and_growing_ones_get_half_of_it() {
    let files = FaultyFiles::default();
    files.limit_disk(DISK);
    let (log, keys) = full_log(&files);
    let upkeep = set("upkeep", &[2; 1000], 1_000_000);
    log.commit_freeing(&[upkeep], 0)
        .expect("there is a reserve");
    assert!(log.is_on_reserve());
    let other = commit(&log, set("k1", b"", 2_000_000));
    assert!(matches!(other, Err(CommitError::Full(_))));
    let half = DISK / 16 / 2;
    let mut grown = 0;
    for sequence in 2_000_000.. {
        match log.commit_freeing(&[set("upkeep", &[sequence as u8; 2000], sequence)], 2000) {
            Ok(()) => grown += 2000,
            Err(CommitError::Full(_)) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert!((half - 2000..=half).contains(&grown), "{grown}");
    assert!(!log.restore_reserve(), "there is no room for it");
    let deleted = log.commit_freeing(&[delete(&keys[0], 3_000_000)], 0);
    deleted.expect("a deletion is always taken");
}

#[test]
fn a_store_starts_without_a_reserve_where_there_is_no_room_and_builds_it_later() {
    let files = FaultyFiles::default();
    files.limit_disk(DISK);
    let (log, _) = full_log(&files);
    drop(log);
    remove(&files, Path::new("/store/RESERVE"));
    files.put(Path::new("/elsewhere"), vec![0; (DISK / 16) as usize]);
    let (log, recovered) = try_open(&files, Options::default()).expect("opens");
    assert!(recovered.lacks_reserve && log.is_on_reserve());
    assert!(commit(&log, set("a", b"1", 1_000_000)).is_err());
    assert!(value(&log, "k1").is_some());
    remove(&files, Path::new("/elsewhere"));
    files.limit_disk(2 * DISK);
    assert!(log.restore_reserve());
    commit(&log, set("a", b"1", 1_000_001)).expect("it takes writes");
}

/// The power, or one operation, fails at each step that turns the reserve into a segment.
#[test]
fn a_reserve_that_becomes_a_segment_loses_nothing_when_that_fails() {
    for operations in 1..12 {
        for seed in 0..20 {
            let files = FaultyFiles::default();
            files.limit_disk(1 << 20);
            let (log, keys) = full_log(&files);
            files.crash_after(operations);
            let deleted = log.commit_freeing(&[delete(&keys[0], 1_000_000)], 0);
            let files = files.crash(seed);
            let log = open(&files);
            let left = contents(&log).len();
            match deleted {
                Ok(()) => assert_eq!(left, keys.len() - 1),
                Err(_) => assert!(left == keys.len() || left == keys.len() - 1),
            }
        }
    }
    for operation in [Operation::Rename, Operation::Write, Operation::SyncDir] {
        let files = FaultyFiles::default();
        files.limit_disk(1 << 20);
        let (log, mut keys) = full_log(&files);
        while !log.is_on_reserve() && keys.len() > 2 {
            files.fail(operation, 1, Fault::Error(ErrorKind::Other));
            let _ = log.commit_freeing(&[delete(&keys.remove(0), 1_000_000)], 0);
            files.heal();
            files.limit_disk(1 << 20);
        }
        drop(log);
        let log = open(&files);
        assert!(contents(&log).len() >= keys.len());
    }
}
