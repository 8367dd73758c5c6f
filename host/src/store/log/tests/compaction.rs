use super::super::faults::{Fault, Operation};
use super::*;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};

fn small_log(files: &FaultyFiles) -> Log {
    try_open(files, small_segments()).expect("opens").0
}

fn expect_bounded(log: &Log) {
    let stats = log.stats();
    let bound = stats.live_bytes * 2 + small_segments().segment_bytes * 2;
    assert!(stats.disk_bytes <= bound, "{stats:?}");
}

#[test]
fn room_of_replaced_values_is_given_back() {
    let files = FaultyFiles::default();
    let log = small_log(&files);
    let keys = |number: u64| format!("k{}", number % 10);
    for sequence in 1..1000 {
        commit(&log, set(&keys(sequence), &[1; 300], sequence)).expect("commits");
        compact_all(&log);
        expect_bounded(&log);
    }
    let before = contents(&log);
    assert_eq!(before.len(), 10);
    drop(log);
    let log = small_log(&files);
    assert_eq!(contents(&log), before);
    expect_bounded(&log);
    assert!(!files.contents(&segment(1)).is_empty() || log.stats().segments < 10);
}

#[test]
fn needed_records_are_moved() {
    let files = FaultyFiles::default();
    let log = small_log(&files);
    for sequence in 1..400 {
        let rare = sequence % 20 == 0;
        let key = if rare {
            format!("rare{sequence}")
        } else {
            "often".into()
        };
        commit(&log, set(&key, &[sequence as u8; 200], sequence)).expect("commits");
    }
    let before = contents(&log);
    compact_all(&log);
    expect_bounded(&log);
    assert_eq!(contents(&log), before);
    for seed in 0..50 {
        assert_eq!(contents(&small_log(&files.crash(seed))), before);
    }
}

#[test]
fn deleted_keys_leave_nothing_behind() {
    let files = FaultyFiles::default();
    let log = small_log(&files);
    // This key stays, and keeps the ranges of tombstones from being empty.
    commit(&log, set("kept", &[1; 3000], 1)).expect("commits");
    let mut sequence = 1;
    for round in 0..2000 {
        for delete_it in [false, true] {
            let key = format!("k{}", if delete_it { round } else { round + 50 });
            sequence += 1;
            let change = if delete_it {
                delete(&key, sequence)
            } else {
                set(&key, &[1; 100], sequence)
            };
            commit(&log, change).expect("commits");
        }
        compact_all(&log);
    }
    for round in 2000..2050 {
        sequence += 1;
        commit(&log, delete(&format!("k{round}"), sequence)).expect("commits");
    }
    compact_all(&log);
    let stats = log.stats();
    assert_eq!(stats.keys, 1);
    assert!(stats.disk_bytes < 5 * 4096, "{stats:?}");
    drop(log);
    let log = small_log(&files);
    assert_eq!(contents(&log).len(), 1);
    assert_eq!(log.highest_sequence(), ChangeNumber::new(sequence));
}

#[test]
fn numbers_go_on_after_the_records_that_bore_them_are_gone() {
    let files = FaultyFiles::default();
    let mut sequence = 0;
    let log = small_log(&files);
    for _ in 0..50 {
        sequence += 2;
        commit(&log, set("a", &[1; 1000], sequence - 1)).expect("commits");
        commit(&log, delete("a", sequence)).expect("commits");
    }
    compact_all(&log);
    drop(log);
    for _ in 0..3 {
        let log = small_log(&files);
        assert_eq!(log.highest_sequence(), ChangeNumber::new(sequence));
    }
}

#[test]
fn a_small_store_takes_little_room() {
    let log = open(&FaultyFiles::default());
    for sequence in 1..400 {
        let key = format!("k{}", sequence % 5);
        commit(&log, set(&key, &vec![sequence as u8; 64 << 10], sequence)).expect("commits");
        compact_all(&log);
        let stats = log.stats();
        assert!(
            stats.disk_bytes < stats.live_bytes * 2 + (8 << 20),
            "{stats:?}"
        );
    }
}

