//! Errors of backups and restores.

use crate::store::log::{OpenError, SnapshotError};
use std::io;
use std::path::{Path, PathBuf};

/// Reason why a backup or a restore failed: a line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file system failed.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The affected file or directory.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The directory for a backup holds other files.
    #[error("{}: not empty and not a backup; name an empty or a new directory", .0.display())]
    Foreign(PathBuf),
    /// The directory holds a backup of another store.
    #[error("{}: holds a backup of another store; name an empty or a new directory", .0.display())]
    OtherStore(PathBuf),
    /// Another process works in the directory.
    #[error("{}: another process has this directory open; wait for it or stop it", .0.display())]
    InUse(PathBuf),
    /// The directory holds no backup.
    #[error("{}: there is no backup here", .0.display())]
    Missing(PathBuf),
    /// The backup was interrupted before its end.
    #[error("{}: this backup was not finished; run the backup again", .0.display())]
    Unfinished(PathBuf),
    /// A newer version of this program made the backup.
    #[error("{}: made by a newer version (format {found}); use that version", .directory.display())]
    Newer {
        /// The directory of the backup.
        directory: PathBuf,
        /// The format of the backup.
        found: u32,
    },
    /// A file of the backup is not as it was written.
    #[error(
        "{}: damaged or missing; use another backup, or copy the intact streams with \
         `durable-streams check SRC --salvage OUT`", .0.display()
    )]
    Damaged(PathBuf),
    /// The list of the segments is not as it was written.
    #[error("{}: damaged; use another backup", .0.display())]
    DamagedList(PathBuf),
    /// The directory for a restored store is not empty.
    #[error("{}: not empty; name an empty or a new directory", .0.display())]
    Used(PathBuf),
    /// A backup can't be changed.
    #[error("{}: a backup is only read; restore it first", .0.display())]
    ReadOnly(PathBuf),
    /// A store is named instead of a directory.
    #[error(
        "{}: only stores in files have backups; name the directory alone, without file:", .0.display()
    )]
    NoDirectory(PathBuf),
    /// The source of the backup failed.
    #[error("{0}")]
    Source(String),
    /// A copied segment differs from the one of the store.
    #[error("segment {0} changed on its way; run the backup again")]
    Differs(u32),
    /// A segment of the store is not the one that the earlier backup has.
    #[error(
        "segment {0} of the store differs from its intact copy in the earlier backup, which stays: \
         the store is damaged, or lost data in a power failure. Check the store with \
         `durable-streams check`, and name an empty or a new directory for a backup of it"
    )]
    Changed(u32),
    /// The source names its segments in a wrong order, or a segment twice.
    #[error(
        "the server sent an invalid list of segments; take the backup from a durable-streams server"
    )]
    Disordered,
    /// The directory for a backup is inside a store.
    #[error("{}: inside the store {}; name a directory elsewhere", .dest.display(), .store.display())]
    Inside {
        /// The directory for the backup.
        dest: PathBuf,
        /// The directory of the store.
        store: PathBuf,
    },
    /// The store can't be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
}

impl From<SnapshotError> for BackupError {
    fn from(error: SnapshotError) -> Self {
        Self::Source(error.to_string())
    }
}

/// Adds the path to an error of the system.
pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> BackupError {
    move |source| BackupError::Io {
        path: path.to_owned(),
        source,
    }
}
