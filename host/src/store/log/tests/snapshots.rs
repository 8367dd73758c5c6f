//! Snapshots: each one is the log at one moment, whatever the log does later.

use super::super::faults::{Fault, Operation};
use super::super::{Anatomy, Snapshot, SnapshotError};
use super::*;
use std::io::ErrorKind;

type Contents = BTreeMap<String, (Bytes, ChangeNumber)>;

/// Copies a snapshot into a store on a disk of its own.
fn copy(snapshot: &Snapshot) -> Result<FaultyFiles, SnapshotError> {
    let files = FaultyFiles::default();
    let segments: Vec<_> = snapshot.segments().collect();
    for (number, bytes) in &segments {
        let mut read = vec![0; *bytes as usize];
        let reading = snapshot.open(*number)?;
        // Pieces of odd lengths.
        for (piece, buffer) in read.chunks_mut(700).enumerate() {
            reading.read_at(buffer, piece as u64 * 700)?;
        }
        files.put(&segment(*number), read);
    }
    let anatomy = Anatomy::of(snapshot.format(), &snapshot.store(), segments);
    let anatomy = anatomy.expect("a store of this version");
    files.put(Path::new(MANIFEST), anatomy.manifest);
    files.put(Path::new(FORMAT), anatomy.format);
    Ok(files)
}

fn copied(snapshot: &Snapshot) -> Contents {
    let files = copy(snapshot).expect("the snapshot reads");
    let (log, recovered) = try_open(&files, small_segments()).expect("opens");
    assert_eq!(recovered.cuts, [], "a snapshot ends at a whole batch");
    assert_eq!(log.verify().expect("reads").damages, []);
    contents(&log)
}

/// Commits a batch of random changes of ten keys.
fn change(log: &Log, random: &mut Random, sequence: &mut u64) -> Result<(), CommitError> {
    let mut batch = Vec::new();
    for _ in 0..1 + random.below(4) {
        *sequence += 1;
        let key = format!("k{}", random.below(10));
        let older = value(log, &key).filter(|value| value.len() < 3000);
        let change = match (random.below(6), older) {
            (0, _) => delete(&key, *sequence),
            (1..4, Some(older)) => set(&key, &appended(&older, *sequence, 40), *sequence),
            _ => set(&key, &appended(&[7; 1200], *sequence, 100), *sequence),
        };
        batch.push(change);
    }
    log.commit(&batch)
}

/// Commits, compactions and removals between the reads do not show in a snapshot.
#[test]
fn a_snapshot_stays_the_log_of_its_moment() {
    for seed in 0..30 {
        let files = FaultyFiles::default();
        let log = try_open(&files, small_segments()).expect("opens").0;
        let (mut random, mut sequence) = (Random::new(seed), 0);
        let mut snapshots: Vec<(Snapshot, Contents)> = Vec::new();
        for _ in 0..60 {
            for _ in 0..random.below(8) {
                change(&log, &mut random, &mut sequence).expect("commits");
                for _ in 0..random.below(3) {
                    log.compact().expect("compacts");
                }
            }
            snapshots.push((log.snapshot(), contents(&log)));
            let (snapshot, expected) = &snapshots[random.below(snapshots.len())];
            assert_eq!(copied(snapshot), *expected);
        }
        compact_all(&log);
        for (snapshot, expected) in &snapshots {
            assert_eq!(copied(snapshot), *expected);
        }
    }
}

#[test]
fn a_snapshot_after_a_failed_write_or_sync_has_every_acknowledged_batch_and_no_other() {
    for (operation, nth) in [(Operation::Write, 1), (Operation::Sync, 1)] {
        let files = FaultyFiles::default();
        let log = try_open(&files, small_segments()).expect("opens").0;
        commit(&log, set("a", b"kept", 1)).expect("commits");
        files.fail(operation, nth, Fault::Error(ErrorKind::Other));
        assert!(commit(&log, set("a", b"lost", 2)).is_err());
        let held = copied(&log.snapshot());
        let values: Vec<_> = held.values().map(|(value, _)| value.clone()).collect();
        assert_eq!(values, ["kept"], "{operation:?}");
    }
}

