//! Why the log could not do what it was asked.

use std::io;
use std::path::PathBuf;

/// Why a log can't be opened. Each is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is open already.
    #[error("{}: another process has this store open; stop it first", .0.display())]
    InUse(PathBuf),
    /// There is something else in the directory.
    #[error("{}: not empty and not a durable-streams store; name an empty or a new directory", .0.display())]
    Foreign(PathBuf),
    /// There is nothing in the directory.
    #[error("{}: no durable-streams store here", .0.display())]
    Missing(PathBuf),
    /// A later version of this program wrote it.
    #[error("{}: written by a newer version (format {found}, this one reads {reads}); use that version", .directory.display())]
    Newer {
        /// The directory of the store.
        directory: PathBuf,
        /// The format it has.
        found: u64,
        /// The format that can be read.
        reads: u64,
    },
    /// Something that was synced is not as it was written.
    #[error("{}: damaged at byte {offset}; nothing was changed; run `durable-streams check {}` to see what is affected", .file.display(), .directory.display())]
    Damaged {
        /// The directory of the store.
        directory: PathBuf,
        /// The segment.
        file: PathBuf,
        /// Where in it the first invalid batch begins.
        offset: u64,
    },
    /// The manifest is missing or damaged.
    #[error("{}: MANIFEST is missing or damaged; nothing was changed; restore the directory from a backup", .0.display())]
    NoManifest(PathBuf),
    /// A segment that the manifest names is not there.
    #[error("{}: this segment is missing; nothing was changed; restore it, or run `durable-streams check {}` to see what is affected", .file.display(), .directory.display())]
    Hole {
        /// The directory of the store.
        directory: PathBuf,
        /// The segment.
        file: PathBuf,
    },
    /// A segment holds batches and is newer than all that the manifest names.
    #[error("{}: MANIFEST is older than this segment; nothing was changed; the directory seems to mix two copies of a store, so restore it from a backup", .file.display())]
    Unnamed {
        /// The directory of the store.
        directory: PathBuf,
        /// The segment.
        file: PathBuf,
    },
    /// The file system failed.
    #[error("{}: {source}", .path.display())]
    Io {
        /// What was worked on.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Why a batch was not committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// There is no room for it. Nothing of it was applied; a later one may work.
    #[error("no room to write: {0}")]
    Full(#[source] io::Error),
    /// It could not be written. Nothing of it was applied; a later one may work.
    #[error("cannot write: {0}")]
    Write(#[source] io::Error),
    /// It could not be made durable. It is not visible, but may be there when the log is opened
    /// again. Every later commit is refused until then.
    #[error("cannot make a write durable: {0}")]
    Sync(#[source] io::Error),
    /// An earlier batch could not be made durable; nothing was tried.
    #[error("writes are refused since one could not be made durable; restart to go on")]
    Refused,
    /// A key, a value or the whole is above its limit; nothing was tried.
    #[error("a key, a value or a batch is too large for the log")]
    TooLarge,
}

impl CommitError {
    /// Tells a lack of room from what else may fail in writing.
    pub(super) fn of_write(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::Full(error),
            _ => Self::Write(error),
        }
    }
}

/// Why a key can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file system failed.
    #[error("{}: {source}", .file.display())]
    Io {
        /// The segment.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is on disk is not what was written.
    #[error("{}: damaged record at byte {offset}", .file.display())]
    Damaged {
        /// The segment.
        file: PathBuf,
        /// Where in it the record begins.
        offset: u64,
    },
}

/// Why a step of compaction was not done. The data is as it was; the step may be tried again.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// What is needed could not be written elsewhere.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// What is needed could not be read; its segment is left alone until the log is opened again.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The directory could not be changed.
    #[error("{}: {source}", .path.display())]
    Io {
        /// What was to be removed.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}
