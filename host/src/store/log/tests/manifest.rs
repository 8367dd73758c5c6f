//! Detection of missing segments.
//!
//! After the newest of several segments was removed, the store opened, 16 of 30 streams served
//! older content with a 200, and a check found no damage.

use super::super::faults::{Fault, Operation};
use super::super::manifest::Manifest;
use super::super::{Fault as Wrong, check};
use super::*;
use std::io::ErrorKind;

/// A closed store of several segments, and their number. Older segments hold older values.
fn several_segments() -> (FaultyFiles, u32) {
    let files = FaultyFiles::default();
    let (log, _) = try_open(&files, small_segments()).expect("opens");
    for sequence in 1..=12 {
        let batch = [
            set("a", &[sequence as u8; 700], 2 * sequence),
            set(&format!("k{sequence}"), &[1; 500], 2 * sequence + 1),
        ];
        log.commit(&batch).expect("commits");
    }
    let segments = log.stats().segments as u32;
    assert!(segments > 3, "{segments}");
    (files, segments)
}

fn faults(files: &FaultyFiles) -> Vec<Wrong> {
    let report = check(Path::new(DIR), Arc::new(files.clone())).expect("reads");
    report.damages.iter().map(|damage| damage.fault).collect()
}

#[test]
fn a_missing_segment_refuses_the_start_and_fails_the_check() {
    let (files, segments) = several_segments();
    for number in 1..=segments {
        let files = files.kill();
        remove(&files, &segment(number));
        let refused = try_open(&files, small_segments()).err().expect("refused");
        let expected = format!(
            "/store/000000000{number}.log: this segment is missing; nothing was changed; restore it, \
             or run `durable-streams check /store` to see what is affected"
        );
        assert_eq!(refused.to_string(), expected);
        assert_eq!(faults(&files), [Wrong::Missing]);
    }
}

/// If the cut is at the end of a batch, only the manifest shows that more batches followed.
#[test]
fn a_segment_cut_off_at_the_end_of_a_batch_refuses_the_start_and_fails_the_check() {
    let (files, segments) = several_segments();
    let (batch, header) = (32 + 24 + 1 + 700 + 24 + 2 + 500, 44);
    for number in 1..segments {
        for length in [header, header + batch] {
            let files = files.kill();
            let mut short = files.contents(&segment(number));
            short.truncate(length);
            files.put(&segment(number), short);
            let refused = try_open(&files, small_segments()).err();
            assert!(
                matches!(refused, Some(OpenError::Damaged { .. })),
                "{number} {length}"
            );
            assert_eq!(faults(&files), [Wrong::Short]);
        }
    }
}

#[test]
fn a_store_without_a_manifest_is_refused() {
    let (files, _) = several_segments();
    for empty in [false, true] {
        let files = files.kill();
        match empty {
            true => files.put(Path::new(MANIFEST), Vec::new()),
            false => remove(&files, Path::new(MANIFEST)),
        }
        let refused = try_open(&files, small_segments()).err();
        assert!(matches!(refused, Some(OpenError::NoManifest(_))));
        assert_eq!(faults(&files), [Wrong::Manifest]);
    }
}

/// The older slot lacks the newest segment, or names a removed one.
#[test]
fn a_flipped_byte_in_the_manifest_loses_nothing_silently() {
    let (files, _) = several_segments();
    let before = contents(&try_open(&files, small_segments()).expect("opens").0);
    let whole = files.contents(Path::new(MANIFEST));
    let (mut refused, mut opened) = (0, 0);
    for at in (0..whole.len()).filter(|at| whole[*at] != 0) {
        let files = files.kill();
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        files.put(Path::new(MANIFEST), flipped);
        match try_open(&files, small_segments()) {
            Ok((log, _)) => {
                assert_eq!(contents(&log), before);
                opened += 1;
            }
            Err(error) => {
                assert!(matches!(error, OpenError::Unnamed { .. }), "{error}");
                assert_eq!(faults(&files), [Wrong::Unnamed]);
                refused += 1;
            }
        }
    }
    assert!(refused > 20 && opened > 20, "{refused} {opened}");
}

