//! Reasons why a step failed.

use super::env::StoreError;
use crate::protocol::problem::Problem;

/// Why a step failed. No variant is the fault of the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// The store failed, and nothing of the request was applied.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// Whether the request was applied is unknown.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    /// The request missed its deadline, and nothing of it was applied.
    #[error("gave up: {0}")]
    Deadline(&'static str),
    /// The store was first used with another value of `kv_guarded_create`.
    #[error(
        "this store was first used with another value of kv_guarded_create, perhaps by another \
         host: give this host its own store or its own key_namespace"
    )]
    OtherCreation,
    /// A stored record can't be read.
    #[error("{key}: a stored record is damaged or of an unknown version")]
    Corrupt {
        /// Its key.
        key: String,
    },
    /// A record that a committed record names can't be found now.
    #[error("a stream refers to {key}, but the store did not return it")]
    Missing {
        /// Its key.
        key: String,
    },
}

/// Why a step can't go on: a problem of the request, or a fault.
pub(super) enum Refusal {
    Problem(Problem),
    Fault(Fault),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}
