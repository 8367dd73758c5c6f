//! Snapshots: the segments of one moment, for a backup.
//!
//! A snapshot holds the open files of its segments, and the length of each at that moment. Segments
//! only grow, and a removed file stays readable as long as it is open. So commits and compaction go
//! on, and the snapshot needs no lock. The newest segment ends at the last batch that was made as
//! durable as configured. The snapshot is therefore a state that the log would have after a crash.
//!
//! The room of a removed segment returns to the disk only when no snapshot holds the segment. So the
//! log ends such snapshots when the disk is nearly full; see [`Pins::relieve`].

use super::files::Files;
use super::format::{SegmentNumber, StoreId, VERSION};
use super::segments::{Segment, Segments};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Segments of a log at one moment. Clones share the pins. The pins end with the last clone.
#[derive(Clone)]
pub struct Snapshot(Arc<Pinned>);

/// Takes snapshots of an open log.
#[derive(Clone)]
pub struct Snapshots(Arc<dyn Fn() -> Snapshot + Send + Sync>);

impl Snapshots {
    pub(crate) fn new(take: impl Fn() -> Snapshot + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }

    /// Takes a snapshot. May wait for a batch that is being written.
    pub(crate) fn take(&self) -> Snapshot {
        (self.0)()
    }
}

struct Pinned {
    id: StoreId,
    files: Arc<dyn Files>,
    /// Length of each segment at the moment of the snapshot.
    lengths: BTreeMap<SegmentNumber, u64>,
    /// The open files. `None` once the log ended the snapshot.
    held: Mutex<Option<BTreeMap<SegmentNumber, Arc<Segment>>>>,
}

/// Reason why a segment of a snapshot can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    /// The log ended the snapshot.
    #[error(
        "the disk of the store is nearly full, so the server gave up the removed segments that \
         this backup still needed; make room on the disk and start the backup again"
    )]
    NearlyFull,
    /// The snapshot has no such segment, or the segment is shorter.
    #[error("the backup has no such bytes")]
    Absent,
    /// The file system failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Snapshot {
    /// Identity of the store: 32 hexadecimal digits.
    pub(crate) fn store(&self) -> String {
        self.0.id.to_hex()
    }

    /// Version of the log's format.
    pub(crate) const fn format(&self) -> u32 {
        let _ = self;
        VERSION
    }

    /// Numbers and lengths of the segments, oldest first.
    pub(crate) fn segments(&self) -> impl Iterator<Item = (u32, u64)> {
        self.0
            .lengths
            .iter()
            .map(|(number, bytes)| (*number, *bytes))
    }

    /// Length of a segment at the moment of the snapshot.
    pub(crate) fn length(&self, segment: u32) -> Option<u64> {
        self.0.lengths.get(&segment).copied()
    }

    /// Whether the log ended the snapshot.
    pub(crate) fn is_ended(&self) -> bool {
        self.0.held().is_none()
    }

    /// Opens a segment for reading from its beginning to its end.
    ///
    /// # Errors
    ///
    /// When the snapshot has no such segment, or was ended.
    pub(crate) fn open(&self, segment: u32) -> Result<Reading, SnapshotError> {
        let held = self.held(segment)?;
        let newest = self.0.lengths.last_key_value().map(|(number, _)| *number);
        // Direct reads leave the system's memory to the server. The newest segment is in memory
        // anyway. A removed file has no name any more, so its open file is read.
        let direct = match newest == Some(segment) {
            true => None,
            false => self.0.files.open_direct(&held.path).ok(),
        };
        Ok(Reading {
            snapshot: self.clone(),
            segment,
            direct,
        })
    }

    fn held(&self, segment: SegmentNumber) -> Result<Arc<Segment>, SnapshotError> {
        let held = self.0.held();
        let held = held.as_ref().ok_or(SnapshotError::NearlyFull)?;
        held.get(&segment).cloned().ok_or(SnapshotError::Absent)
    }
}

/// One segment of a snapshot, open for reading.
pub(crate) struct Reading {
    snapshot: Snapshot,
    segment: SegmentNumber,
    direct: Option<Arc<dyn super::files::LogFile>>,
}

impl Reading {
    /// Fills the buffer with the bytes of the segment at an offset. May wait for the disk.
    ///
    /// # Errors
    ///
    /// When the snapshot was ended, the bytes are not part of it, or the file system fails.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), SnapshotError> {
        let held = self.snapshot.held(self.segment)?;
        let length = self.snapshot.length(self.segment).unwrap_or(0);
        if offset.saturating_add(buffer.len() as u64) > length {
            return Err(SnapshotError::Absent);
        }
        match &self.direct {
            Some(file) => file.read_at(buffer, offset)?,
            None => held.file.read_at(buffer, offset)?,
        }
        Ok(())
    }
}

impl Pinned {
    fn held(&self) -> MutexGuard<'_, Option<BTreeMap<SegmentNumber, Arc<Segment>>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this snapshot holds a segment that is not in the log any more.
    fn holds_removed(&self, segments: &Segments) -> bool {
        let held = self.held();
        let mut numbers = held.iter().flat_map(BTreeMap::keys);
        numbers.any(|number| segments.get(*number).is_none())
    }
}

/// The snapshots of a log that are in use.
#[derive(Default)]
pub(super) struct Pins {
    all: Mutex<Vec<Weak<Pinned>>>,
}

impl Pins {
    /// Makes a snapshot of these segments. The caller keeps batches from being written meanwhile.
    pub(super) fn pin(
        &self,
        id: StoreId,
        files: Arc<dyn Files>,
        segments: Vec<Arc<Segment>>,
    ) -> Snapshot {
        let lengths = segments
            .iter()
            .map(|segment| (segment.number, segment.bytes()))
            .collect();
        let held = segments
            .into_iter()
            .map(|segment| (segment.number, segment))
            .collect();
        let pinned = Arc::new(Pinned {
            id,
            files,
            lengths,
            held: Mutex::new(Some(held)),
        });
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|pinned| pinned.strong_count() > 0);
        all.push(Arc::downgrade(&pinned));
        Snapshot(pinned)
    }

    /// Whether no snapshot is in use.
    pub(super) fn is_empty(&self) -> bool {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().all(|pinned| pinned.strong_count() == 0)
    }

    /// Ends every snapshot that holds removed segments, which returns their room to the disk.
    /// Returns whether there was one. Other snapshots take no room, so they go on.
    pub(super) fn relieve(&self, segments: &Segments) -> bool {
        let all: Vec<_> = {
            let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
            all.iter().filter_map(Weak::upgrade).collect()
        };
        let mut some = false;
        for pinned in all.iter().filter(|pinned| pinned.holds_removed(segments)) {
            // Closing the files may take a while, so the lock is released first.
            let held = pinned.held().take();
            drop(held);
            some = true;
        }
        some
    }
}