/// A store that is restored from a snapshot takes writes, and its own crashes lose none of them.
#[test]
fn a_copied_snapshot_goes_on_as_a_store() {
    let files = FaultyFiles::default();
    let log = try_open(&files, small_segments()).expect("opens").0;
    let (mut random, mut sequence) = (Random::new(3), 0);
    for _ in 0..50 {
        change(&log, &mut random, &mut sequence).expect("commits");
    }
    let files = copy(&log.snapshot()).expect("reads");
    let log = try_open(&files, small_segments()).expect("opens").0;
    for _ in 0..50 {
        change(&log, &mut random, &mut sequence).expect("commits");
        log.compact().expect("compacts");
    }
    let expected = contents(&log);
    for seed in 0..20 {
        let crashed = files.crash(seed);
        let log = try_open(&crashed, small_segments()).expect("opens").0;
        assert_eq!(contents(&log), expected);
    }
}

/// Fills a log with values that are replaced, so that most segments can be removed.
fn replaced(files: &FaultyFiles) -> Log {
    let log = try_open(files, small_segments()).expect("opens").0;
    for sequence in 1..100 {
        commit(&log, set("a", &[sequence as u8; 1000], sequence)).expect("commits");
    }
    log
}

#[test]
fn removed_segments_keep_their_room_until_the_snapshot_is_dropped() {
    let files = FaultyFiles::default();
    files.leave_room(1 << 30);
    let log = replaced(&files);
    let room = || files.room(Path::new(DIR));
    let snapshot = log.snapshot();
    let before = room();
    compact_all(&log);
    assert!(log.stats().segments < 5);
    assert_eq!(room(), before, "the snapshot holds the removed segments");
    drop(snapshot);
    assert!(room() > before + 50_000);
}

#[test]
fn a_nearly_full_disk_ends_the_snapshots_that_hold_removed_segments() {
    let files = FaultyFiles::default();
    let log = replaced(&files);
    files.leave_room(1 << 30);
    let old = log.snapshot();
    compact_all(&log);
    let new = log.snapshot();
    let segment = small_segments().segment_bytes;
    files.leave_room(2 * segment - 1);
    compact_all(&log);
    assert!(old.is_ended());
    assert!(!new.is_ended(), "it holds no removed segment");
    let why = copy(&old).err().expect("it is ended").to_string();
    assert!(why.contains("nearly full"), "{why}");
    assert!(files.room(Path::new(DIR)) > 50_000, "the room is back");
    assert_eq!(copied(&new), contents(&log));
}

/// Without the snapshot there would have been room.
#[test]
fn a_commit_takes_the_room_of_a_snapshot_when_there_is_no_other() {
    let files = FaultyFiles::default();
    let log = replaced(&files);
    let snapshot = log.snapshot();
    compact_all(&log);
    files.leave_room(0);
    commit(&log, set("a", &[1; 3000], 100)).expect("the snapshot's room is taken");
    assert!(snapshot.is_ended());
    let reading = snapshot.open(1);
    assert!(matches!(reading, Err(SnapshotError::NearlyFull)));
}

#[test]
fn a_snapshot_that_is_read_when_it_ends_fails_at_the_next_read() {
    let files = FaultyFiles::default();
    let log = replaced(&files);
    let snapshot = log.snapshot();
    let reading = snapshot.open(1).expect("it is there");
    compact_all(&log);
    files.leave_room(0);
    reading.read_at(&mut [0; 10], 0).expect("it reads");
    let beyond = reading.read_at(&mut [0; 10], 1 << 20);
    assert!(matches!(beyond, Err(SnapshotError::Absent)));
    commit(&log, set("a", &[1; 3000], 100)).expect("commits");
    let late = reading.read_at(&mut [0; 10], 0);
    assert!(matches!(late, Err(SnapshotError::NearlyFull)));
}
