//! The one place where errors become answers.

use super::core::Fault;
use super::env::StoreError;
use crate::protocol::headers;
use crate::protocol::problem::{Code, Problem};
use crate::stream::{AppendError, InvalidMessages, OffsetGone};

/// An append was refused. `tail` is the offset of the tail, which a closed stream tells.
pub(super) fn append(error: &AppendError, tail: &str) -> Problem {
    let problem = |code| Problem::new(code, error.to_string());
    match error {
        AppendError::Fenced { current, .. } => problem(Code::ProducerEpochFenced)
            .with_field(headers::PRODUCER_EPOCH, current.to_string()),
        AppendError::Closed { .. } => problem(Code::StreamClosed)
            .with_field(headers::STREAM_CLOSED, "true")
            .with_field(headers::STREAM_NEXT_OFFSET, tail),
        AppendError::ContentType { .. } => problem(Code::ContentTypeMismatch),
        AppendError::Messages(error) => messages(error),
        AppendError::EpochStart => problem(Code::BadRequest),
        AppendError::Gap { expected, received } => problem(Code::SequenceConflict)
            .with_field(headers::PRODUCER_EXPECTED_SEQ, expected.to_string())
            .with_field(headers::PRODUCER_RECEIVED_SEQ, received.to_string()),
        AppendError::Seq { .. } => problem(Code::SequenceConflict),
        AppendError::TooManyProducers => problem(Code::TooManyProducers),
        AppendError::StreamFull => problem(Code::StreamFull),
    }
}

/// A body is no JSON messages.
pub(super) fn messages(error: &InvalidMessages) -> Problem {
    match error {
        InvalidMessages::NotJson(why) => {
            Problem::new(Code::InvalidJson, format!("Invalid JSON: {why}"))
        }
        InvalidMessages::EmptyArray => Problem::new(Code::EmptyArray, error.to_string()),
    }
}

/// There is no such stream.
pub(super) fn not_found(name: &str) -> Problem {
    Problem::new(Code::NotFound, format!("Stream not found: {name}"))
}

/// There was one, and it expired.
pub(super) fn expired() -> Problem {
    Problem::new(Code::NotFound, "Stream has expired")
}

/// There is another one.
pub(super) fn already_exists() -> Problem {
    Problem::new(
        Code::AlreadyExists,
        "Stream already exists with different configuration",
    )
}

/// The offset belongs to an earlier life of the name.
pub(super) fn offset_gone(error: OffsetGone) -> Problem {
    Problem::new(
        Code::OffsetGone,
        format!("{error}: it belongs to a deleted stream of this name. Read from -1."),
    )
}

/// The offset lies in no segment.
pub(super) fn no_such_place(offset: &str) -> Problem {
    Problem::new(
        Code::InvalidOffset,
        format!("Invalid offset: {offset} is not one this stream has given out"),
    )
}

/// The step could not be done.
pub(super) fn fault(fault: &Fault) -> Problem {
    match fault {
        Fault::Store(StoreError::Unavailable(_)) | Fault::Deadline(_) | Fault::Missing { .. } => {
            Problem::unavailable()
        }
        Fault::Store(StoreError::Full(_)) => Problem::insufficient_storage(),
        Fault::Unknown(_) => Problem::new(
            Code::OutcomeUnknown,
            "The server could not find out whether the request was applied. Only an append with \
             a producer can safely be repeated as it is.",
        ),
        Fault::Corrupt { .. } => Problem::internal(),
    }
}
