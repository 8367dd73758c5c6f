use super::super::Durability;
use super::super::faults::{Fault, Operation};
use super::*;
use std::io::ErrorKind;

/// A log with the value `1` for `a`.
fn log_with_a_value(files: &FaultyFiles, options: Options) -> Log {
    let (log, _) = try_open(files, options).expect("opens");
    commit(&log, set("a", b"1", 1)).expect("commits");
    log
}

fn expect_a_value_of(log: &Log, expected: &[u8]) {
    assert_eq!(value(log, "a").as_deref(), Some(expected));
}

#[test]
fn a_write_without_room_leaves_nothing_and_later_ones_work() {
    let files = FaultyFiles::default();
    let log = log_with_a_value(&files, Options::default());
    files.leave_room(10);
    for sequence in 2..5 {
        let batch = [
            set("a", &vec![2; 2 << 20], sequence),
            set("b", b"2", sequence),
        ];
        assert!(matches!(log.commit(&batch), Err(CommitError::Full(_))));
        expect_a_value_of(&log, b"1");
        assert_eq!(value(&log, "b"), None);
    }
    assert!(!log.refuses_writes());
    files.heal();
    commit(&log, set("a", b"3", 9)).expect("there is room");
    expect_a_value_of(&log, b"3");
    drop(log);
    let (log, recovered) = try_open(&files.crash(1), Options::default()).expect("opens");
    expect_a_value_of(&log, b"3");
    assert_eq!(recovered.cuts, []);
}

#[test]
fn the_remaining_room_goes_to_batches_and_not_to_zeros() {
    let files = FaultyFiles::default();
    let log = open(&files);
    files.leave_room(200);
    commit(&log, set("a", b"1", 1)).expect("there is room for this");
    expect_a_value_of(&log, b"1");
}

/// The zeros after a batch are written with it. When only the zeros found no room, the batch itself
/// was complete on the disk. A crash then brought back a batch that had failed for its caller.
#[test]
fn a_batch_that_failed_for_the_zeros_after_it_does_not_reappear() {
    for seed in 0..100 {
        let files = FaultyFiles::default();
        let log = open(&files);
        files.fail(
            Operation::Write,
            1,
            Fault::Short(1000, ErrorKind::StorageFull),
        );
        files.fail(Operation::Write, 3, Fault::Error(ErrorKind::StorageFull));
        let failed = commit(&log, set("a", b"2", 2));
        assert!(matches!(failed, Err(CommitError::Full(_))));
        assert_eq!(value(&open(&files.crash(seed)), "a"), None);
    }
}

#[test]
fn a_write_that_is_cut_short_leaves_nothing() {
    for (kind, bytes) in [
        (ErrorKind::FileTooLarge, 1),
        (ErrorKind::QuotaExceeded, 40),
        (ErrorKind::StorageFull, 50),
        (ErrorKind::Other, 60),
    ] {
        let files = FaultyFiles::default();
        let log = log_with_a_value(&files, Options::default());
        let before = files.contents(&segment(1));
        // A batch of this size gets no zeros written ahead, so the log tries the write only once.
        let batch = [set("a", &vec![2; 1 << 20], 2)];
        files.fail(Operation::Write, 1, Fault::Short(bytes, kind));
        match log.commit(&batch) {
            Err(CommitError::Full(_)) => assert_ne!(kind, ErrorKind::Other),
            Err(CommitError::Write(_)) => assert_eq!(kind, ErrorKind::Other),
            other => panic!("{other:?}"),
        }
        expect_a_value_of(&log, b"1");
        let after = files.contents(&segment(1));
        assert_eq!(before.get(..after.len()), Some(&*after));
        assert!(log.commit(&batch).is_ok());
        expect_a_value_of(&log, &vec![2; 1 << 20]);
    }
}

/// If the system allows no file as large as a segment, segments get smaller.
#[test]
fn a_file_that_may_not_grow_ends_its_segment() {
    let files = FaultyFiles::default();
    let log = log_with_a_value(&files, Options::default());
    let large = vec![2; 1 << 20];
    files.fail(Operation::Write, 1, Fault::Error(ErrorKind::FileTooLarge));
    let failed = commit(&log, set("b", &large, 2));
    assert!(matches!(failed, Err(CommitError::Full(_))));
    commit(&log, set("b", &large, 3)).expect("begins a segment");
    assert_eq!(log.stats().segments, 2);
    drop(log);
    assert_eq!(
        value(&open(&files), "b").map(|value| value.len()),
        Some(1 << 20)
    );
}

#[test]
fn a_short_write_that_goes_on_is_whole() {
    let files = FaultyFiles::default();
    let log = open(&files);
    for nth in 1..4 {
        files.fail(
            Operation::Write,
            nth,
            Fault::Short(40, ErrorKind::Interrupted),
        );
    }
    commit(&log, set("a", &[1; 3000], 1)).expect("commits");
    drop(log);
    expect_a_value_of(&open(&files), &[1; 3000]);
}

