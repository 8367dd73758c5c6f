//! Values recorded as lost.

use super::super::{Hole, ReadError, check};
use super::*;

fn hole(key: &str, length: u32, sequence: u64) -> Hole {
    Hole {
        key: key.into(),
        length,
        sequence: ChangeNumber::new(sequence),
    }
}

/// Creates a log with one hole of each of these lengths, each in its own segment.
fn log_with_holes(files: &FaultyFiles) -> Log {
    let (log, _) = try_open(files, small_segments()).expect("opens");
    for (number, length) in [0, 1, 3000].into_iter().enumerate() {
        let key = format!("hole{number}");
        let number = number as u64 * 10 + 1;
        log.commit_holes(&[hole(&key, length, number)])
            .expect("commits");
        commit(&log, set("a", &[number as u8; 3000], number + 1)).expect("commits");
    }
    log
}

#[track_caller]
fn expect_holes(files: &FaultyFiles, log: &Log) {
    for (number, length) in [0, 1, 3000].into_iter().enumerate() {
        let key = format!("hole{number}");
        assert_eq!(log.value_length(&key), Some(length));
        let failed = log.get(&key, Wait::ForDisk);
        assert!(matches!(failed, Err(ReadError::Damaged { .. })), "{key}");
    }
    let report = check(Path::new(DIR), Arc::new(files.kill())).expect("reads");
    assert_eq!(report.damages, []);
    assert_eq!(report.holes.len(), 3);
}

#[test]
fn a_hole_is_unreadable_and_no_damage_also_after_compaction_and_a_start() {
    let files = FaultyFiles::default();
    let log = log_with_holes(&files);
    expect_holes(&files, &log);
    for number in 100..110 {
        commit(&log, set("a", &[number as u8; 3000], number)).expect("commits");
        commit(&log, set("b", &[number as u8; 3000], number + 100)).expect("commits");
    }
    compact_all(&log);
    expect_holes(&files, &log);
    drop(log);
    let (log, _) = try_open(&files, small_segments()).expect("opens");
    expect_holes(&files, &log);
}

#[test]
fn a_hole_that_is_deleted_or_replaced_is_gone() {
    let files = FaultyFiles::default();
    let log = log_with_holes(&files);
    commit(&log, delete("hole0", 200)).expect("commits");
    commit(&log, set("hole1", b"found", 201)).expect("commits");
    commit(&log, delete("hole2", 202)).expect("commits");
    assert_eq!(value(&log, "hole0"), None);
    assert_eq!(value(&log, "hole1").as_deref(), Some(&b"found"[..]));
    compact_all(&log);
    drop(log);
    assert_eq!(value(&open(&files), "hole2"), None);
}

#[test]
fn no_flipped_bit_of_a_value_makes_it_a_hole() {
    let files = FaultyFiles::default();
    let log = open(&files);
    commit(&log, set("a", b"some bytes", 1)).expect("commits");
    let end = log.stats().disk_bytes as usize;
    commit(&log, set("b", b"a proof of it", 2)).expect("commits");
    drop(log);
    let whole = files.contents(&segment(1));
    for bit in end * 8 - 80..end * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        files.put(&segment(1), flipped);
        let report = check(Path::new(DIR), Arc::new(files.clone())).expect("reads");
        assert_eq!((report.damages.len(), report.holes.len()), (1, 0));
    }
}
