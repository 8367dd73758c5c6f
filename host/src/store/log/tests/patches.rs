//! Values that are written as patches of older ones.

use super::super::bases::Patch;
use super::super::batch::{Body, Layout, Position, Record};
use super::super::faults::{Fault, Operation};
use super::super::format::{BATCH_HEADER, PatchHead, SEGMENT_HEADER, StoreId, record_length};
use super::super::patch::diff;
use super::super::{Durability, ReadError, check};
use super::*;
use std::io::ErrorKind;

const FORMAT: &str = "/store/FORMAT";

/// The value of `a` after so many commits of [`append`].
fn a_after(number: u64) -> Vec<u8> {
    (0..number).fold(appended(&[], 0, 1100), |value, number| {
        appended(&value, number, 20)
    })
}

/// Commits the next value of `a`: the third is the first that may be a patch, of the second.
fn append(log: &Log, number: u64) -> Result<(), CommitError> {
    commit(log, set("a", &a_after(number), number))
}

fn log_with_a_patch(files: &FaultyFiles) -> Log {
    let log = open(files);
    for number in 1..=3 {
        append(&log, number).expect("commits");
    }
    assert_eq!(patches(&log), 1);
    log
}

fn check_damages(files: &FaultyFiles) -> Vec<(u64, Option<Box<str>>)> {
    let report = check(Path::new(DIR), Arc::new(files.clone())).expect("reads");
    let damages = report.damages.into_iter();
    damages.map(|damage| (damage.offset, damage.key)).collect()
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
        // What is in memory of the values is gone.
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
    // The patch is read yet, its base not any more.
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
fn what_was_deleted_or_replaced_is_no_base_any_more() {
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

/// A third of each segment is needed: values of `a0`, `a1`, ... and what they are patches of.
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
    // What is moved first: it is a patch no more.
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
                expected.insert(key.to_owned(), (new, Sequence::new(500)));
                set(key, b"new", 500)
            };
            let changing = Arc::clone(&log);
            files.before_read(nth, move || {
                commit(&changing, change).expect("commits");
            });
            compact_all(&log);
            // The read is yet to come.
            if log.highest_sequence() < Sequence::new(500) {
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

#[test]
fn no_flipped_bit_of_a_patch_or_its_base_goes_unseen() {
    let files = FaultyFiles::default();
    let log = log_with_a_patch(&files);
    let format = files.contents(Path::new(FORMAT));
    let end = log.stats().disk_bytes as usize;
    commit(&log, set("b", b"proof of what comes before", 4)).expect("commits");
    let mut whole = files.contents(&segment(1));
    whole.truncate(log.stats().disk_bytes as usize);
    drop(log);
    // All of the patch, and some of the base.
    let few = (SEGMENT_HEADER * 8..end * 8 - 3000).step_by(61);
    for bit in few.chain(end * 8 - 3000..end * 8) {
        let files = FaultyFiles::default();
        files.put(Path::new(FORMAT), format.clone());
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        files.put(&segment(1), flipped);
        let refused = try_open(&files, Options::default()).err();
        assert!(matches!(refused, Some(OpenError::Damaged { .. })), "{bit}");
        assert_ne!(check_damages(&files), [], "{bit}");
    }
}

/// Where a segment is sealed its values are not read in opening the log.
#[test]
fn in_a_sealed_segment_a_flipped_bit_is_found_when_it_is_read_or_checked() {
    let files = FaultyFiles::default();
    let (log, _) = try_open(&files, small_segments()).expect("opens");
    let base = SEGMENT_HEADER + BATCH_HEADER + record_length(1, 1128) as usize;
    for number in 1..=3 {
        commit(&log, set("a", &a_after(number), number)).expect("commits");
    }
    let end = log.stats().disk_bytes as usize;
    assert_eq!(patches(&log), 1);
    commit(&log, set("b", &[1; 3000], 4)).expect("commits");
    assert_eq!(log.stats().segments, 2);
    drop(log);
    let whole = files.contents(&segment(1));
    let (mut refusals, mut errors) = (0, 0);
    let format = files.contents(Path::new(FORMAT));
    let second = files.contents(&segment(2));
    for at in base..end {
        let files = FaultyFiles::default();
        files.put(Path::new(FORMAT), format.clone());
        files.put(&segment(2), second.clone());
        let mut flipped = whole.clone();
        flipped[at] ^= 4;
        files.put(&segment(1), flipped);
        assert_ne!(check_damages(&files), [], "{at}");
        let Ok((log, _)) = try_open(&files, small_segments()) else {
            refusals += 1;
            continue;
        };
        let failed = log.get("a", Wait::ForDisk);
        assert!(matches!(failed, Err(ReadError::Damaged { .. })), "{at}");
        while let Ok(true) = log.compact() {}
        assert_eq!(log.lookup("a"), Some(Sequence::new(3)));
        assert_eq!(value(&log, "b").map(|value| value.len()), Some(3000));
        errors += 1;
    }
    // The base, and the runs of the patch; the rest are headers.
    assert!(errors > 1100 && refusals > 60, "{errors} {refusals}");
    let damages = {
        let mut flipped = whole;
        flipped[base + 500] ^= 4;
        files.put(&segment(1), flipped);
        check_damages(&files)
    };
    let keys: Vec<_> = damages.iter().map(|(_, key)| key.as_deref()).collect();
    assert_eq!(keys, [Some("a"), Some("a")], "the base and its patch");
}

/// Batches with the checksums of this store, whatever they say.
struct Forger {
    files: FaultyFiles,
    id: StoreId,
    sequence: u64,
}

impl Forger {
    fn new() -> Self {
        let files = FaultyFiles::default();
        drop(open(&files));
        let text = String::from_utf8(files.contents(Path::new(FORMAT))).expect("is text");
        let id = text.lines().nth(1).and_then(StoreId::from_hex);
        Self {
            files,
            id: id.expect("an id"),
            sequence: 0,
        }
    }

    /// Returns where the record is.
    fn put(&mut self, key: &str, body: Body) -> u32 {
        self.sequence += 1;
        let mut bytes = self.files.contents(&segment(1));
        let position = Position {
            segment: 1,
            offset: bytes.len() as u32,
            proof: true,
        };
        let record = Record {
            key,
            sequence: Sequence::new(self.sequence),
            replaces: true,
            body,
        };
        let layout = Layout::new(&[record], position, self.id);
        for slice in layout.slices() {
            bytes.extend_from_slice(&slice);
        }
        self.files.put(&segment(1), bytes);
        position.offset + BATCH_HEADER as u32
    }

    fn value(&mut self, key: &str, value: &[u8]) -> u32 {
        self.put(key, Body::Value(Bytes::copy_from_slice(value)))
    }

    fn patch(&mut self, key: &str, base: u32, runs: (&[u8], &[u8]), checksum: u32) -> u32 {
        let (older, newer) = runs;
        let head = PatchHead {
            base,
            length: newer.len() as u32,
            checksum,
        };
        let runs = diff(older, newer, usize::MAX).expect("without a limit");
        let runs = runs.into();
        self.put(key, Body::Patch(Patch { head, runs }))
    }
}

#[test]
fn a_patch_whose_base_is_not_its_own_is_damage_and_never_guessed() {
    let (old, new) = (a_after(1), a_after(2));
    let mut other = old.clone();
    other[500] ^= 1;
    let of_other = appended(&other, 2, 20);
    let opens = |forger: &Forger| try_open(&forger.files, Options::default()).is_ok();
    for forgery in 0..7 {
        let mut forger = Forger::new();
        let sum = forger.id.checksum(&new);
        let runs = (&*old, &*new);
        let theirs = forger.value("b", &old);
        let base = forger.value("a", &old);
        assert!(opens(&forger));
        match forgery {
            // As it must be.
            0 => drop(forger.patch("a", base, runs, sum)),
            1 => drop(forger.patch("a", theirs, runs, sum)),
            2 => drop(forger.patch("a", base + 1, runs, sum)),
            3 => drop(forger.patch("a", u32::MAX, runs, sum)),
            4 => {
                let patch = forger.patch("a", base, runs, sum);
                forger.patch("a", patch, (&new, &new), sum);
            }
            // What is there is another value of the key.
            5 => {
                let sum = forger.id.checksum(&of_other);
                forger.patch("a", base, (&other, &of_other), sum);
            }
            6 => drop(forger.patch("a", base, runs, sum ^ 1)),
            _ => unreachable!("there are no more"),
        }
        let damages = check_damages(&forger.files);
        if forgery == 0 {
            assert_eq!(damages, []);
            let log = open(&forger.files);
            assert_eq!(value(&log, "a").as_deref(), Some(&*new));
            continue;
        }
        let keys: Vec<_> = damages.iter().map(|(_, key)| key.as_deref()).collect();
        assert_eq!(keys, [Some("a")], "{forgery}");
        match try_open(&forger.files, Options::default()) {
            Err(OpenError::Damaged { .. }) => assert!(forgery < 5),
            Ok((log, _)) => {
                assert!(forgery >= 5);
                let read = log.get("a", Wait::ForDisk);
                assert!(matches!(read, Err(ReadError::Damaged { .. })));
                assert_eq!(value(&log, "b").as_deref(), Some(&*old));
            }
            Err(other) => panic!("{other}"),
        }
    }
    // Neither a value that was replaced nor one that was deleted is a base.
    for deleted in [false, true] {
        let mut forger = Forger::new();
        let sum = forger.id.checksum(&new);
        let base = forger.value("a", &old);
        if deleted {
            let range = super::super::format::Range {
                first: 1,
                origin: 1,
            };
            forger.put("a", Body::Tombstone(range));
        } else {
            forger.value("a", &other);
        }
        forger.patch("a", base, (&old, &new), sum);
        assert!(!opens(&forger));
    }
}

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

/// Without syncs a base may be lost that a later patch rests on.
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
