//! Backups and restores on disks that fail and crash on demand.

mod restores;

use super::super::disk::source::{Extent, Local, Moment, Source};
use super::manifest::Manifest;
use super::*;
use crate::store::ChangeNumber;
use crate::store::file_timeline as timeline;
use crate::store::log::faults::{Fault, FaultyFiles, Operation, Random};
use crate::store::log::{Anatomy, Change, Files, Found, Log, Options, Wait};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

const STORE: &str = "/store";
const DEST: &str = "/backup";
const NEW: &str = "/new";

type Contents = BTreeMap<String, Bytes>;

/// A store that random changes are made to.
struct Written {
    files: FaultyFiles,
    log: Log,
    random: Random,
    sequence: u64,
}

impl Written {
    fn new(seed: u64) -> Self {
        let files = FaultyFiles::default();
        Self {
            log: open(&files, STORE),
            files,
            random: Random::new(seed),
            sequence: 0,
        }
    }

    /// Makes some changes, and compacts.
    fn change(&mut self, batches: usize) {
        for _ in 0..batches {
            let mut batch = Vec::new();
            for _ in 0..1 + self.random.below(3) {
                self.sequence += 1;
                let length = 200 + self.random.below(900);
                let value = vec![self.sequence as u8; length];
                batch.push(Change {
                    key: format!("k{}", self.random.below(12)).into(),
                    value: (self.random.below(6) > 0).then(|| value.into()),
                    sequence: ChangeNumber::new(self.sequence),
                });
            }
            self.log.commit(&batch).expect("commits");
            self.log.compact().expect("compacts");
        }
    }

    /// Returns a source of the present moment, and the contents of the store.
    fn source(&self, timeline: u64) -> (Local, Contents) {
        let source = Local::new(self.log.snapshot(), timeline);
        (source, contents(&self.log))
    }
}

fn open(files: &FaultyFiles, dir: &str) -> Log {
    let options = Options {
        segment_bytes: 8192,
        ..Options::default()
    };
    let opened = Log::open(Path::new(dir), Arc::new(files.clone()), options);
    opened.expect("opens").0
}

fn contents(log: &Log) -> Contents {
    let mut keys = Vec::new();
    log.for_each_key(|key, _, _| keys.push(key.to_owned()));
    let read = |key: String| match log.get(&key, Wait::ForDisk).expect("reads") {
        Found::Value { value, .. } => (key, value),
        found => panic!("{key}: {found:?}"),
    };
    keys.into_iter().map(read).collect()
}

/// Some minute of 2026.
fn now() -> SystemTime {
    UNIX_EPOCH + std::time::Duration::from_secs(1_780_000_000)
}

fn back_up(source: &mut dyn Source, dest: &FaultyFiles) -> Result<Manifest, BackupError> {
    take(source, Path::new(DEST), dest, now(), &mut |_| ())
}

fn try_restore(dest: &FaultyFiles, new: &FaultyFiles) -> Result<u64, BackupError> {
    let (from, to) = (Arc::new(dest.clone()), Arc::new(new.clone()));
    let restored = restore(
        Path::new(DEST),
        from,
        Path::new(NEW),
        to,
        now(),
        &mut |_| (),
    );
    restored.map(|restored| restored.timeline)
}

/// Returns the contents of the store that a restore makes.
fn restored(dest: &FaultyFiles) -> Contents {
    let new = FaultyFiles::default();
    try_restore(dest, &new).expect("restores");
    contents(&open(&new, NEW))
}

fn is_there(files: &FaultyFiles, dir: &str, name: &str) -> bool {
    files.open(&Path::new(dir).join(name)).is_ok()
}

/// A source whose store goes on between the reads.
struct Busy<'a> {
    source: Local,
    written: &'a mut Written,
    /// Bytes that were read.
    read: u64,
}

impl Source for Busy<'_> {
    fn moment(&self) -> &Moment {
        self.source.moment()
    }

    fn digest(&mut self, segment: u32, bytes: u64) -> Result<String, BackupError> {
        self.written.change(2);
        self.source.digest(segment, bytes)
    }

    fn read(
        &mut self,
        segment: u32,
        from: u64,
        put: &mut dyn FnMut(&[u8]) -> Result<(), BackupError>,
    ) -> Result<(), BackupError> {
        self.written.change(5);
        let read = &mut self.read;
        self.source.read(segment, from, &mut |piece| {
            // Responses come in pieces of any length.
            piece.chunks(1000).try_for_each(|piece| {
                *read += piece.len() as u64;
                put(piece)
            })
        })
    }
}

