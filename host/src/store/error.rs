//! Errors of stores.

/// Why a store could not do what it was asked; says what the caller may do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It can't be reached now. The same call may work later; a write may have been applied.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// There is no room for this write, which was not applied. Reads go on.
    #[error("full: {0}")]
    Full(String),
    /// No writes are taken now, whatever their size; this one was not applied. Reads go on.
    #[error("refused: {0}")]
    Refused(String),
    /// The value of this key is not as it was written, and stays so; nothing was applied.
    #[error("damaged: {0}")]
    Damaged(String),
    /// The call itself can't work, now or later; nothing was applied.
    #[error("{0}")]
    Other(String),
}

impl StoreError {
    /// What somebody is told who may know of what is gone.
    pub(crate) fn lost() -> Self {
        Self::Unavailable("changes were lost that this instance may know of".to_owned())
    }
}

/// Why a swap was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SwapError {
    /// The key changed since it was looked at; nothing was applied. Look again.
    #[error("the key changed since it was looked at")]
    Conflict,
    /// As for every other call.
    #[error(transparent)]
    Store(#[from] StoreError),
}