#[test]
fn a_manifest_of_an_older_copy_is_refused() {
    let files = FaultyFiles::default();
    let (log, _) = try_open(&files, small_segments()).expect("opens");
    commit(&log, set("a", &[1; 3000], 1)).expect("commits");
    let older = files.contents(Path::new(MANIFEST));
    commit(&log, set("a", &[2; 3000], 2)).expect("begins a segment");
    drop(log);
    files.put(Path::new(MANIFEST), older);
    let refused = try_open(&files, small_segments()).err();
    assert!(matches!(refused, Some(OpenError::Unnamed { .. })));
    assert!(!files.contents(&segment(2)).is_empty(), "it stays");
}

#[test]
fn files_left_by_interrupted_creations_and_removals_are_removed() {
    let files = FaultyFiles::default();
    let (log, _) = try_open(&files, small_segments()).expect("opens");
    for sequence in 1..20 {
        commit(&log, set("a", &[1; 3000], sequence)).expect("commits");
    }
    let first = files.contents(&segment(1));
    compact_all(&log);
    let before = contents(&log);
    let newest = log.state.writer().active.number;
    drop(log);
    files.put(&segment(1), first);
    for unfinished in [&b""[..], &[0; 44], &[0; 4096], b"DSLOGSEG"] {
        let files = files.kill();
        files.put(&segment(newest + 1), unfinished.to_vec());
        assert_eq!(faults(&files), []);
        let (log, _) = try_open(&files, small_segments()).expect("opens");
        assert_eq!(contents(&log), before);
        for number in [1, newest + 1] {
            assert!(files.open(&segment(number)).is_err(), "{number}");
        }
    }
}

#[test]
fn a_segment_that_can_not_be_named_fails_the_batch_and_the_next_goes_on() {
    // The first write is the header of the segment, the second its name in the manifest.
    let cases = [
        (Fault::Error(ErrorKind::StorageFull), false),
        (Fault::Short(10, ErrorKind::StorageFull), false),
        (Fault::Error(ErrorKind::StorageFull), true),
    ];
    for (fault, stays) in cases {
        let files = FaultyFiles::default();
        let (log, _) = try_open(&files, small_segments()).expect("opens");
        commit(&log, set("a", b"1", 1)).expect("commits");
        files.fail(Operation::Write, 2, fault);
        if stays {
            // Blanking the slot fails, too.
            files.fail(Operation::Write, 3, Fault::Error(ErrorKind::Other));
        }
        let failed = commit(&log, set("b", &[2; 4000], 2));
        assert_eq!(matches!(failed, Err(CommitError::Full(_))), !stays);
        assert_eq!(log.refuses_writes(), stays);
        files.heal();
        let expected: &[u8] = match commit(&log, set("a", b"2", 3)) {
            Ok(()) => b"2",
            Err(_) => b"1",
        };
        for seed in 0..50 {
            let (log, _) = try_open(&files.crash(seed), small_segments()).expect("opens");
            assert_eq!(value(&log, "a").as_deref(), Some(expected));
            assert_eq!(value(&log, "b"), None);
        }
    }
}

#[test]
fn a_change_of_the_names_needs_no_room_until_a_slot_is_full() {
    let files = FaultyFiles::default();
    drop(open(&files));
    let dir = Path::new(DIR);
    let id = {
        let log = open(&files);
        log.state.directory.id
    };
    let read = || Manifest::read(dir, Arc::new(files.clone()), id);
    let mut manifest = read().expect("reads").expect("is there");
    files.leave_room(0);
    let full = (2..3000).find(|number| {
        let sealed = Some((number - 1, 4096));
        manifest.begin(*number, sealed).is_err()
    });
    assert!(full.is_some_and(|full| full > 2000), "{full:?}");
    files.heal();
    for number in full.expect("some")..3000 {
        let begun = manifest.begin(number, Some((number - 1, 4096)));
        begun.expect("there is room for a larger one");
    }
    for number in 5..100 {
        manifest.forget(number).expect("works");
    }
    let held = read().expect("reads").expect("is there");
    assert_eq!(held.names(), manifest.names());
    assert_eq!(held.names().numbers().count(), 2999 - 95);
}
