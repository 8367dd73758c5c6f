//! An append as its writer requests it, and its result.

use super::{ContentType, Position, Producer, Reason};

/// The bytes of an append, in stored form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Any bytes.
    Bytes(Vec<u8>),
    /// JSON messages, with the positions of some message ends.
    Messages {
        /// The messages, each followed by a comma.
        bytes: Vec<u8>,
        /// Ascending positions just after commas, including the last comma.
        ends: Vec<usize>,
    },
}

impl Payload {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) | Self::Messages { bytes, .. } => bytes,
        }
    }
}

/// Reason why a body does not contain JSON messages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMessages {
    /// The body is not JSON (section 9.1.4).
    #[error("{0}")]
    NotJson(String),
    /// The body is an empty array, which an append must not send (section 9.1.3).
    #[error("An append of [] adds nothing. Send at least one message.")]
    EmptyArray,
}

/// The tail that a conditional append expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The tail is here.
    Tail(Position),
    /// No tail can be equal to the given tag.
    Nothing,
}

/// An append, a close, a heartbeat, or a combination of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Append {
    /// The bytes to add; `None` for a close or a heartbeat without a body. An error is reported only
    /// if the stream is a JSON stream.
    pub payload: Option<Result<Payload, InvalidMessages>>,
    /// The content type given.
    pub content_type: Option<ContentType>,
    /// `Stream-Seq`.
    pub seq: Option<Vec<u8>>,
    /// The producer.
    pub producer: Option<Producer>,
    /// Whether to close the stream.
    pub close: bool,
    /// Why to close the stream.
    pub reason: Option<Reason>,
    /// The length of the writer's lease from now on, in seconds; 0 ends the lease.
    pub lease_secs: Option<u64>,
    /// The expected tail, for a conditional append.
    pub expected: Option<Expected>,
    /// How much longer than others its producer is remembered, in milliseconds; at most
    /// `limits::WAKE_KEEP_MS`.
    pub keep_ms: u64,
}

impl Append {
    /// Whether this only renews, sets or ends the lease.
    pub(super) const fn is_heartbeat(&self) -> bool {
        self.payload.is_none() && !self.close
    }
}

/// The limits that apply to an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendLimits {
    /// Largest size of the stream in bytes; 0 for no limit.
    pub stream_bytes: u64,
    /// Largest number of producers.
    pub producers: usize,
    /// Idle time, in milliseconds, after which a producer may be forgotten.
    pub producer_idle_ms: u64,
}

/// Reason why an append was refused. The stream is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// A newer epoch of the producer has begun.
    #[error(
        "Producer epoch fenced: the current epoch is {current}, this append has {received}. Stop, \
         or start a greater epoch with Producer-Seq 0."
    )]
    Fenced {
        /// The current epoch.
        current: u64,
        /// The epoch of this append.
        received: u64,
    },
    /// The stream is closed. [`Settled::position`](super::Settled::position) converts `tail` to a position.
    #[error("The stream is closed{} and takes no more appends.", because(.reason.as_ref()))]
    Closed {
        /// Bytes from the beginning of the open segment to the tail.
        tail: u64,
        /// Why it was closed, if the close said so.
        reason: Option<Reason>,
        /// The producer's next sequence number, and the one of this append.
        numbers: Option<(u64, u64)>,
    },
    /// The tail is not the expected one. [`Settled::position`](super::Settled::position) converts `tail` to a position.
    #[error(
        "The stream's tail is not the offset in If-Match. Read from the offset you expected to \
         the tail, and decide anew."
    )]
    OtherTail {
        /// Bytes from the beginning of the open segment to the tail.
        tail: u64,
    },
    /// A heartbeat has a later epoch than its producer's.
    #[error(
        "A heartbeat can't begin an epoch: the current epoch is {current}, this heartbeat has \
         {received}. Append with Producer-Seq 0 first."
    )]
    HeartbeatEpoch {
        /// The current epoch.
        current: u64,
        /// The epoch of the heartbeat.
        received: u64,
    },
    /// The content type differs from the stream's.
    #[error(
        "Content type mismatch: the stream has {expected}, this append has {actual}. Send the \
         stream's content type."
    )]
    ContentType {
        /// The stream's content type.
        expected: String,
        /// The content type of this append.
        actual: String,
    },
    /// The body does not contain JSON messages.
    #[error(transparent)]
    Messages(InvalidMessages),
    /// The first append of a new epoch does not have the sequence number 0.
    #[error("A new producer epoch must begin with Producer-Seq 0.")]
    EpochStart,
    /// Appends before this one are missing.
    #[error(
        "Producer sequence gap: the next Producer-Seq is {expected}, this append has {received}. \
         {}",
        gap_advice(*.may_be_lost)
    )]
    Gap {
        /// The next sequence number.
        expected: u64,
        /// The sequence number of this append.
        received: u64,
        /// Whether the store was once restored to an older state, so that the missing appends may
        /// have been acknowledged.
        may_be_lost: bool,
    },
    /// `Stream-Seq` is not greater than the last one.
    #[error(
        "Stream-Seq must be greater than the last one: this append has {received:?}, the last one \
         was {last:?}."
    )]
    Seq {
        /// The last accepted value.
        last: String,
        /// The value of this append.
        received: String,
    },
    /// The stream has the largest number of producers, and all of them are active.
    #[error(
        "The stream has the largest number of active producers that is allowed. Use one of them, \
         or try again when one has been idle for a while."
    )]
    TooManyProducers {
        /// Time until a producer may have been idle for long enough, in milliseconds.
        wait_ms: u64,
    },
    /// The stream would become too large.
    #[error("The stream would grow past its size limit. Continue in another stream.")]
    StreamFull,
}

fn because(reason: Option<&Reason>) -> String {
    reason.map_or_else(String::new, |reason| format!(" ({reason})"))
}

const fn gap_advice(may_be_lost: bool) -> &'static str {
    match may_be_lost {
        false => "Send the missing appends first.",
        true => {
            "Send the missing appends first. If they were acknowledged, history was lost: the \
             store went back to an older state. Then read the stream, and start a greater epoch \
             with Producer-Seq 0."
        }
    }
}

/// Result of an append. `tail` is the number of bytes from the beginning of the open segment to the
/// tail after the append; [`Settled::position`](super::Settled::position) converts it to a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The tail after the append.
    pub tail: u64,
    /// Whether the stream is closed.
    pub closed: bool,
    /// Whether the append changed the stream. False for a repeated append or close.
    pub fresh: bool,
    /// Epoch and highest accepted sequence number of the producer.
    pub producer: Option<(u64, u64)>,
}