/// The removals of a segment and of the tombstone that supersedes its record must not be reordered.
#[test]
fn a_deleted_key_stays_deleted_where_removals_fail() {
    for operation in [Operation::Remove, Operation::SyncDir, Operation::Create] {
        for (nth, times) in (1..12).flat_map(|nth| [(nth, 1), (nth, 60)]) {
            let files = FaultyFiles::default();
            let log = small_log(&files);
            commit(&log, set("a", &[1; 1000], 1)).expect("commits");
            for sequence in 2..20 {
                commit(&log, set("b", &[1; 1000], sequence)).expect("commits");
            }
            commit(&log, delete("a", 20)).expect("commits");
            for sequence in 21..40 {
                commit(&log, set("b", &[1; 1000], sequence)).expect("commits");
            }
            for nth in nth..nth + times {
                files.fail(operation, nth, Fault::Error(ErrorKind::Other));
            }
            for step in 0..60 {
                let _ = log.compact();
                for seed in step * 4..step * 4 + 4 {
                    let log = small_log(&files.crash(seed));
                    assert_eq!(value(&log, "a"), None);
                    assert_eq!(value(&log, "b").map(|value| value.len()), Some(1000));
                }
            }
            files.heal();
            compact_all(&log);
            expect_bounded(&log);
        }
    }
}

/// The key also stays deleted if each process is killed before it makes its removal durable.
#[test]
fn a_deleted_key_stays_deleted_where_processes_are_killed() {
    let mut files = FaultyFiles::default();
    let log = small_log(&files);
    commit(&log, set("a", &[1; 1000], 1)).expect("commits");
    commit(&log, set("b", &[1; 3000], 2)).expect("commits");
    commit(&log, delete("a", 3)).expect("commits");
    for sequence in 4..20 {
        commit(&log, set("b", &[sequence as u8; 3000], sequence)).expect("commits");
    }
    drop(log);
    for step in 0..25 {
        files = files.kill();
        let log = small_log(&files);
        files.fail(Operation::SyncDir, 1, Fault::Error(ErrorKind::Other));
        while let Ok(true) = log.compact() {}
        for seed in step * 30..step * 30 + 30 {
            assert_eq!(value(&small_log(&files.crash(seed)), "a"), None);
        }
    }
    assert!(small_log(&files.kill()).stats().segments < 4);
}

/// Every segment keeps a key, and lies in the range of every tombstone.
#[test]
fn tombstones_go_in_the_end_also_where_segments_in_their_range_stay() {
    let files = FaultyFiles::default();
    let log = small_log(&files);
    let mut sequence = 0;
    let mut next = || {
        sequence += 1;
        sequence
    };
    for round in 0..40 {
        let kept = format!("kept{round}");
        commit(&log, set(&kept, &[1; 2500], next())).expect("commits");
        for key in 0..40 {
            let key = format!("gone{round}-{key}");
            commit(&log, set(&key, &[1; 10], next())).expect("commits");
        }
    }
    for key in 0..40 {
        for round in 0..40 {
            let key = format!("gone{round}-{key}");
            commit(&log, delete(&key, next())).expect("commits");
        }
    }
    let tombstones = || -> u64 {
        let segments = log.state.segments.all();
        let needed = |segment: &_| log.state.segments.needed_tombstones(segment);
        segments.iter().map(|segment| needed(segment)).sum()
    };
    let live = log.stats().live_bytes;
    assert!(tombstones() > live / 2);
    compact_all(&log);
    assert!(tombstones() <= live / 4);
    expect_bounded(&log);
    assert_eq!(contents(&log).len(), 40);
}

#[test]
fn without_room_compaction_fails_harmlessly_and_dead_segments_still_go() {
    let files = FaultyFiles::default();
    let log = small_log(&files);
    for sequence in 1..100 {
        commit(&log, set("a", &[1; 1000], sequence)).expect("commits");
    }
    files.leave_room(0);
    let before = log.stats().segments;
    compact_all(&log);
    assert!(log.stats().segments < before / 4);
    assert!(matches!(
        commit(&log, set("a", &[2; 3000], 100)),
        Err(CommitError::Full(_)) | Ok(())
    ));
}

