//! What Redis says, as the store's errors.

use crate::store::StoreError;
use redis::{ErrorKind, RedisError};

/// Why a Redis can't be used: a line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address is none.
    #[error("redis: {0}")]
    Address(&'static str),
    /// It does not answer, or not well.
    #[error("redis {address}: {why}")]
    Unusable {
        /// Host, port and database.
        address: String,
        /// What went wrong.
        why: String,
    },
    /// A later version of this program was here.
    #[error(
        "redis {address}: namespace {namespace} holds {found:?}, which this version can't read"
    )]
    Format {
        /// Host, port and database.
        address: String,
        /// Which keys.
        namespace: String,
        /// What they say they are.
        found: String,
    },
}

/// Whether nothing more can be said over the connection.
pub(super) fn is_broken(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Io | ErrorKind::Parse)
}

/// What Redis refuses is refused before anything was done; whatever else happens, nobody knows.
pub(super) fn store_error(error: &RedisError) -> StoreError {
    let text = one_line(error);
    match error.code() {
        Some("OOM") => StoreError::Full(text),
        // The disk of its log is full.
        Some("MISCONF") if text.contains("No space left") => StoreError::Full(text),
        Some("WRONGTYPE") => StoreError::Other(text),
        _ => StoreError::Unavailable(text),
    }
}

pub(super) fn one_line(error: &RedisError) -> String {
    match error.is_timeout() {
        // The system would say that a resource is temporarily unavailable.
        true => "no answer in time".to_owned(),
        false => error.to_string().replace(['\r', '\n'], " "),
    }
}
