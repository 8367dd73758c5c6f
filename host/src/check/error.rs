//! Errors of a check.

use crate::store::log::{CommitError, CompactError, OpenError, ReadError};
use std::path::PathBuf;

/// Why a store can't be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What nothing leads to can't be removed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// Something is in the directory that is to become a store.
    #[error("{}: not empty, or inside of the damaged store; name an empty or a new directory", .0.display())]
    Used(PathBuf),
    /// The room can't be given back.
    #[error(transparent)]
    Compact(#[from] CompactError),
}