#[test]
fn a_backup_of_a_store_that_goes_on_is_the_store_of_one_moment() {
    for seed in 0..20 {
        let mut written = Written::new(seed);
        written.change(200);
        let dest = FaultyFiles::default();
        for _ in 0..5 {
            let (source, expected) = written.source(0);
            let mut source = Busy {
                source,
                written: &mut written,
                read: 0,
            };
            back_up(&mut source, &dest).expect("backs up");
            assert_eq!(restored(&dest), expected, "seed {seed}");
        }
    }
}

#[test]
fn a_later_backup_copies_only_new_data_and_removes_old_segments() {
    let mut written = Written::new(1);
    written.change(100);
    let dest = FaultyFiles::default();
    let mut all = 0;
    for round in 0..2 {
        let (source, _) = written.source(0);
        let mut source = Busy {
            source,
            written: &mut Written::new(2),
            read: 0,
        };
        let manifest = back_up(&mut source, &dest).expect("backs up");
        match round {
            0 => all = source.read,
            _ => assert!(source.read < all / 2, "{} of {all}", source.read),
        }
        let names = dest.list(Path::new(DEST)).expect("lists");
        assert_eq!(names.len(), manifest.segments.len() + 1, "{names:?}");
        written.change(3);
    }
}

/// The client is killed, or its machine loses power, at a random point, twenty times. An earlier
/// backup is whole all the time.
#[test]
fn interrupted_backups_are_continued_and_never_harm_the_last_whole_one() {
    for seed in 0..15 {
        let mut random = Random::new(seed);
        let mut written = Written::new(seed);
        written.change(60);
        let mut dest = FaultyFiles::default();
        let (mut source, contents) = written.source(0);
        back_up(&mut source, &dest).expect("backs up");
        // The last backup that ended well, and those begun since.
        let mut possible = vec![contents];
        let mut interrupted = 0;
        while interrupted < 20 {
            written.change(random.below(20));
            let (mut source, contents) = written.source(0);
            dest.crash_after(random.below(25) as u64);
            let taken = back_up(&mut source, &dest);
            match taken {
                Ok(_) => possible = vec![contents],
                Err(_) => {
                    interrupted += 1;
                    possible.push(contents);
                }
            }
            dest = match random.below(2) {
                0 => dest.kill(),
                _ => dest.crash(random.number()),
            };
            assert!(possible.contains(&restored(&dest)), "seed {seed}");
        }
        let (source, expected) = written.source(0);
        let mut source = Busy {
            source,
            written: &mut Written::new(0),
            read: 0,
        };
        back_up(&mut source, &dest).expect("backs up");
        assert_eq!(restored(&dest), expected, "seed {seed}");
    }
}

#[test]
fn a_first_backup_that_was_interrupted_is_no_backup_and_its_segments_are_reused() {
    let mut written = Written::new(5);
    written.change(200);
    let (source, expected) = written.source(0);
    let mut source = Busy {
        source,
        written: &mut Written::new(0),
        read: 0,
    };
    let all = source.moment().bytes();
    let mut dest = FaultyFiles::default();
    let mut kills = 0;
    loop {
        dest.crash_after(5 + kills);
        let taken = back_up(&mut source, &dest);
        dest = dest.kill();
        if taken.is_ok() || is_there(&dest, DEST, "BACKUP") {
            break;
        }
        kills += 1;
        let new = FaultyFiles::default();
        let refused = try_restore(&dest, &new);
        assert!(
            matches!(refused, Err(BackupError::Unfinished(_))),
            "{refused:?}"
        );
        assert!(kills < 1000, "it comes to no end");
    }
    assert!(kills > 2, "{kills}");
    assert!(
        source.read <= all + 1000 * kills,
        "{} of {all} after {kills} kills",
        source.read
    );
    assert_eq!(restored(&dest), expected);
}

#[test]
fn a_flipped_bit_in_a_backup_is_found_and_nothing_is_restored() {
    let mut written = Written::new(6);
    written.change(60);
    let dest = FaultyFiles::default();
    let (mut source, _) = written.source(0);
    back_up(&mut source, &dest).expect("backs up");
    let mut random = Random::new(1);
    for name in dest.list(Path::new(DEST)).expect("lists") {
        for _ in 0..20 {
            let (dest, path) = (dest.kill(), Path::new(DEST).join(&name));
            let mut bytes = dest.contents(&path);
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
            dest.put(&path, bytes);
            let new = FaultyFiles::default();
            let refused = try_restore(&dest, &new)
                .err()
                .map(|error| error.to_string());
            let named = refused.unwrap_or_default();
            assert!(
                named.contains(&name) && named.contains("damaged"),
                "{named}"
            );
            let left = new.list(Path::new(NEW)).unwrap_or_default();
            assert_eq!(left, Vec::<String>::new(), "nothing is left");
            let opened = BackupFiles::open(Path::new(DEST), Arc::new(dest));
            let damaged = match opened {
                Ok(Some(backup)) => backup.damaged().expect("reads"),
                Ok(None) => panic!("it is a backup"),
                // The list itself.
                Err(_) => vec![path.clone()],
            };
            assert_eq!(damaged, [path]);
        }
    }
}

