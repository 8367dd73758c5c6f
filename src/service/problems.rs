//! Problems of requests for streams. Control calls build their problems themselves.

use super::env::StoreError;
use super::fault::Fault;
use crate::access::{Refusal, Scope};
use crate::limits::TAIL_MESSAGES;
use crate::protocol::problem::{Code, Problem};
use crate::protocol::{headers, offset};
use crate::stream::{AppendError, ContentType, ForkError, Head, InvalidMessages, OffsetGone};

/// An append was refused. The problem of a closed stream, or of another tail than the expected one,
/// names `tail`, the offset of the tail.
pub(super) fn append(error: &AppendError, tail: &str) -> Problem {
    let problem = |code| Problem::new(code, error.to_string());
    match error {
        AppendError::Fenced { current, .. } => problem(Code::ProducerEpochFenced)
            .with_field(headers::PRODUCER_EPOCH, current.to_string()),
        AppendError::Closed {
            reason, numbers, ..
        } => {
            let mut problem = problem(Code::StreamClosed)
                .with_field(headers::STREAM_CLOSED, "true")
                .with_field(headers::STREAM_NEXT_OFFSET, tail);
            if let Some(reason) = reason {
                problem = problem.with_field(headers::STREAM_CLOSED_REASON, reason.as_str());
            }
            match numbers {
                // The authors' producer takes a 409 without these fields for an append that overtook
                // another one, and sends it again without end.
                Some((expected, received)) => problem
                    .with_field(headers::PRODUCER_EXPECTED_SEQ, expected.to_string())
                    .with_field(headers::PRODUCER_RECEIVED_SEQ, received.to_string()),
                None => problem,
            }
        }
        AppendError::OtherTail { .. } => problem(Code::PreconditionFailed)
            .with_field(headers::ETAG, format!("\"{tail}\""))
            .with_field(headers::STREAM_NEXT_OFFSET, tail),
        AppendError::HeartbeatEpoch { current, .. } => {
            problem(Code::BadRequest).with_field(headers::PRODUCER_EPOCH, current.to_string())
        }
        AppendError::ContentType { .. } => problem(Code::ContentTypeMismatch),
        AppendError::Messages(error) => messages(error),
        AppendError::EpochStart => problem(Code::BadRequest),
        AppendError::Gap {
            expected, received, ..
        } => problem(Code::SequenceConflict)
            .with_field(headers::PRODUCER_EXPECTED_SEQ, expected.to_string())
            .with_field(headers::PRODUCER_RECEIVED_SEQ, received.to_string()),
        AppendError::Seq { .. } => problem(Code::SequenceConflict),
        AppendError::TooManyProducers { wait_ms } => problem(Code::TooManyProducers)
            .with_field(headers::RETRY_AFTER, wait_ms.div_ceil(1000).to_string()),
        AppendError::StreamFull => problem(Code::StreamFull),
    }
}

/// A body is not a sequence of JSON messages.
pub(super) fn messages(error: &InvalidMessages) -> Problem {
    match error {
        InvalidMessages::NotJson(why) => {
            Problem::new(Code::InvalidJson, format!("Invalid JSON: {why}"))
        }
        InvalidMessages::EmptyArray => Problem::new(Code::EmptyArray, error.to_string()),
    }
}

/// The sender of a request is rejected (RFC 6750, section 3.1).
pub(super) fn refused(refusal: &Refusal) -> Problem {
    let problem = |code| Problem::new(code, refusal.to_string());
    match refusal {
        Refusal::Missing => problem(Code::Unauthorized),
        Refusal::Several => problem(Code::BadRequest).with_challenge("error=\"invalid_request\""),
        Refusal::Invalid(_) => {
            problem(Code::Unauthorized).with_challenge("error=\"invalid_token\"")
        }
    }
}

/// The sender of a request is known, but lacks the right to do this here.
pub(super) fn insufficient(scope: Scope) -> Problem {
    let scope = scope.as_str();
    let detail = format!("The token lacks the scope {scope}, or is limited to other names.");
    Problem::new(Code::InsufficientScope, detail)
        .with_challenge(&format!("error=\"insufficient_scope\", scope=\"{scope}\""))
}

/// A read begins too many JSON messages before the tail.
pub(super) fn tail_too_long(count: u64) -> Problem {
    let detail = format!(
        "Invalid tail {count}: a read of a JSON stream begins at most {TAIL_MESSAGES} messages \
         before its tail."
    );
    Problem::new(Code::BadRequest, detail)
}

