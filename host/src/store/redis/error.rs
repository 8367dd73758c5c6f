//! Conversion of Redis errors to errors of the store.

use crate::store::StoreError;
use redis::{ErrorKind, RedisError, ServerErrorKind};
use std::time::Duration;

/// Reason why a Redis can't be used. The message is one line with advice for the user.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address is invalid.
    #[error("redis: {0}")]
    Address(&'static str),
    /// Redis does not answer, or answers with an error.
    #[error("redis {address}: {why}")]
    Unusable {
        /// Host, port and database.
        address: String,
        /// The reason.
        why: String,
    },
    /// A newer version of this program wrote the namespace.
    #[error(
        "redis {address}: namespace {namespace} holds {found:?}, which this version can't read"
    )]
    Format {
        /// Host, port and database.
        address: String,
        /// The namespace.
        namespace: String,
        /// Content of its format key.
        found: String,
    },
}

/// Reason why a call has no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// The call was not sent, since other calls have had no answer for this long.
    #[error("away: no answer for {} ms", .0.as_millis())]
    Away(Duration),
    /// The error of Redis, or of the connection.
    #[error("{}", one_line(.0))]
    Redis(#[from] RedisError),
}

/// Whether the connection is unusable, or leads to a Redis that [does not serve](does_not_serve).
pub(super) fn is_broken(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Io | ErrorKind::Parse) || does_not_serve(error)
}

/// Whether the error asks for another Redis or a later retry, since this one became a replica or is
/// loading. After a failover a new connection leads to the new master. An old connection would go
/// on reading the data of the replica.
pub(super) fn does_not_serve(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, MasterDown, ReadOnly};
    matches!(
        error.kind(),
        ErrorKind::Server(ReadOnly | MasterDown | BusyLoading)
    )
}

/// Error text of Redis 7.0, where later versions return `NOPERM`: a script used a command, a key or
/// a channel without the right to it.
const NO_RIGHT: &str = "The user executing the script can't";

/// Converts an error. Redis refuses a write before anything was done if there are too few replicas,
/// a snapshot failed, or the user lacks a right. Redis checks replicas and snapshots before a
/// script begins, and no script gets as far as its key without the right. After other errors the
/// outcome is unknown.
pub(super) fn store_error(error: &CallError) -> StoreError {
    let text = error.to_string();
    let code = match error {
        CallError::Away(_) => None,
        CallError::Redis(error) => error.code(),
    };
    match code {
        Some("OOM") => StoreError::Full(text),
        // The disk of the append-only file is full.
        Some("MISCONF") if text.contains("No space left") => StoreError::Full(text),
        Some("MISCONF" | "NOREPLICAS" | "NOPERM") => StoreError::Refused(text),
        Some("ERR") if text.contains(NO_RIGHT) => StoreError::Refused(text),
        Some("WRONGTYPE") => StoreError::Other(text),
        Some("TIMELINE") => StoreError::lost(),
        _ => StoreError::Unavailable(text),
    }
}

pub(super) fn one_line(error: &RedisError) -> String {
    match error.is_timeout() {
        // The system's own text would be that a resource is temporarily unavailable.
        true => "no answer in time".to_owned(),
        false => error.to_string().replace(['\r', '\n'], " "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses an error reply of Redis.
    fn said(line: &str) -> RedisError {
        let read = redis::parse_redis_value(format!("-{line}\r\n").as_bytes());
        let said = read.and_then(redis::Value::extract_error);
        said.expect_err("it is an error")
    }

    /// Connections to a master that had become a replica stayed in the pool.
    #[test]
    fn a_connection_to_a_redis_that_does_not_serve_is_not_used_again() {
        use ServerErrorKind::{BusyLoading, MasterDown, NoScript, ReadOnly, ResponseError};
        for (kind, expected) in [
            (ReadOnly, true),
            (MasterDown, true),
            (BusyLoading, true),
            (NoScript, false),
            (ResponseError, false),
        ] {
            let error = RedisError::from((ErrorKind::Server(kind), "as asked"));
            assert_eq!(is_broken(&error), expected, "{kind:?}");
        }
    }

    /// The caller of a refused write had to assume that the write was applied, and retried until
    /// the deadline to find out.
    #[test]
    fn only_where_nothing_was_done_is_a_write_refused() {
        type Kind = fn(String) -> StoreError;
        let full: Kind = StoreError::Full;
        let refused: Kind = StoreError::Refused;
        let unavailable: Kind = StoreError::Unavailable;
        for (line, expected) in [
            ("OOM command not allowed", full),
            ("MISCONF Errors writing the AOF: No space left on it", full),
            (
                "MISCONF Errors writing the AOF: Input/output error",
                refused,
            ),
            ("MISCONF it's unable to persist to disk", refused),
            ("NOREPLICAS Not enough good replicas to write", refused),
            ("NOPERM ACL failure in script: User a may not", refused),
            ("ERR The user executing the script can't publish", refused),
            ("ERR unknown command", unavailable),
            ("READONLY You can't write against a replica", unavailable),
            ("LOADING Redis is loading", unavailable),
            ("MASTERDOWN Link with MASTER is down", unavailable),
        ] {
            let error = CallError::Redis(said(line));
            assert_eq!(store_error(&error), expected(error.to_string()), "{line}");
        }
    }
}