#[test]
fn directories_with_other_contents_are_refused() {
    let mut written = Written::new(13);
    written.change(5);
    let (mut source, _) = written.source(0);
    let dest = FaultyFiles::default();
    back_up(&mut source, &dest).expect("backs up");
    // A backup of another store.
    let mut other = Written::new(14);
    other.change(5);
    let (mut other, _) = other.source(0);
    let refused = back_up(&mut other, &dest);
    assert!(matches!(refused, Err(BackupError::OtherStore(_))));
    // Another process.
    let lock = dest.lock_dir(Path::new(DEST)).expect("locks");
    assert!(lock.is_some());
    let refused = back_up(&mut source, &dest);
    assert!(matches!(refused, Err(BackupError::InUse(_))));
    // A store, and other files.
    for name in ["FORMAT", "0000000001.log", "notes.txt"] {
        let foreign = FaultyFiles::default();
        foreign.put(&Path::new(DEST).join(name), vec![1]);
        let refused = back_up(&mut source, &foreign);
        assert!(matches!(refused, Err(BackupError::Foreign(_))), "{name}");
        let used = FaultyFiles::default();
        used.put(&Path::new(NEW).join(name), vec![1]);
        let refused = try_restore(&dest.kill(), &used);
        assert!(matches!(refused, Err(BackupError::Used(_))), "{name}");
    }
    let missing = try_restore(&FaultyFiles::default(), &FaultyFiles::default());
    assert!(matches!(missing, Err(BackupError::Missing(_))));
}

#[test]
fn bytes_that_change_on_their_way_make_the_backup_fail() {
    struct Changing(Local);
    impl Source for Changing {
        fn moment(&self) -> &Moment {
            self.0.moment()
        }

        fn digest(&mut self, segment: u32, bytes: u64) -> Result<String, BackupError> {
            self.0.digest(segment, bytes)
        }

        fn read(
            &mut self,
            segment: u32,
            from: u64,
            put: &mut dyn FnMut(&[u8]) -> Result<(), BackupError>,
        ) -> Result<(), BackupError> {
            self.0.read(segment, from, &mut |piece| {
                let mut piece = piece.to_vec();
                piece[10] ^= 1;
                put(&piece)
            })
        }
    }
    let mut written = Written::new(15);
    written.change(5);
    let (source, expected) = written.source(0);
    let dest = FaultyFiles::default();
    let failed = back_up(&mut Changing(source), &dest);
    assert!(matches!(failed, Err(BackupError::Differs(1))), "{failed:?}");
    assert!(!is_there(&dest, DEST, "BACKUP"));
    let (mut source, _) = written.source(0);
    back_up(&mut source, &dest).expect("the next attempt copies it again");
    assert_eq!(restored(&dest), expected);
}

/// A source with another moment, and with one segment whose bytes differ.
struct Altered {
    source: Local,
    moment: Moment,
    damaged: u32,
}

impl Altered {
    fn of(source: Local) -> Self {
        Self {
            moment: source.moment().clone(),
            source,
            damaged: 0,
        }
    }
}

impl Source for Altered {
    fn moment(&self) -> &Moment {
        &self.moment
    }

    fn digest(&mut self, segment: u32, bytes: u64) -> Result<String, BackupError> {
        match segment == self.damaged {
            true => Ok("00".repeat(32)),
            false => self.source.digest(segment, bytes),
        }
    }

    fn read(
        &mut self,
        segment: u32,
        from: u64,
        put: &mut dyn FnMut(&[u8]) -> Result<(), BackupError>,
    ) -> Result<(), BackupError> {
        self.source.read(segment, from, put)
    }
}

/// The copy of the damaged segment once took the place of the good one.
#[test]
fn a_store_that_was_damaged_never_harms_its_earlier_backup() {
    let mut written = Written::new(19);
    written.change(60);
    let dest = FaultyFiles::default();
    let (mut source, expected) = written.source(0);
    let first = back_up(&mut source, &dest).expect("backs up");
    written.change(3);
    let mut tried = 0;
    for segment in first.segments.iter().map(|kept| kept.segment) {
        let (source, _) = written.source(0);
        let mut damaged = Altered::of(source);
        damaged.damaged = segment;
        let mut extents = damaged.moment.segments.iter();
        let Some(place) = extents.position(|extent| extent.segment == segment) else {
            // The store has removed the segment since.
            continue;
        };
        tried += 1;
        let refused = back_up(&mut damaged, &dest);
        assert!(matches!(refused, Err(BackupError::Changed(found)) if found == segment));
        assert_eq!(restored(&dest), expected);
        // The store lost the end of the segment.
        let (source, _) = written.source(0);
        let mut short = Altered::of(source);
        short.moment.segments[place].bytes = 100;
        let refused = back_up(&mut short, &dest);
        assert!(matches!(refused, Err(BackupError::Changed(found)) if found == segment));
        assert_eq!(restored(&dest), expected);
    }
    assert!(tried > 0);
    let (mut source, expected) = written.source(0);
    back_up(&mut source, &dest).expect("the repaired store is backed up");
    assert_eq!(restored(&dest), expected);
}

