//! The log as its users see it.

use super::check::{Report, check_segment};
use super::compact::Compaction;
use super::directory::Directory;
use super::error::ReadError;
use super::format::record_length;
use super::index::{Index, Place};
use super::record::{Verified, rebuild, verify};
use super::segments::{Segment, Segments};
use super::writer::Writer;
use super::{Found, Options, Stats, Wait};
use crate::store::ChangeNumber;
use bytes::Bytes;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// An open log. Reads run on any thread and never wait for a commit's disk; commits take turns.
pub struct Log {
    pub(super) directory: Directory,
    pub(super) options: Options,
    pub(super) index: Index,
    pub(super) segments: Segments,
    pub(super) writer: Mutex<Writer>,
    /// Also keeps two from being at it at once.
    pub(super) compaction: Mutex<Compaction>,
    pub(super) highest: AtomicU64,
    /// A sync failed: what the disk holds after the last durable batch is not known.
    pub(super) refuses: AtomicBool,
}

impl Log {
    /// Reads a key. With [`Wait::Never`] it does not wait for the disk.
    ///
    /// # Errors
    ///
    /// When the file system fails, or the record is damaged.
    pub fn get(&self, key: &str, wait: Wait) -> Result<Found, ReadError> {
        let mut gone = None;
        loop {
            let Some(place) = self.index.get(key) else {
                return Ok(Found::Absent);
            };
            if let Some(segment) = self.segments.get(place.segment) {
                return self.read(&segment, place, key, wait);
            }
            // Removed in between: the record was moved before, so the index says where to now.
            if gone.replace(place) == Some(place) {
                return Err(ReadError::Damaged {
                    file: self.directory.segment_path(place.segment),
                    offset: place.offset.into(),
                });
            }
        }
    }

    pub(super) fn read(
        &self,
        segment: &Segment,
        place: Place,
        key: &str,
        wait: Wait,
    ) -> Result<Found, ReadError> {
        let id = self.directory.id;
        let Some(record) = read_record(segment, place.offset, place.record_length(key), wait)?
        else {
            return Ok(Found::NotResident);
        };
        let value = match (verify(&record, key, id), place.patch) {
            (Some(Verified::Value(value)), None) => Some(value),
            (Some(Verified::Patch(head, runs)), Some(patch)) if head.base == patch.base => {
                let length = record_length(key.len(), patch.base_length.into());
                let Some(base) = read_record(segment, patch.base, length, wait)? else {
                    return Ok(Found::NotResident);
                };
                let base = verify(&base, key, id).and_then(Verified::value);
                base.and_then(|base| rebuild(head, &runs, &base, id))
            }
            _ => None,
        };
        let value = value.ok_or_else(|| damaged(segment, place.offset.into()))?;
        Ok(Found::Value {
            value,
            sequence: place.sequence,
        })
    }

    /// The number of the change that wrote this key's value, if it has one. Reads no disk.
    #[must_use]
    pub fn lookup(&self, key: &str) -> Option<ChangeNumber> {
        self.index.get(key).map(|place| place.sequence)
    }

    /// The highest number that was ever committed.
    #[must_use]
    pub fn highest_sequence(&self) -> ChangeNumber {
        ChangeNumber::new(self.highest.load(Ordering::Acquire))
    }

    /// Bytes that there is room for on the disk; 0 where that can't be told.
    #[must_use]
    pub fn room(&self) -> u64 {
        self.directory.files.room(&self.directory.path)
    }

    /// Whether every commit is refused until the log is opened again, since one could not be
    /// made durable.
    #[must_use]
    pub fn refuses_writes(&self) -> bool {
        self.refuses.load(Ordering::Acquire)
    }

    /// How much there is of what.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let segments = self.segments.all();
        Stats {
            keys: self.index.len(),
            live_bytes: self.segments.live(),
            disk_bytes: segments.iter().map(|segment| segment.bytes()).sum(),
            segments: segments.len() as u64,
        }
    }

    /// Shows every key, the number of the change that wrote its value, and the value's length.
    /// Commits wait meanwhile, so the visitor must be quick and must not use the log.
    pub fn for_each_key(&self, mut visit: impl FnMut(&str, ChangeNumber, u32)) {
        self.index
            .for_each(|key, place| visit(key, place.sequence, place.value_length));
    }

    /// Reads every record, needed or not, and tells what is not as it was written.
    ///
    /// # Errors
    ///
    /// When the file system fails.
    pub fn verify(&self) -> Result<Report, ReadError> {
        let mut report = Report::default();
        for segment in self.segments.all() {
            let len = segment.bytes();
            check_segment(
                &*segment.file,
                self.directory.id,
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

    pub(super) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes of a record; none where it would have to wait for them and may not.
fn read_record(
    segment: &Segment,
    offset: u32,
    length: u64,
    wait: Wait,
) -> Result<Option<Bytes>, ReadError> {
    let offset = u64::from(offset);
    let mut buffer = vec![0; length as usize];
    let read = match wait {
        Wait::ForDisk => segment.file.read_at(&mut buffer, offset).map(|()| true),
        Wait::Never => segment.file.read_resident_at(&mut buffer, offset),
    };
    match read {
        Ok(read) => Ok(read.then(|| Bytes::from(buffer))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(damaged(segment, offset)),
        Err(source) => Err(ReadError::Io {
            file: segment.path.clone(),
            source,
        }),
    }
}

pub(super) fn damaged(segment: &Segment, offset: u64) -> ReadError {
    ReadError::Damaged {
        file: segment.path.clone(),
        offset,
    }
}
