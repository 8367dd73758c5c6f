//! What Redis says, as the store's errors.

use crate::store::StoreError;
use redis::{ErrorKind, RedisError, ServerErrorKind};
use std::time::Duration;

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

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// Nothing was sent: others had no answer for so long.
    #[error("away: no answer for {} ms", .0.as_millis())]
    Away(Duration),
    /// What Redis says, or why it says nothing.
    #[error("{}", one_line(.0))]
    Redis(#[from] RedisError),
}

/// Whether nothing more can be said over the connection, or it leads to a Redis that
/// [does not serve](does_not_serve).
pub(super) fn is_broken(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Io | ErrorKind::Parse) || does_not_serve(error)
}

/// Whether this Redis says that another one is to be asked, or the same one later: it became a
/// replica, or it is loading. After a failover a new connection leads to the new master, where an
/// old one would go on reading what the replica has.
pub(super) fn does_not_serve(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, MasterDown, ReadOnly};
    matches!(
        error.kind(),
        ErrorKind::Server(ReadOnly | MasterDown | BusyLoading)
    )
}

/// What Redis 7.0 says where later ones say `NOPERM`: a script came to a command, a key or a channel
/// that is not for its user.
const NO_RIGHT: &str = "The user executing the script can't";

/// What Redis refuses is refused before anything was done: there are too few replicas or a snapshot
/// failed, which it sees before a script begins, or the user lacks a right, without which no script
/// gets as far as its key. Whatever else happens, nobody knows.
pub(super) fn store_error(error: &CallError) -> StoreError {
    let text = error.to_string();
    let code = match error {
        CallError::Away(_) => None,
        CallError::Redis(error) => error.code(),
    };
    match code {
        Some("OOM") => StoreError::Full(text),
        // The disk of its log is full.
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
        // The system would say that a resource is temporarily unavailable.
        true => "no answer in time".to_owned(),
        false => error.to_string().replace(['\r', '\n'], " "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Redis says, as it is read.
    fn said(line: &str) -> RedisError {
        let read = redis::parse_redis_value(format!("-{line}\r\n").as_bytes());
        let said = read.and_then(redis::Value::extract_error);
        said.expect_err("it is an error")
    }

    /// Connections to a master that had become a replica were kept.
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

    /// Whoever was refused took it for done, perhaps, and tried until the deadline to find out.
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
