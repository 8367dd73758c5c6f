//! What a request asks for.

use super::super::name::StreamName;
use super::super::offset::Offset;
use super::control::Control;
use crate::stream::{Asked, ContentType, Expiry, Producer};

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Is the process alive?
    Health,
    /// Can it serve?
    Ready,
    /// May a browser's script ask?
    Preflight,
    /// Do one piece of background work.
    Tick {
        /// The bearer token that came with it.
        token: Option<Vec<u8>>,
    },
    /// A call of the subscription APIs (section 6).
    Control(Control),
    /// Something with a stream.
    Stream {
        /// Which.
        name: StreamName,
        /// What.
        action: Action,
    },
}

/// What a request does with a stream.
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
    /// The type, where given.
    pub content_type: Option<ContentType>,
    /// When the stream ends by itself.
    pub expiry: Expiry,
    /// Whether it is closed from the start.
    pub close: bool,
    /// The stream to begin with, where it is a fork.
    pub fork: Option<Fork>,
}

/// What a fork begins with (section 4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The source.
    pub source: StreamName,
    /// How much of it.
    pub asked: Asked,
}

/// An append, a close, or both; the bytes are the request's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The type; none exactly where the body is empty.
    pub content_type: Option<ContentType>,
    /// The writer's own sequence.
    pub seq: Option<Vec<u8>>,
    /// Who appends, so that a retry is recognised.
    pub producer: Option<Producer>,
    /// Whether this is the last append.
    pub close: bool,
}

/// A read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Where to begin.
    pub offset: Offset,
    /// What to do at the tail.
    pub mode: Mode,
    /// The cursor the client echoes.
    pub cursor: Option<u64>,
    /// `If-None-Match`, all of its lines as one list.
    pub if_none_match: Option<Vec<u8>>,
}

/// What a read does at the tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It ends (section 5.6).
    CatchUp,
    /// It waits for the next bytes (section 5.7).
    LongPoll,
    /// It follows (section 5.8).
    Sse,
}