/// A disk with room for less than twice the live data filled up with dead records and stayed full.
/// The store then refused deletions too.
#[test]
fn unneeded_records_are_removed_sooner_where_room_runs_out() {
    const SEGMENT: u64 = 4 << 20;
    // Values of this size get no zeros written ahead, which would take the room.
    const VALUE: u64 = 200_000;
    let files = FaultyFiles::default();
    let options = Options {
        segment_bytes: SEGMENT,
        ..Options::default()
    };
    let log = try_open(&files, options).expect("opens").0;
    let mut sequence = 0;
    let mut write = |key: u64| {
        sequence += 1;
        let change = set(&format!("k{key}"), &[7; VALUE as usize], sequence);
        commit(&log, change)
    };
    for key in 0..100 {
        write(key).expect("there is room");
    }
    // Every segment keeps a live record.
    for key in (0..100).filter(|key| key % 3 != 0) {
        write(key).expect("there is room");
    }
    compact_all(&log);
    let before = log.stats();
    assert!(before.disk_bytes > before.live_bytes * 3 / 2, "{before:?}");
    files.leave_room(2 * SEGMENT - 1);
    compact_all(&log);
    let after = log.stats();
    let most = after.live_bytes / 4 * 5 + 2 * SEGMENT;
    assert!(after.disk_bytes <= most, "{after:?}");
    assert_eq!(contents(&log).len(), 100);
    for key in 100..120 {
        write(key).expect("there is room again");
    }
}

#[test]
fn readers_and_writers_see_every_key_while_segments_are_rewritten() {
    let files = FaultyFiles::default();
    let log = small_log(&files);
    for key in 0..20_u64 {
        commit(&log, set(&format!("k{key}"), &[0; 200], key + 1)).expect("commits");
    }
    let end = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for sequence in 21..3000_u64 {
                let key = format!("k{}", sequence * sequence % 20);
                commit(&log, set(&key, &[sequence as u8; 200], sequence)).expect("commits");
            }
            end.store(true, Ordering::Release);
        });
        scope.spawn(|| {
            while !end.load(Ordering::Acquire) {
                log.compact().expect("compacts");
            }
        });
        scope.spawn(|| {
            let mut seen = BTreeMap::new();
            while !end.load(Ordering::Acquire) {
                for key in 0..20 {
                    let key = format!("k{key}");
                    let (value, sequence) = read(&log, &key).expect("never absent");
                    let expected = if sequence.get() > 20 {
                        sequence.get() as u8
                    } else {
                        0
                    };
                    assert_eq!(&*value, [expected; 200]);
                    let before = seen.insert(key, sequence);
                    assert!(before <= Some(sequence), "a reader never goes back");
                }
            }
        });
    });
    compact_all(&log);
    expect_bounded(&log);
    let before = contents(&log);
    drop(log);
    assert_eq!(contents(&small_log(&files)), before);
}

/// A record may be replaced or deleted while it is being moved, before its copy is written.
#[test]
fn a_value_that_changes_while_it_is_being_moved_is_not_moved() {
    // A value of this size exceeds the read-ahead, so it is read only after it was found to be
    // live.
    let large = |sequence| vec![sequence as u8; 300_000];
    for change in [delete("a0", 100), set("a0", b"new", 100)] {
        let files = FaultyFiles::default();
        let options = Options {
            segment_bytes: 1 << 20,
            ..Options::default()
        };
        let (log, _) = try_open(&files, options).expect("opens");
        let log = Arc::new(log);
        for round in 0..8 {
            for (key, number) in [(format!("a{round}"), 1), ("b".into(), 2), ("b".into(), 3)] {
                let sequence = round * 3 + number;
                commit(&log, set(&key, &large(sequence), sequence)).expect("commits");
            }
        }
        let expected = change.value.clone();
        let changing = Arc::clone(&log);
        files.before_read(2, move || {
            assert_eq!(
                value(&changing, "a0").map(|value| value.len()),
                Some(300_000)
            );
            commit(&changing, change).expect("commits");
        });
        let before = log.stats().segments;
        compact_all(&log);
        assert!(log.stats().segments < before);
        assert_eq!(value(&log, "a0"), expected);
        let (log, _) = try_open(&files.crash(1), options).expect("opens");
        assert_eq!(value(&log, "a0"), expected);
        assert_eq!(contents(&log).len(), 8 + usize::from(expected.is_some()));
    }
}
