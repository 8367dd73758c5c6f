//! Errors of a check.

use crate::store::log::{CommitError, CompactError, OpenError, ReadError};

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
    /// The room can't be given back.
    #[error(transparent)]
    Compact(#[from] CompactError),
}
