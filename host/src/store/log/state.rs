//! State of an open log. The modules `read`, `append` and `compact` work on it.

use super::api::Options;
use super::bases::Bases;
use super::directory::Directory;
use super::error::CommitError;
use super::index::Index;
use super::manifest::{Manifest, ManifestError};
use super::reserve::Reserve;
use super::segments::{Segment, Segments};
use super::snapshot::Pins;
use crate::store::ChangeNumber;
use metrics::Histogram;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// The whole state of an open log.
pub(super) struct State {
    pub(super) directory: Directory,
    pub(super) options: Options,
    pub(super) index: Index,
    pub(super) segments: Segments,
    /// Snapshots in use.
    pub(super) pins: Pins,
    pub(super) manifest: Mutex<Manifest>,
    pub(super) reserve: Reserve,
    pub(super) writer: Mutex<Writer>,
    /// The lock also prevents two compactions at the same time.
    pub(super) compaction: Mutex<Compaction>,
    pub(super) highest: AtomicU64,
    /// Whether a sync failed. The content of the disk after the last durable batch is then unknown.
    pub(super) refuses: AtomicBool,
    /// Times of syncs of batches.
    pub(super) sync_time: OnceLock<Histogram>,
}

/// Position at which the next batch is written.
pub(super) struct Writer {
    pub(super) active: Arc<Segment>,
    /// The end of the last batch.
    pub(super) tail: u64,
    /// The end of the synced bytes.
    pub(super) synced: u64,
    /// The end of the zeros after the tail. Includes zeros that found no room, so that they are not
    /// tried again.
    pub(super) filled: u64,
    /// Offset at which the active segment ends.
    pub(super) limit: u64,
    /// Upper bound of any segment's limit. It is less than the option's value if the system allows
    /// no such file.
    pub(super) most: u64,
    /// Values of the active segment that patches may be based on.
    pub(super) bases: Bases,
}

/// State of compaction.
#[derive(Default)]
pub(super) struct Compaction {
    pub(super) task: Option<Task>,
    /// Whether a crash may bring back removed segments. Until it can't, compaction removes no
    /// further segment, since that one may hold the tombstone for a record in the earlier ones.
    pub(super) removals_unsynced: bool,
}

/// A segment that is being rewritten.
pub(super) struct Task {
    pub(super) segment: Arc<Segment>,
    /// All live records before this offset were moved.
    pub(super) offset: u64,
}

impl State {
    pub(super) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn highest_sequence(&self) -> ChangeNumber {
        ChangeNumber::new(self.highest.load(Ordering::Acquire))
    }

    pub(super) fn room(&self) -> u64 {
        self.directory.files.room(&self.directory.path)
    }

    pub(super) fn refuses_writes(&self) -> bool {
        self.refuses.load(Ordering::Acquire)
    }

    pub(super) fn is_manifest_there(&self) -> bool {
        let manifest = self.manifest.lock();
        manifest.unwrap_or_else(PoisonError::into_inner).is_there()
    }

    /// Changes the list of the store's segments.
    pub(super) fn change_names(
        &self,
        change: impl FnOnce(&mut Manifest) -> Result<(), ManifestError>,
    ) -> Result<(), CommitError> {
        let manifest = self.manifest.lock();
        let manifest = &mut *manifest.unwrap_or_else(PoisonError::into_inner);
        change(manifest).map_err(|error| match error {
            ManifestError::Unchanged(error) => CommitError::of_write(error),
            ManifestError::Unknown(error) => self.refuse(error),
        })
    }

    /// Refuses all commits from here on.
    pub(super) fn refuse(&self, error: io::Error) -> CommitError {
        self.refuses.store(true, Ordering::Release);
        CommitError::Sync(error)
    }
}

impl Writer {
    /// A writer for a segment that is synced up to its end. The segment may grow to `size` bytes,
    /// or to `most`, if that is less.
    pub(super) fn at_end_of(active: Arc<Segment>, tail: u64, most: u64, size: u64) -> Self {
        Self {
            active,
            tail,
            synced: tail,
            filled: tail,
            limit: most.min(size),
            most,
            bases: Bases::default(),
        }
    }
}
