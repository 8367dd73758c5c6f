//! What the log claims, on a file system that fails and crashes at will.

mod basics;
mod compaction;
mod damage;
mod failures;
mod model;
mod real;

use super::faults::FaultyFiles;
use super::{Change, CommitError, Found, Log, OpenError, Options, Recovered, Sequence, Wait};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const DIR: &str = "/store";

/// So small that a few batches fill one.
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

fn set(key: &str, value: &[u8], sequence: u64) -> Change {
    Change {
        key: key.into(),
        value: Some(Bytes::copy_from_slice(value)),
        sequence: Sequence::new(sequence),
    }
}

fn delete(key: &str, sequence: u64) -> Change {
    Change {
        key: key.into(),
        value: None,
        sequence: Sequence::new(sequence),
    }
}

fn commit(log: &Log, change: Change) -> Result<(), CommitError> {
    log.commit(&[change])
}

fn read(log: &Log, key: &str) -> Option<(Bytes, Sequence)> {
    match log.get(key, Wait::ForDisk).expect("readable") {
        Found::Value { value, sequence } => Some((value, sequence)),
        Found::Absent => None,
        Found::NotResident => unreachable!("it may wait"),
    }
}

fn value(log: &Log, key: &str) -> Option<Bytes> {
    read(log, key).map(|(value, _)| value)
}

/// All keys and values.
fn contents(log: &Log) -> BTreeMap<String, (Bytes, Sequence)> {
    let mut keys = Vec::new();
    log.for_each_key(|key, sequence, length| keys.push((key.to_owned(), sequence, length)));
    let read = |(key, sequence, length): (String, Sequence, u32)| {
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
