//! Errors of the log.

use std::io;
use std::path::PathBuf;

/// Reason why a log can't be opened. Each message is one line with advice for the user.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the store open.
    #[error("{}: another process has this store open; stop it first", .0.display())]
    InUse(PathBuf),
    /// The directory holds other files.
    #[error("{}: not empty and not a durable-streams store; name an empty or a new directory", .0.display())]
    Foreign(PathBuf),
    /// The directory holds no store.
    #[error("{}: there is no durable-streams store here", .0.display())]
    Missing(PathBuf),
    /// A newer version of this program wrote the store.
    #[error("{}: written by a newer version (format {found}, this one reads {reads}); use that version", .directory.display())]
    Newer {
        /// The directory of the store.
        directory: PathBuf,
        /// The format of the store.
        found: u64,
        /// The newest format that this version reads.
        reads: u64,
    },
    /// Synced data is damaged.
    #[error("{}: damaged at byte {offset}; nothing was changed; run `durable-streams check {}` to see what is affected", .file.display(), .directory.display())]
    Damaged {
        /// The directory of the store.
        directory: PathBuf,
        /// The segment.
        file: PathBuf,
        /// The offset of the first invalid batch.
        offset: u64,
    },
    /// The manifest is missing or damaged.
    #[error("{}: MANIFEST is missing or damaged; nothing was changed; restore the directory from a backup", .0.display())]
    NoManifest(PathBuf),
    /// A segment named by the manifest is missing.
    #[error("{}: this segment is missing; nothing was changed; restore it, or run `durable-streams check {}` to see what is affected", .file.display(), .directory.display())]
    Hole {
        /// The directory of the store.
        directory: PathBuf,
        /// The segment.
        file: PathBuf,
    },
    /// A segment holds batches and is newer than all segments named by the manifest.
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
        /// The affected file or directory.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

/// Reason why a batch was not committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// There is no room for the batch. Nothing of it was applied. A later batch may succeed.
    #[error("no room to write: {0}")]
    Full(#[source] io::Error),
    /// The batch could not be written. Nothing of it was applied. A later batch may succeed.
    #[error("cannot write: {0}")]
    Write(#[source] io::Error),
    /// The batch could not be made durable. It is not visible, but may be there when the log is
    /// opened again. Every later commit is refused until then.
    #[error("cannot make a write durable: {0}")]
    Sync(#[source] io::Error),
    /// An earlier batch could not be made durable. Nothing was written.
    #[error(
        "writes are refused because an earlier write could not be made durable; restart the \
             server to continue"
    )]
    Refused,
    /// A key, a value or the whole batch is above its limit. Nothing was written.
    #[error("a key, a value or a batch is too large for the log")]
    TooLarge,
}

impl CommitError {
    /// Distinguishes a lack of room from other write errors.
    pub(super) fn of_write(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::Full(error),
            _ => Self::Write(error),
        }
    }
}

/// Reason why a key can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file system failed.
    #[error("{}: {source}", .file.display())]
    Io {
        /// The segment.
        file: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The record on disk is damaged.
    #[error("{}: damaged record at byte {offset}", .file.display())]
    Damaged {
        /// The segment.
        file: PathBuf,
        /// The offset of the record.
        offset: u64,
    },
}

/// Reason why a step of compaction failed. The data is unchanged, and the step may be tried again.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// Live records could not be written elsewhere.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// Live records could not be read. Compaction skips their segment until the log is opened
    /// again.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The directory could not be changed.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file to be removed.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}