#[test]
fn after_a_failed_sync_writes_are_refused_and_reads_go_on() {
    let files = FaultyFiles::default();
    let log = log_with_a_value(&files, Options::default());
    files.fail(Operation::Sync, 1, Fault::Error(ErrorKind::Other));
    let failed = commit(&log, set("a", b"2", 2));
    assert!(matches!(failed, Err(CommitError::Sync(_))));
    assert!(log.refuses_writes());
    expect_a_value_of(&log, b"1");
    let refused = commit(&log, set("b", b"2", 3));
    assert!(matches!(refused, Err(CommitError::Refused)));
    assert!(log.compact().is_err());
    drop(log);
    let log = open(&files);
    expect_a_value_of(&log, b"1");
    commit(&log, set("a", b"4", 4)).expect("opened again");
}

#[test]
fn writes_are_refused_where_a_failed_write_can_not_be_cut_off() {
    let files = FaultyFiles::default();
    let log = log_with_a_value(&files, Options::default());
    files.fail(
        Operation::Write,
        1,
        Fault::Short(50, ErrorKind::StorageFull),
    );
    files.fail(Operation::SetLen, 1, Fault::Error(ErrorKind::Other));
    let failed = commit(&log, set("a", b"2", 2));
    assert!(matches!(failed, Err(CommitError::Sync(_))));
    let refused = commit(&log, set("a", b"2", 3));
    assert!(matches!(refused, Err(CommitError::Refused)));
    expect_a_value_of(&log, b"1");
    drop(log);
    expect_a_value_of(&open(&files), b"1");
}

#[test]
fn a_segment_that_can_not_be_begun_fails_the_batch_and_the_next_goes_on() {
    let batch = |sequence| [set("b", &[2; 4000], sequence)];
    for operation in [
        Operation::Create,
        Operation::Write,
        Operation::Sync,
        Operation::SyncDir,
    ] {
        for remove_fails in [false, true] {
            let files = FaultyFiles::default();
            let log = log_with_a_value(&files, small_segments());
            files.fail(operation, 1, Fault::Error(ErrorKind::StorageFull));
            if remove_fails {
                files.fail(Operation::Remove, 1, Fault::Error(ErrorKind::Other));
            }
            let failed = log.commit(&batch(2));
            assert!(matches!(failed, Err(CommitError::Full(_))), "{operation:?}");
            assert_eq!(value(&log, "b"), None);
            files.heal();
            // The old segment takes further writes, and the rest of the new one does no harm.
            commit(&log, set("a", b"2", 3)).expect("the old segment goes on");
            for seed in 0..20 {
                let (log, _) = try_open(&files.crash(seed), small_segments()).expect("opens");
                expect_a_value_of(&log, b"2");
            }
            files.fail(Operation::Sync, 1, Fault::Error(ErrorKind::Other));
            let failed = commit(&log, set("a", b"3", 4));
            assert!(matches!(failed, Err(CommitError::Sync(_))));
            drop(log);
            let (log, _) = try_open(&files, small_segments()).expect("opens");
            expect_a_value_of(&log, b"2");
            log.commit(&batch(5)).expect("begins a segment");
            assert_eq!(value(&log, "b").as_deref(), Some(&[2; 4000][..]));
        }
    }
}

#[test]
fn a_torn_batch_is_cut_off_also_where_the_next_segment_was_begun_in_vain() {
    let files = FaultyFiles::default();
    let log = log_with_a_value(&files, small_segments());
    // The name of the new segment can be neither synced nor removed.
    files.fail(Operation::SyncDir, 1, Fault::Error(ErrorKind::Other));
    files.fail(Operation::Remove, 1, Fault::Error(ErrorKind::Other));
    assert!(commit(&log, set("b", &[2; 4000], 2)).is_err());
    drop(log);
    let mut torn = files.contents(&segment(1));
    let end = torn.iter().rposition(|byte| *byte != 0).expect("not empty");
    torn.truncate(end + 1);
    torn.extend([0xD5, 0xF1, 0x0B]);
    files.put(&segment(1), torn);
    let (log, recovered) = try_open(&files, small_segments()).expect("opens");
    assert_eq!(recovered.cuts.len(), 1);
    expect_a_value_of(&log, b"1");
    commit(&log, set("a", b"2", 3)).expect("commits");
    drop(log);
    expect_a_value_of(&try_open(&files, small_segments()).expect("opens").0, b"2");
}

#[test]
fn writes_in_the_system_survive_the_end_of_the_process() {
    let options = Options {
        durability: Durability::Os,
        ..small_segments()
    };
    let files = FaultyFiles::default();
    let log = log_with_a_value(&files, options);
    for sequence in 2..200_u64 {
        commit(&log, set("b", &sequence.to_le_bytes(), sequence)).expect("commits");
    }
    let (log, _) = try_open(&files.kill(), options).expect("opens");
    expect_a_value_of(&log, b"1");
    assert_eq!(
        value(&log, "b").as_deref(),
        Some(&199_u64.to_le_bytes()[..])
    );
}

#[test]
fn a_read_that_fails_says_so_and_a_later_one_works() {
    let files = FaultyFiles::default();
    let log = log_with_a_value(&files, Options::default());
    files.fail(Operation::Read, 1, Fault::Error(ErrorKind::Other));
    assert!(log.get("a", Wait::ForDisk).is_err());
    expect_a_value_of(&log, b"1");
}
