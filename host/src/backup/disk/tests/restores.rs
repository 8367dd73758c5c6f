//! Restores: whole stores on new timelines, or none.

use super::*;

#[test]
fn a_missing_or_short_segment_is_found_by_a_restore() {
    let mut written = Written::new(7);
    written.change(60);
    let dest = FaultyFiles::default();
    let (mut source, _) = written.source(0);
    back_up(&mut source, &dest).expect("backs up");
    let names = dest.list(Path::new(DEST)).expect("lists");
    for name in names.iter().filter(|name| name.ends_with(".log")) {
        let path = Path::new(DEST).join(name);
        let missing = dest.kill();
        missing.remove(&path).expect("is there");
        let short = dest.kill();
        let mut bytes = short.contents(&path);
        bytes.pop();
        short.put(&path, bytes);
        for dest in [missing, short] {
            let refused = try_restore(&dest, &FaultyFiles::default());
            assert!(
                matches!(&refused, Err(BackupError::Damaged(file)) if *file == path),
                "{refused:?}"
            );
        }
    }
}

/// The machine that restores loses power at each step.
#[test]
fn an_interrupted_restore_leaves_no_store_or_a_whole_one_on_a_new_timeline() {
    let mut written = Written::new(8);
    written.change(60);
    let dest = FaultyFiles::default();
    let (mut source, expected) = written.source(3);
    back_up(&mut source, &dest).expect("backs up");
    let mut stores = 0;
    for operations in 1.. {
        let new = FaultyFiles::default();
        new.crash_after(operations);
        let result = try_restore(&dest, &new);
        for seed in 0..4 {
            let crashed = new.crash(seed);
            if !is_there(&crashed, NEW, Anatomy::FORMAT) {
                assert!(result.is_err(), "{operations}");
                continue;
            }
            stores += 1;
            let timeline = timeline::read(Path::new(NEW), &crashed).expect("reads");
            assert!(timeline > 3, "{operations}");
            assert_eq!(contents(&open(&crashed, NEW)), expected, "{operations}");
        }
        if result.is_ok() {
            break;
        }
    }
    assert!(stores > 4);
}

#[test]
fn a_restore_that_fails_leaves_nothing_behind() {
    let mut written = Written::new(9);
    written.change(60);
    let dest = FaultyFiles::default();
    let (mut source, _) = written.source(0);
    back_up(&mut source, &dest).expect("backs up");
    for operation in [Operation::Write, Operation::Sync, Operation::Rename] {
        let new = FaultyFiles::default();
        new.fail(operation, 1, Fault::Error(ErrorKind::StorageFull));
        assert!(try_restore(&dest, &new).is_err());
        let left = new.list(Path::new(NEW)).expect("lists");
        assert_eq!(left, Vec::<String>::new(), "{operation:?}");
        try_restore(&dest, &new).expect("the next attempt works");
    }
}

/// The segments of the two timelines have the same numbers.
#[test]
fn a_backup_of_a_restored_store_replaces_the_older_one_only_at_its_end() {
    let mut written = Written::new(10);
    written.change(60);
    let mut dest = FaultyFiles::default();
    let (mut source, older) = written.source(0);
    back_up(&mut source, &dest).expect("backs up");
    let new = FaultyFiles::default();
    let timeline = try_restore(&dest, &new).expect("restores");
    let mut again = Written {
        log: open(&new, NEW),
        files: new,
        random: Random::new(11),
        sequence: 1_000_000,
    };
    again.change(30);
    for operations in 0.. {
        dest.crash_after(operations);
        let (mut source, newer) = again.source(timeline);
        let taken = back_up(&mut source, &dest);
        dest = dest.kill();
        let found = restored(&dest);
        match taken {
            Ok(manifest) => {
                assert_eq!(found, newer);
                assert_eq!(manifest.timeline, timeline);
                let names = dest.list(Path::new(DEST)).expect("lists");
                assert_eq!(names.len(), manifest.segments.len() + 1);
                break;
            }
            Err(_) => assert!(found == older || found == newer),
        }
    }
    assert!(again.files.list(Path::new(NEW)).is_ok());
}

#[test]
fn each_restore_begins_a_timeline_of_its_own() {
    let mut written = Written::new(12);
    written.change(5);
    for timeline in [0, 7, 70_000_000] {
        let dest = FaultyFiles::default();
        let (mut source, _) = written.source(timeline);
        back_up(&mut source, &dest).expect("backs up");
        let new = FaultyFiles::default();
        let begun = try_restore(&dest, &new).expect("restores");
        assert!(begun > timeline);
        let read = timeline::read(Path::new(NEW), &new).expect("reads");
        assert_eq!(read, begun);
    }
}
