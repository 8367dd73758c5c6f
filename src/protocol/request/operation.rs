//! Parsed requests.

use super::super::name::StreamName;
use super::super::offset::Offset;
use super::control::Control;
use super::listing::Listing;
use crate::stream::{Asked, ContentType, Expected, Expiry, Producer, Reason};

/// The operation that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// The liveness probe.
    Health,
    /// The readiness probe.
    Ready,
    /// A CORS preflight.
    Preflight,
    /// One piece of background work.
    Tick {
        /// The bearer token of the request.
        token: Option<Vec<u8>>,
    },
    /// A call that lists or describes.
    Listing(Listing),
    /// A call that adopts producers into this stream. The request's body has them.
    Adopt(StreamName),
    /// A call of the subscription APIs (section 6).
    Control(Control),
    /// An operation on a stream.
    Stream {
        /// The name of the stream.
        name: StreamName,
        /// The operation on it.
        action: Action,
    },
}

/// An operation on a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `PUT` (section 5.1).
    Create(Create),
    /// `POST` (sections 5.2, 5.3).
    Append(Append),
    /// `GET` (sections 5.6 to 5.8).
    Read(Read),
    /// `HEAD` (section 5.5).
    Head,
    /// `DELETE` (section 5.4).
    Delete,
}

/// A creation; the initial bytes are the request's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// The content type, if given.
    pub content_type: Option<ContentType>,
    /// When the stream expires.
    pub expiry: Expiry,
    /// Whether it is closed from the start.
    pub close: bool,
    /// Why it is closed from the start.
    pub reason: Option<Reason>,
    /// The length of the writer's lease, in seconds; `None` for no lease.
    pub lease_secs: Option<u64>,
    /// The source, if the stream is a fork.
    pub fork: Option<Fork>,
}

/// The source of a fork (section 4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The source.
    pub source: StreamName,
    /// How much of the source the fork includes.
    pub asked: Asked,
}

/// An append, a close, or both; the bytes are the request's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The content type; `None` exactly if the body is empty.
    pub content_type: Option<ContentType>,
    /// The writer's own sequence.
    pub seq: Option<Vec<u8>>,
    /// The producer, so that a retry is recognised.
    pub producer: Option<Producer>,
    /// Whether this is the last append.
    pub close: bool,
    /// Why the stream is closed.
    pub reason: Option<Reason>,
    /// The length of the writer's lease from now on, in seconds; 0 ends the lease.
    pub lease_secs: Option<u64>,
    /// The expected tail.
    pub expected: Option<Expected>,
}

impl Append {
    /// Whether this is a stop: a close and nothing else, for no other reason than
    /// [`Reason::STOPPED`]. The scope `close` allows it.
    #[must_use]
    pub fn is_stop(&self) -> bool {
        let reason = self.reason.as_ref().map(Reason::as_str);
        let is_bare = self.content_type.is_none()
            && self.seq.is_none()
            && self.producer.is_none()
            && self.lease_secs.is_none()
            && self.expected.is_none();
        self.close && is_bare && reason.is_none_or(|reason| reason == Reason::STOPPED)
    }
}

/// A read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Where to begin.
    pub start: Start,
    /// The behaviour at the tail.
    pub mode: Mode,
    /// The cursor the client echoes.
    pub cursor: Option<u64>,
    /// `If-None-Match`, with all lines joined into one list.
    pub if_none_match: Option<Vec<u8>>,
}

/// The place where a read begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Start {
    /// An offset.
    Offset(Offset),
    /// The last messages of a JSON stream, 1 to `limits::TAIL_MESSAGES`, or the last bytes of
    /// another stream, 1 to `limits::TAIL_BYTES`. The parser does not know the content type, so it
    /// checks only the larger limit.
    Tail(u64),
}

impl Start {
    /// Whether the place differs with the time of the request. Caches must not keep the answer.
    #[must_use]
    pub const fn is_relative(self) -> bool {
        matches!(self, Self::Offset(Offset::Now) | Self::Tail(_))
    }
}

/// The behaviour of a read at the tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The read ends (section 5.6).
    CatchUp,
    /// The read waits for the next bytes (section 5.7).
    LongPoll,
    /// The read continues with every new append (section 5.8).
    Sse,
}
