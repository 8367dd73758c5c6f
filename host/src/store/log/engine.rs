//! The log's interface.

use super::api::{Change, Found, Options, Recovered, Wait};
use super::append;
use super::compact;
use super::error::{CommitError, CompactError, OpenError, ReadError};
use super::files::Files;
use super::hole::{self, Hole};
use super::read;
use super::recover;
use super::scrub::{self, Scrub, Scrubbed};
use super::snapshot::Snapshot;
use super::state::State;
use crate::store::{ChangeNumber, Figures};
use metrics::Histogram;
use std::path::Path;
use std::sync::Arc;

/// Open log. Reads run on any thread and never wait for a commit's disk write; commits take turns.
pub(crate) struct Log {
    pub(super) state: State,
}

impl Log {
    /// Opens the log in a directory, or creates one where there is none.
    ///
    /// # Errors
    ///
    /// [`OpenError`], with a one-line text that names a remedy.
    pub(crate) fn open(
        dir: &Path,
        files: Arc<dyn Files>,
        options: Options,
    ) -> Result<(Self, Recovered), OpenError> {
        let (state, recovered) = recover::open(dir, files, options)?;
        Ok((Self { state }, recovered))
    }

    /// Reads a key. With [`Wait::Never`] the read does not wait for the disk.
    ///
    /// # Errors
    ///
    /// When the file system fails, or the record is damaged.
    pub(crate) fn get(&self, key: &str, wait: Wait) -> Result<Found, ReadError> {
        read::get(&self.state, key, wait)
    }

    /// Appends a batch and applies all of it or nothing. Of several changes of one key, only the
    /// last is written.
    ///
    /// # Errors
    ///
    /// Nothing of the batch is visible; [`CommitError`] says whether a later commit may succeed.
    pub(crate) fn commit(&self, batch: &[Change]) -> Result<(), CommitError> {
        append::commit(&self.state, batch)
    }

    /// Appends a batch that frees room after [`commit`](Self::commit) found none, using the
    /// reserve. `growth` counts the bytes by which the batch's values grow; such growth may use
    /// half of the reserve.
    ///
    /// # Errors
    ///
    /// As for [`commit`](Self::commit).
    pub(crate) fn commit_freeing(&self, batch: &[Change], growth: u64) -> Result<(), CommitError> {
        append::commit_freeing(&self.state, batch, growth)
    }

    /// Appends records of lost values: reading them fails. An open would take holes at the end of
    /// the log for an unfinished write, so a commit must follow.
    ///
    /// # Errors
    ///
    /// As for [`commit`](Self::commit).
    pub(crate) fn commit_holes(&self, holes: &[Hole]) -> Result<(), CommitError> {
        hole::commit_holes(&self.state, holes)
    }

    /// Checks whether the files are still in the directory. If not, the log refuses every later
    /// commit.
    pub(crate) fn look(&self) {
        append::look(&self.state);
    }

    /// Records the times of syncs here from now on. Only the first call counts.
    pub(crate) fn measure(&self, sync_time: Histogram) {
        let _ = self.state.sync_time.set(sync_time);
    }

    /// The log's part of the store's figures. Does not read the disk.
    #[must_use]
    pub(crate) fn figures(&self) -> Figures {
        let segments = self.state.segments.all();
        Figures {
            log_bytes: segments.iter().map(|segment| segment.bytes()).sum(),
            live_bytes: self.state.segments.live(),
            segments: segments.len() as u64,
            keys: self.state.index.len(),
            room_bytes: self.state.room(),
            ..Figures::default()
        }
    }

    /// Whether the log takes only batches that free room, since the reserve is in use.
    #[must_use]
    pub(crate) fn is_on_reserve(&self) -> bool {
        self.state.reserve.is_in_use()
    }

    /// Allocates a new reserve if there is room for it. Returns whether there is a reserve.
    pub(crate) fn restore_reserve(&self) -> bool {
        let directory = &self.state.directory;
        self.state
            .reserve
            .restore(&directory.path, &*directory.files)
    }

    /// Returns the length of a key's value, if it has one. Does not read the disk.
    #[must_use]
    pub(crate) fn value_length(&self, key: &str) -> Option<u64> {
        let place = self.state.index.get(key)?;
        Some(place.value_length.into())
    }

    /// Does one compaction step. Returns whether there may be more to do. Commits wait for at most
    /// one batch of a few megabytes.
    ///
    /// # Errors
    ///
    /// The step was not done; the data is unchanged.
    pub(crate) fn compact(&self) -> Result<bool, CompactError> {
        compact::compact(&self.state)
    }

    /// Verifies about `most` bytes of the sealed segments, from the scrub's position. Commits and
    /// reads go on meanwhile.
    pub(crate) fn scrub(&self, scrub: &mut Scrub, most: u64) -> Scrubbed {
        scrub::scrub(&self.state, scrub, most)
    }

    /// Pins the segments of this moment for a backup. The snapshot has every batch committed before
    /// the call, whole, and none committed later. Commits wait only for the list to be copied.
    #[must_use]
    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = &self.state;
        // No batch is half written while the writer is locked.
        let _writer = state.writer();
        let directory = &state.directory;
        let files = Arc::clone(&directory.files);
        state.pins.pin(directory.id, files, state.segments.all())
    }

    /// Returns the highest committed change number.
    #[must_use]
    pub(crate) fn highest_sequence(&self) -> ChangeNumber {
        self.state.highest_sequence()
    }

    /// Returns the free bytes on the disk; 0 where the system can't tell.
    #[must_use]
    pub(crate) fn room(&self) -> u64 {
        self.state.room()
    }

    /// Whether the log refuses every commit until it is opened again, since one commit could not be
    /// made durable.
    #[must_use]
    pub(crate) fn refuses_writes(&self) -> bool {
        self.state.refuses_writes()
    }

    /// Returns the number of the change that wrote this key's value, if it has one. Does not read
    /// the disk.
    #[must_use]
    pub(crate) fn lookup(&self, key: &str) -> Option<ChangeNumber> {
        self.state.index.get(key).map(|place| place.sequence)
    }

    /// Visits every key with the number of the change that wrote its value, and the value's length.
    /// Commits wait meanwhile, so the visitor must be quick and must not use the log.
    pub(crate) fn for_each_key(&self, mut visit: impl FnMut(&str, ChangeNumber, u32)) {
        self.state
            .index
            .for_each(|key, place| visit(key, place.sequence, place.value_length));
    }
}
