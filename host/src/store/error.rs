//! Errors of stores.

/// Error of a store call. The variant says whether a retry can succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store can't be reached now. The same call may work later. A write may have been applied.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// There is no room for this write, which was not applied. Reads go on.
    #[error("full: {0}")]
    Full(String),
    /// The store takes no writes of any size now. This write was not applied. Reads go on.
    #[error("refused: {0}")]
    Refused(String),
    /// The stored value of this key is damaged and stays so. Nothing was applied.
    #[error("damaged: {0}")]
    Damaged(String),
    /// The call itself can't work, now or later. Nothing was applied.
    #[error("{0}")]
    Other(String),
}

impl StoreError {
    /// Error for an instance that may have read values that are lost now.
    pub(crate) fn lost() -> Self {
        Self::Unavailable("changes were lost that this instance may have seen".to_owned())
    }
}

/// Reason why a swap was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SwapError {
    /// The key changed since it was read. Nothing was applied. The caller reads again.
    #[error("the key changed since it was read")]
    Conflict,
    /// The errors of every other call.
    #[error(transparent)]
    Store(#[from] StoreError),
}
