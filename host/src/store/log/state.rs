//! Parts of an open log. What is done with them is in `read`, `append` and `compact`.

use super::api::Options;
use super::bases::Bases;
use super::directory::Directory;
use super::error::CommitError;
use super::index::Index;
use super::manifest::{Manifest, ManifestError};
use super::reserve::Reserve;
use super::segments::{Segment, Segments};
use crate::store::ChangeNumber;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Everything that an open log knows.
pub(super) struct State {
    pub(super) directory: Directory,
    pub(super) options: Options,
    pub(super) index: Index,
    pub(super) segments: Segments,
    pub(super) manifest: Mutex<Manifest>,
    pub(super) reserve: Reserve,
    pub(super) writer: Mutex<Writer>,
    /// Also keeps two from being at it at once.
    pub(super) compaction: Mutex<Compaction>,
    pub(super) highest: AtomicU64,
    /// A sync failed: what the disk holds after the last durable batch is not known.
    pub(super) refuses: AtomicBool,
}

/// What the next batch goes to.
pub(super) struct Writer {
    pub(super) active: Arc<Segment>,
    /// The end of the last batch.
    pub(super) tail: u64,
    /// Up to here the disk has it.
    pub(super) synced: u64,
    /// The end of the zeros after the tail, or what was tried in vain.
    pub(super) filled: u64,
    /// Where the active segment ends.
    pub(super) limit: u64,
    /// The most any may hold: less than asked for where the system allows no such file.
    pub(super) most: u64,
    /// Values of the active segment that others may be written as patches of.
    pub(super) bases: Bases,
}

/// What compaction is at.
#[derive(Default)]
pub(super) struct Compaction {
    pub(super) task: Option<Task>,
    /// A crash may bring back segments that were removed. Until that is ruled out nothing more is
    /// done: with another one the tombstone could go that outweighs what is in them.
    pub(super) removals_unsynced: bool,
}

/// A segment that is being rewritten.
pub(super) struct Task {
    pub(super) segment: Arc<Segment>,
    /// Up to here all that is needed was moved.
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

    /// Changes which segments the store consists of.
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

    /// From here on commits are refused.
    pub(super) fn refuse(&self, error: io::Error) -> CommitError {
        self.refuses.store(true, Ordering::Release);
        CommitError::Sync(error)
    }
}

impl Writer {
    /// For a segment that is synced up to its end and is to take `size` bytes, or `most`.
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
