//! Directories written by earlier versions.

use super::super::check;
use super::super::format::SEGMENT_HEADER;
use super::patches::{append, log_with_a_patch};
use super::*;

/// Turns a directory into one of an earlier version, without a manifest. The first version has no
/// patches.
fn as_version(version: u32, files: &FaultyFiles) {
    let text = String::from_utf8(files.contents(Path::new(FORMAT))).expect("is text");
    let id = text.strip_prefix("durable-streams log 3\n");
    let id = id.expect("is of this version, which older programs refuse");
    let older = format!("durable-streams log {version}\n{id}");
    files.put(Path::new(FORMAT), older.into_bytes());
    remove(files, Path::new(MANIFEST));
}

fn format_of(files: &FaultyFiles) -> String {
    let text = String::from_utf8(files.contents(Path::new(FORMAT))).expect("is text");
    text.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn a_directory_of_the_first_version_is_upgraded_before_a_patch_is_written() {
    let known = ["durable-streams log 1", "durable-streams log 3"];
    for operations in 0..20 {
        let files = FaultyFiles::default();
        let log = open(&files);
        append(&log, 1).expect("commits");
        append(&log, 2).expect("commits");
        let before = contents(&log);
        drop(log);
        as_version(1, &files);
        check(Path::new(DIR), Arc::new(files.clone())).expect("reads");
        assert_eq!(format_of(&files), known[0], "not changed");
        files.crash_after(operations);
        let opened = try_open(&files, Options::default());
        let patched = opened.is_ok_and(|(log, _)| {
            assert_eq!(contents(&log), before);
            (2..=5).any(|number| append(&log, number).is_ok() && patches(&log) > 0)
        });
        for seed in 0..20 {
            let files = files.crash(seed);
            let held = format_of(&files);
            assert!(known.contains(&&*held), "{held:?}");
            assert!(!patched || held == known[1]);
            let log = open(&files);
            assert_eq!(format_of(&files), known[1]);
            assert!(value(&log, "a").is_some());
        }
        if operations == 19 {
            assert!(patched);
        }
    }
}

/// The store has several segments, tombstones and patches, and is partly compacted.
#[test]
fn a_directory_of_the_version_before_reads_back_the_same_and_gets_a_manifest() {
    let files = FaultyFiles::default();
    let (log, _) = try_open(&files, small_segments()).expect("opens");
    let mut held = vec![7; 1100];
    for sequence in (1..300).step_by(3) {
        held = appended(&held, sequence, 4);
        let key = format!("k{}", sequence % 17);
        let changes = [
            set("a", &held, sequence),
            set(&key, &[1; 400], sequence + 1),
            delete("k5", sequence + 2),
        ];
        log.commit(&changes).expect("commits");
    }
    for _ in 0..10 {
        log.compact().expect("compacts");
    }
    let before = contents(&log);
    let segments = log.stats().segments;
    assert!(segments > 3, "{segments}");
    drop(log);
    as_version(2, &files);
    for seed in 0..40 {
        // An interrupted upgrade is repeated at the next start.
        let files = files.crash(seed);
        files.crash_after(seed);
        drop(try_open(&files, small_segments()));
        let files = files.crash(seed);
        let (log, _) = try_open(&files, small_segments()).expect("opens");
        assert_eq!(contents(&log), before);
        drop(log);
        assert_eq!(format_of(&files), "durable-streams log 3");
        let report = check(Path::new(DIR), Arc::new(files.clone())).expect("reads");
        assert_eq!(report.damages, []);
        assert_eq!(report.segments, segments);
        remove(&files, &segment(report.segments as u32));
        assert!(try_open(&files, small_segments()).is_err());
    }
}

/// A directory that can't be opened stays unchanged.
#[test]
fn a_damaged_directory_is_not_upgraded() {
    let files = FaultyFiles::default();
    drop(log_with_a_patch(&files));
    as_version(1, &files);
    let mut flipped = files.contents(&segment(1));
    flipped[SEGMENT_HEADER] ^= 1;
    files.put(&segment(1), flipped);
    assert!(try_open(&files, Options::default()).is_err());
    assert_eq!(format_of(&files), "durable-streams log 1");
}
