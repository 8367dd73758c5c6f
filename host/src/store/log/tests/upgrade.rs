//! Directories of the version before.

use super::super::check;
use super::super::format::SEGMENT_HEADER;
use super::patches::{append, log_with_a_patch};
use super::*;

/// Makes a directory one of the version before patches, which has none of them.
fn as_version_1(files: &FaultyFiles) {
    let text = String::from_utf8(files.contents(Path::new(FORMAT))).expect("is text");
    let id = text.strip_prefix("durable-streams log 2\n");
    let id = id.expect("is of this version, which older programs refuse");
    let older = format!("durable-streams log 1\n{id}");
    files.put(Path::new(FORMAT), older.into_bytes());
}

fn format_of(files: &FaultyFiles) -> String {
    let text = String::from_utf8(files.contents(Path::new(FORMAT))).expect("is text");
    text.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn a_directory_of_the_version_before_is_upgraded_before_a_patch_is_written() {
    for operations in 0..20 {
        let files = FaultyFiles::default();
        let log = open(&files);
        append(&log, 1).expect("commits");
        append(&log, 2).expect("commits");
        let before = contents(&log);
        drop(log);
        as_version_1(&files);
        check(Path::new(DIR), Arc::new(files.clone())).expect("reads");
        assert_eq!(format_of(&files), "durable-streams log 1", "not changed");
        files.crash_after(operations);
        let opened = try_open(&files, Options::default());
        let patched = opened.is_ok_and(|(log, _)| {
            assert_eq!(contents(&log), before);
            (2..=5).any(|number| append(&log, number).is_ok() && patches(&log) > 0)
        });
        for seed in 0..20 {
            let files = files.crash(seed);
            let held = format_of(&files);
            let known = ["durable-streams log 1", "durable-streams log 2"];
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

/// What is in a directory that can't be opened stays as it was.
#[test]
fn a_damaged_directory_is_not_upgraded() {
    let files = FaultyFiles::default();
    drop(log_with_a_patch(&files));
    as_version_1(&files);
    let mut flipped = files.contents(&segment(1));
    flipped[SEGMENT_HEADER] ^= 1;
    files.put(&segment(1), flipped);
    assert!(try_open(&files, Options::default()).is_err());
    assert_eq!(format_of(&files), "durable-streams log 1");
}