/// The stream does not exist.
pub(super) fn not_found(name: &str) -> Problem {
    Problem::new(Code::NotFound, format!("There is no stream {name}."))
}

/// The stream was deleted, and its bytes are kept for its forks.
pub(super) fn gone(name: &str) -> Problem {
    Problem::new(
        Code::Gone,
        format!(
            "The stream {name} was deleted. Its name stays taken as long as the stream has forks."
        ),
    )
}

/// The name of a new stream belongs to a deleted stream with forks.
pub(super) fn path_blocked(name: &str) -> Problem {
    let detail = format!(
        "The stream {name} was deleted, and its forks still need it. Delete the forks, or use \
         another name."
    );
    Problem::new(Code::PathBlocked, detail)
}

/// The source of a new fork was deleted, and is kept for its forks.
pub(super) fn fork_from_tombstone(name: &str) -> Problem {
    Problem::new(
        Code::ForkFromTombstone,
        format!("The stream {name} was deleted, so it can't be forked any more."),
    )
}

/// The source of a fork has another content type than the request.
pub(super) fn fork_type(expected: &ContentType, actual: &ContentType) -> Problem {
    let (expected, actual) = (expected.as_str(), actual.as_str());
    Problem::new(
        Code::ContentTypeMismatch,
        format!(
            "Content type mismatch: the source has {expected}, the fork asks for {actual}. Send \
             the source's content type."
        ),
    )
}

/// The source of a fork has no such place.
pub(super) fn fork_place(why: &str) -> Problem {
    Problem::new(Code::BadRequest, why)
}

/// The source of a fork can't be forked there.
pub(super) fn fork(error: ForkError) -> Problem {
    match error {
        ForkError::NoSuchPlace => fork_place(&error.to_string()),
        ForkError::TooDeep => Problem::new(Code::ForkTooDeep, error.to_string()),
    }
}

/// The stream has expired.
pub(super) fn expired() -> Problem {
    Problem::new(Code::NotFound, "The stream has expired.")
}

/// The name has a stream that differs from the requested one.
pub(super) fn already_exists() -> Problem {
    Problem::new(
        Code::AlreadyExists,
        "The stream exists with another content type, expiry, state or source. Send the values of \
         the existing stream, or use another name.",
    )
}

/// The offset belongs to an earlier life of the name, or to history that the store lost. The answer
/// names the start of the present life, in a form that changes each minute. With -1 a browser would
/// get the old life's page from its cache.
pub(super) fn offset_gone(error: OffsetGone, head: &Head, now_ms: u64) -> Problem {
    let start = offset::format_fresh(head.start(), now_ms);
    let detail = format!("{error}. Read from {start}, the start of the current stream.");
    Problem::new(Code::OffsetGone, detail).with_field(headers::STREAM_NEXT_OFFSET, start)
}

/// The offset is of a timeline that this instance does not know yet.
pub(super) fn later_timeline() -> Problem {
    let detail = "The offset is newer than the state of the store that this instance knows. Try \
                  again.";
    Problem::new(Code::Unavailable, detail)
}

/// The offset lies beyond the tail, and reads of this store may be stale.
pub(super) fn not_there_yet() -> Problem {
    let detail = "The offset is beyond the tail that this read of the store returned, which may \
                  be old. Try again.";
    Problem::new(Code::Unavailable, detail)
}

/// The offset lies in no segment.
pub(super) fn no_such_place(offset: &str) -> Problem {
    Problem::new(
        Code::InvalidOffset,
        format!(
            "The stream never returned the offset {offset}. Send an offset exactly as the server \
             returned it, or -1."
        ),
    )
}

/// The step failed.
pub(super) fn fault(fault: &Fault) -> Problem {
    match fault {
        Fault::Store(StoreError::Unavailable(_) | StoreError::Refused(_))
        | Fault::Deadline(_)
        | Fault::Missing { .. } => Problem::unavailable(),
        Fault::Store(StoreError::Full(_)) => Problem::insufficient_storage(),
        Fault::Store(StoreError::Damaged(_)) => Problem::storage_damaged(),
        Fault::Unknown(_) => Problem::outcome_unknown(),
        Fault::OtherCreation => Problem::misconfigured(),
        Fault::Corrupt { .. } => Problem::internal(),
    }
}
