//! Tests of the log on a file system that fails and crashes on demand.

mod basics;
mod compaction;
mod damage;
mod failures;
mod full;
mod holes;
mod manifest;
mod model;
mod patch_damage;
mod patches;
mod real;
mod snapshots;
mod upgrade;

use super::check::{Report, check_segment};
use super::faults::{FaultyFiles, Random};
use super::files::Files;
use super::{Change, CommitError, Found, Log, OpenError, Options, ReadError, Recovered, Wait};
use crate::store::ChangeNumber;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const DIR: &str = "/store";
const FORMAT: &str = "/store/FORMAT";
const MANIFEST: &str = "/store/MANIFEST";

/// Sizes of a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Stats {
    /// Number of keys with a value.
    keys: u64,
    /// Bytes of live records: keys, values, and a header each. For a patched value, the patch and
    /// its base count.
    live_bytes: u64,
    /// Bytes of all segments.
    disk_bytes: u64,
    /// Number of segments. Each is an open file.
    segments: u64,
}

impl Log {
    /// Returns the sizes of the log.
    fn stats(&self) -> Stats {
        let segments = self.state.segments.all();
        Stats {
            keys: self.state.index.len(),
            live_bytes: self.state.segments.live(),
            disk_bytes: segments.iter().map(|segment| segment.bytes()).sum(),
            segments: segments.len() as u64,
        }
    }

    /// Reads every record, live or not, and reports the damaged ones.
    fn verify(&self) -> Result<Report, ReadError> {
        let mut report = Report::default();
        for segment in self.state.segments.all() {
            let len = segment.bytes();
            check_segment(
                &*segment.file,
                self.state.directory.id,
                segment.number,
                &segment.path,
                len,
                &mut report,
            )
            .map_err(|source| ReadError::Io {
                file: segment.path.clone(),
                source,
            })?;
        }
        Ok(report)
    }
}

/// Segments so small that a few batches fill one.
fn small_segments() -> Options {
    Options {
        segment_bytes: 4096,
        ..Options::default()
    }
}

fn try_open(files: &FaultyFiles, options: Options) -> Result<(Log, Recovered), OpenError> {
    Log::open(Path::new(DIR), Arc::new(files.clone()), options)
}

fn open(files: &FaultyFiles) -> Log {
    try_open(files, Options::default()).expect("opens").0
}

fn segment(number: u32) -> PathBuf {
    Path::new(DIR).join(format!("{number:010}.log"))
}

/// Removes a file durably, as only a fault does.
fn remove(files: &FaultyFiles, path: &Path) {
    files.remove(path).expect("is there");
    files.sync_dir(Path::new(DIR)).expect("works");
}

fn set(key: &str, value: &[u8], sequence: u64) -> Change {
    Change {
        key: key.into(),
        value: Some(Bytes::copy_from_slice(value)),
        sequence: ChangeNumber::new(sequence),
    }
}

fn delete(key: &str, sequence: u64) -> Change {
    Change {
        key: key.into(),
        value: None,
        sequence: ChangeNumber::new(sequence),
    }
}

fn commit(log: &Log, change: Change) -> Result<(), CommitError> {
    log.commit(&[change])
}

fn read(log: &Log, key: &str) -> Option<(Bytes, ChangeNumber)> {
    match log.get(key, Wait::ForDisk).expect("readable") {
        Found::Value { value, sequence } => Some((value, sequence)),
        Found::Absent => None,
        Found::NotResident => unreachable!("it may wait"),
    }
}

fn value(log: &Log, key: &str) -> Option<Bytes> {
    read(log, key).map(|(value, _)| value)
}

/// Returns a value after an append: its front changes, and its end gets more bytes.
fn appended(value: &[u8], number: u64, more: usize) -> Vec<u8> {
    let mut random = Random::new(number);
    let front = random.number().to_le_bytes();
    let rest = value.iter().skip(front.len()).copied();
    let more = (0..more).map(|_| random.number() as u8);
    front.into_iter().chain(rest).chain(more).collect()
}

/// Keys with a value that is stored as a patch.
fn patched_keys(log: &Log) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    log.state.index.for_each(|key, place| {
        if place.patch.is_some() {
            keys.insert(key.to_owned());
        }
    });
    keys
}

/// Number of keys with a value that is stored as a patch.
fn patches(log: &Log) -> usize {
    patched_keys(log).len()
}

/// Asserts that the live bytes of every segment match the index.
fn expect_exact_live_bytes(log: &Log) {
    let mut live = BTreeMap::<_, u64>::new();
    log.state.index.for_each(|key, place| {
        *live.entry(place.segment).or_default() += place.freed_by(None, key);
    });
    for segment in log.state.segments.all() {
        let expected = live.remove(&segment.number).unwrap_or_default();
        assert_eq!(segment.live(), expected, "segment {}", segment.number);
    }
    assert_eq!(live, BTreeMap::new(), "segments that are not there");
}

/// Returns all keys and values.
fn contents(log: &Log) -> BTreeMap<String, (Bytes, ChangeNumber)> {
    expect_exact_live_bytes(log);
    let mut keys = Vec::new();
    log.for_each_key(|key, sequence, length| keys.push((key.to_owned(), sequence, length)));
    let read = |(key, sequence, length): (String, ChangeNumber, u32)| {
        let found = read(log, &key).expect("has a value");
        assert_eq!((found.0.len() as u32, found.1), (length, sequence));
        assert_eq!(log.lookup(&key), Some(sequence));
        (key, found)
    };
    keys.into_iter().map(read).collect()
}

fn compact_all(log: &Log) {
    for _ in 0..10_000 {
        if !log.compact().expect("compacts") {
            return;
        }
    }
    panic!("compaction comes to no end");
}
