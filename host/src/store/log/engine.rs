//! The log as its users see it.

use super::api::{Change, Found, Options, Recovered, Wait};
use super::append;
use super::compact;
use super::error::{CommitError, CompactError, OpenError, ReadError};
use super::files::Files;
use super::hole::{self, Hole};
use super::read;
use super::recover;
use super::scrub::{self, Scrub, Scrubbed};
use super::state::State;
use crate::store::ChangeNumber;
use std::path::Path;
use std::sync::Arc;

/// An open log. Reads run on any thread and never wait for a commit's disk; commits take turns.
pub(crate) struct Log {
    pub(super) state: State,
}

impl Log {
    /// Opens the log in a directory, or begins one where there is nothing.
    ///
    /// # Errors
    ///
    /// [`OpenError`], whose text is one line that says what to do.
    pub(crate) fn open(
        dir: &Path,
        files: Arc<dyn Files>,
        options: Options,
    ) -> Result<(Self, Recovered), OpenError> {
        let (state, recovered) = recover::open(dir, files, options)?;
        Ok((Self { state }, recovered))
    }

    /// Reads a key. With [`Wait::Never`] it does not wait for the disk.
    ///
    /// # Errors
    ///
    /// When the file system fails, or the record is damaged.
    pub(crate) fn get(&self, key: &str, wait: Wait) -> Result<Found, ReadError> {
        read::get(&self.state, key, wait)
    }

    /// Appends a batch and applies it: all of it or nothing. Of several changes of one key only
    /// the last is written.
    ///
    /// # Errors
    ///
    /// Nothing of the batch is visible; [`CommitError`] says whether a later one may work.
    pub(crate) fn commit(&self, batch: &[Change]) -> Result<(), CommitError> {
        append::commit(&self.state, batch)
    }

    /// Appends a batch that frees room, for which [`commit`](Self::commit) found none: takes the
    /// reserve for it. The bytes by which values in it grow are counted: they get half of the reserve.
    ///
    /// # Errors
    ///
    /// As for [`commit`](Self::commit).
    pub(crate) fn commit_freeing(&self, batch: &[Change], growth: u64) -> Result<(), CommitError> {
        append::commit_freeing(&self.state, batch, growth)
    }

    /// Appends values that are lost: reading them fails. A log that ends with them would be taken for
    /// one with an unfinished write, so a commit must follow.
    ///
    /// # Errors
    ///
    /// As for [`commit`](Self::commit).
    pub(crate) fn commit_holes(&self, holes: &[Hole]) -> Result<(), CommitError> {
        hole::commit_holes(&self.state, holes)
    }

    /// Looks whether the files are still in the directory. If not, every later commit is refused.
    pub(crate) fn look(&self) {
        append::look(&self.state);
    }

    /// Whether only batches that free room are taken, since the reserve is in use.
    #[must_use]
    pub(crate) fn is_on_reserve(&self) -> bool {
        self.state.reserve.is_in_use()
    }

    /// Allocates another reserve if there is room for it. Returns whether there is one.
    pub(crate) fn restore_reserve(&self) -> bool {
        let directory = &self.state.directory;
        self.state
            .reserve
            .restore(&directory.path, &*directory.files)
    }

    /// Bytes of a key's value, if it has one. Reads no disk.
    #[must_use]
    pub(crate) fn value_length(&self, key: &str) -> Option<u64> {
        let place = self.state.index.get(key)?;
        Some(place.value_length.into())
    }

    /// Does one step of giving room back, and says whether there may be more to do. Commits wait
    /// for at most one batch of a few megabytes.
    ///
    /// # Errors
    ///
    /// The step was not done; the data is as it was.
    pub(crate) fn compact(&self) -> Result<bool, CompactError> {
        compact::compact(&self.state)
    }

    /// Verifies about so many bytes of the sealed segments, from where the scrub is. Commits and reads
    /// go on meanwhile.
    pub(crate) fn scrub(&self, scrub: &mut Scrub, most: u64) -> Scrubbed {
        scrub::scrub(&self.state, scrub, most)
    }

    /// The highest number that was ever committed.
    #[must_use]
    pub(crate) fn highest_sequence(&self) -> ChangeNumber {
        self.state.highest_sequence()
    }

    /// Bytes that there is room for on the disk; 0 where that can't be told.
    #[must_use]
    pub(crate) fn room(&self) -> u64 {
        self.state.room()
    }

    /// Whether every commit is refused until the log is opened again, since one could not be
    /// made durable.
    #[must_use]
    pub(crate) fn refuses_writes(&self) -> bool {
        self.state.refuses_writes()
    }

    /// The number of the change that wrote this key's value, if it has one. Reads no disk.
    #[must_use]
    pub(crate) fn lookup(&self, key: &str) -> Option<ChangeNumber> {
        self.state.index.get(key).map(|place| place.sequence)
    }

    /// Shows every key, the number of the change that wrote its value, and the value's length.
    /// Commits wait meanwhile, so the visitor must be quick and must not use the log.
    pub(crate) fn for_each_key(&self, mut visit: impl FnMut(&str, ChangeNumber, u32)) {
        self.state
            .index
            .for_each(|key, place| visit(key, place.sequence, place.value_length));
    }
}
