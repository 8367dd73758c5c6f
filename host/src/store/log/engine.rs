//! The log as its users see it.

use super::check::{Report, check_segment};
use super::compact::Compaction;
use super::directory::Directory;
use super::error::ReadError;
use super::format::{RECORD_HEADER, RecordHeader};
use super::index::{Index, Place};
use super::segments::{Segment, Segments};
use super::writer::Writer;
use super::{Found, Options, Sequence, Stats, Wait};
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

    fn read(
        &self,
        segment: &Segment,
        place: Place,
        key: &str,
        wait: Wait,
    ) -> Result<Found, ReadError> {
        let io = |source| ReadError::Io {
            file: segment.path.clone(),
            source,
        };
        let offset = u64::from(place.offset);
        let mut buffer = vec![0; place.record_length(key) as usize];
        match wait {
            Wait::ForDisk => match segment.file.read_at(&mut buffer, offset) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(damaged(segment, offset));
                }
                Err(error) => return Err(io(error)),
            },
            Wait::Never => {
                let read = segment.file.read_resident_at(&mut buffer, offset);
                if !read.map_err(io)? {
                    return Ok(Found::NotResident);
                }
            }
        }
        let value = self.verified_value(Bytes::from(buffer), key);
        let value = value.ok_or_else(|| damaged(segment, offset))?;
        Ok(Found::Value {
            value,
            sequence: place.sequence,
        })
    }

    /// The value in the bytes of a record, if these are a record of this key as it was written.
    pub(super) fn verified_value(&self, record: Bytes, key: &str) -> Option<Bytes> {
        let id = self.directory.id;
        let (raw, rest) = record.split_at_checked(RECORD_HEADER)?;
        let header = RecordHeader::decode(raw)?;
        let (found, value) = rest.split_at_checked(key.len())?;
        let whole = found == key.as_bytes()
            && header.verify(raw, found, id)
            && header.value_checksum == id.checksum(value);
        let start = RECORD_HEADER.saturating_add(key.len());
        whole.then(|| record.slice(start..))
    }

    /// The number of the change that wrote this key's value, if it has one. Reads no disk.
    #[must_use]
    pub fn lookup(&self, key: &str) -> Option<Sequence> {
        self.index.get(key).map(|place| place.sequence)
    }

    /// The highest number that was ever committed.
    #[must_use]
    pub fn highest_sequence(&self) -> Sequence {
        Sequence::new(self.highest.load(Ordering::Acquire))
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
    pub fn for_each_key(&self, mut visit: impl FnMut(&str, Sequence, u32)) {
        self.index
            .for_each(|key, place| visit(key, place.sequence, place.value_length));
    }

    /// Reads every record, needed or not, and tells what is not as it was written.
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

pub(super) fn damaged(segment: &Segment, offset: u64) -> ReadError {
    ReadError::Damaged {
        file: segment.path.clone(),
        offset,
    }
}
