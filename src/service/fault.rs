//! Why a step could not be done.

use super::env::StoreError;
use crate::protocol::problem::Problem;

/// Why a step could not be done. None of them says anything of the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// The store failed, and nothing of the request was applied.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// Nobody knows whether the request was applied.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    /// It could not be done before the deadline, and nothing of it was applied.
    #[error("gave up: {0}")]
    Deadline(&'static str),
    /// The store was first used with another value of `kv_guarded_create`.
    #[error(
        "this store was first used with another value of kv_guarded_create, as by another host: give \
         this one a store, or a key_namespace, of its own"
    )]
    OtherCreation,
    /// What is stored can't be read.
    #[error("{key}: a stored record is damaged or of an unknown version")]
    Corrupt {
        /// Where.
        key: String,
    },
    /// Something that a committed record names can't be found now.
    #[error("{key} is named by its stream, but the store has not returned it")]
    Missing {
        /// What.
        key: String,
    },
}

/// A step that can't go on, told as a problem or as a fault.
pub(super) enum Refusal {
    Problem(Problem),
    Fault(Fault),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}