#[test]
fn a_server_is_not_trusted_with_the_order_and_the_length_of_segments() {
    let mut written = Written::new(20);
    written.change(60);
    let dest = FaultyFiles::default();
    let (source, _) = written.source(0);
    let mut disordered = Altered::of(source);
    disordered.moment.segments.reverse();
    let refused = back_up(&mut disordered, &dest);
    assert!(
        matches!(refused, Err(BackupError::Disordered)),
        "{refused:?}"
    );
    let (source, _) = written.source(0);
    let mut longer = Altered::of(source);
    longer.moment.segments[0].bytes = 10;
    let refused = back_up(&mut longer, &dest);
    assert!(
        matches!(refused, Err(BackupError::Differs(_))),
        "{refused:?}"
    );
    let names = dest.list(Path::new(DEST)).expect("lists");
    let lengths = names
        .iter()
        .map(|name| dest.contents(&Path::new(DEST).join(name)).len());
    assert_eq!(lengths.sum::<usize>(), 0, "{names:?}");
}

#[test]
fn a_backup_inside_a_store_is_refused() {
    let mut written = Written::new(21);
    written.change(5);
    let (mut source, _) = written.source(0);
    let inside = Path::new(STORE).join("backups/today");
    let files = written.files.clone();
    let refused = take(&mut source, &inside, &files, now(), &mut |_| ());
    assert!(
        matches!(refused, Err(BackupError::Inside { .. })),
        "{refused:?}"
    );
    assert!(files.list(&inside).is_err());
}

#[test]
fn a_store_that_is_not_open_is_backed_up_and_a_missing_one_is_not_made() {
    let mut written = Written::new(16);
    written.change(50);
    let (expected, files) = (contents(&written.log), written.files.clone());
    let in_use = Local::open(Path::new(STORE), Arc::new(files.clone()));
    assert!(
        in_use
            .err()
            .is_some_and(|error| error.to_string().contains("open"))
    );
    drop(written);
    let mut source = Local::open(Path::new(STORE), Arc::new(files.clone())).expect("opens");
    let dest = FaultyFiles::default();
    back_up(&mut source, &dest).expect("backs up");
    assert_eq!(restored(&dest), expected);
    let absent = Local::open(Path::new("/absent"), Arc::new(files.clone()));
    assert!(matches!(absent.err(), Some(BackupError::Store(_))));
    assert!(files.list(Path::new("/absent")).is_err());
}

#[test]
fn a_backup_on_disk_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().expect("a directory");
    let mut written = Written::new(17);
    written.change(20);
    let (mut source, expected) = written.source(0);
    let files = Arc::new(crate::store::log::SystemFiles);
    let (dest, new) = (directory.path().join("dest"), directory.path().join("new"));
    take(&mut source, &dest, &*files, now(), &mut |_| ()).expect("backs up");
    restore(
        &dest,
        Arc::clone(&files) as _,
        &new,
        files,
        now(),
        &mut |_| (),
    )
    .expect("restores");
    for directory in [&dest, &new] {
        let mut left: Vec<PathBuf> = vec![directory.clone()];
        for entry in std::fs::read_dir(directory).expect("lists") {
            left.push(entry.expect("an entry").path());
        }
        for path in left {
            let mode = std::fs::metadata(&path)
                .expect("is there")
                .permissions()
                .mode();
            assert_eq!(mode & 0o077, 0, "{}", path.display());
        }
    }
    let log = Log::open(
        &new,
        Arc::new(crate::store::log::SystemFiles),
        Options::default(),
    );
    assert_eq!(contents(&log.expect("opens").0), expected);
}

#[test]
fn extents_are_those_of_the_snapshot() {
    let mut written = Written::new(18);
    written.change(60);
    let snapshot = written.log.snapshot();
    let moment = Moment::of(&snapshot, 9);
    let of = |extent: &Extent| (extent.segment, extent.bytes);
    let extents: Vec<_> = moment.segments.iter().map(of).collect();
    assert_eq!(extents, snapshot.segments().collect::<Vec<_>>());
    assert_eq!(moment.timeline, 9);
    assert!(extents.is_sorted());
}
