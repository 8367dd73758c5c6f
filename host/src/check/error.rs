//! Errors of a check.

use crate::backup::disk::BackupError;
use crate::store::log::{CommitError, CompactError, OpenError, ReadError};
use std::path::PathBuf;

/// Reason why a store can't be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The store can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The backup can't be checked.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The store can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Unreferenced chunks and index blocks can't be removed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The target directory of a salvage is not empty.
    #[error("{}: not empty, or inside the damaged store; name an empty or a new directory", .0.display())]
    Used(PathBuf),
    /// Freed space can't be reclaimed.
    #[error(transparent)]
    Compact(#[from] CompactError),
}
