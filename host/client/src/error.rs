//! Errors.

use crate::{Closed, Offset};
use std::fmt;
use std::sync::Arc;

/// Reason why a call failed. Callers choose their next step by the variant.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A URL or a stream's name can't be used.
    #[error("{text:?} {problem}")]
    InvalidUrl {
        /// The text that was given.
        text: String,
        /// The problem, as the rest of a sentence.
        problem: String,
    },
    /// A value can't be sent in a header field: the caller has to change it.
    #[error("the value of {field} can't be sent: use printable ASCII characters")]
    InvalidValue {
        /// Name of the header field.
        field: &'static str,
    },
    /// The HTTP client can't be set up, for example because a certificate is unreadable.
    #[error("the HTTP client can't be set up: {0}")]
    Setup(String),
    /// No response came, and the request had no effect.
    #[error("{method} {url}: no connection: {source}")]
    Unreachable {
        /// Method of the request.
        method: String,
        /// URL of the request.
        url: String,
        /// The last failure.
        source: Cause,
    },
    /// The request was applied once or not at all, and a retry could apply it twice. Read the
    /// stream to find out, or use a [`Producer`](crate::Producer).
    #[error(
        "{method} {url}: the outcome is unknown: {problem}. The request was applied once or not at \
         all: read the stream before you repeat it, or append by a producer"
    )]
    OutcomeUnknown {
        /// Method of the request.
        method: String,
        /// URL of the request.
        url: String,
        /// Description of the last failure.
        problem: String,
    },
    /// There is no such stream (404).
    #[error("{0}")]
    NotFound(Box<Refusal>),
    /// The stream was deleted (410).
    #[error("{0}")]
    Gone(Box<Refusal>),
    /// The offset belongs to data that is gone (410 with `Stream-Next-Offset`).
    #[error("{refusal}; the stream's data now begins at {restart}")]
    OffsetGone {
        /// The response.
        refusal: Box<Refusal>,
        /// Offset at which the stream's data now begins.
        restart: Offset,
    },
    /// The stream is closed: no append can succeed any more (409 with `Stream-Closed`).
    #[error("the stream is closed{}", .closed.because())]
    Closed {
        /// The close.
        closed: Closed,
        /// Tail of the stream, if the server told it.
        next_offset: Option<Offset>,
    },
    /// The request does not fit the stream: another content type, configuration or sequence (409).
    #[error("{0}")]
    Conflict(Box<Refusal>),
    /// Another session of this producer writes with a newer epoch: this one must stop (403 with
    /// `Producer-Epoch`).
    #[error(
        "another session of this producer writes with the newer epoch {current}: this session must \
         stop"
    )]
    Fenced {
        /// Epoch of the other session.
        current: u64,
    },
    /// The server misses earlier appends of this producer: it lost or forgot them. Read the stream,
    /// and go on with a new epoch.
    #[error(
        "the server expects number {expected} of this producer and got {sent}: it lost or forgot \
         earlier appends. Read the stream, and go on with a new epoch"
    )]
    SequenceGap {
        /// Number that the server expects.
        expected: u64,
        /// Number that was sent.
        sent: u64,
    },
    /// The tail is not the expected offset (412).
    #[error("the tail is not the expected offset")]
    TailMoved {
        /// The present tail, if the server told it.
        tail: Option<Offset>,
    },
    /// The token is missing, invalid, or lacks the right (401, 403).
    #[error("{0}")]
    Denied(Box<Refusal>),
    /// The server had no room or no time until the retries ended. The request had no effect (429,
    /// 503 with `Retry-After`, 507).
    #[error("{0}")]
    Busy(Box<Refusal>),
    /// Any other refusal.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The server lacks an extension of the protocol.
    #[error("{server} does not have the extension `{extension}`, which {purpose}")]
    Unsupported {
        /// Base URL of the server.
        server: String,
        /// Name of the extension.
        extension: &'static str,
        /// Use of the extension, as the rest of a sentence.
        purpose: &'static str,
    },
    /// The response breaks the protocol.
    #[error("{method} {url}: the response breaks the protocol: {problem}")]
    Protocol {
        /// Method of the request.
        method: String,
        /// URL of the request.
        url: String,
        /// The problem.
        problem: String,
    },
    /// An earlier append of the producer failed, so this one was not sent.
    #[error("an earlier append of this producer failed: {0}")]
    Earlier(Arc<Self>),
}

impl Error {
    /// Status of the response, if the error comes from one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::NotFound(refusal)
            | Self::Gone(refusal)
            | Self::OffsetGone { refusal, .. }
            | Self::Conflict(refusal)
            | Self::Denied(refusal)
            | Self::Busy(refusal)
            | Self::Refused(refusal) => Some(refusal.status),
            Self::Closed { .. } | Self::SequenceGap { .. } => Some(409),
            Self::Fenced { .. } => Some(403),
            Self::TailMoved { .. } => Some(412),
            Self::Earlier(earlier) => earlier.status(),
            Self::InvalidUrl { .. }
            | Self::InvalidValue { .. }
            | Self::Setup(_)
            | Self::Unreachable { .. }
            | Self::OutcomeUnknown { .. }
            | Self::Unsupported { .. }
            | Self::Protocol { .. } => None,
        }
    }

    /// The first failure of a producer, where this one only follows from it.
    #[must_use]
    pub fn root(&self) -> &Self {
        match self {
            Self::Earlier(earlier) => earlier.root(),
            other => other,
        }
    }
}

/// Response that refuses a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Method of the request.
    pub method: String,
    /// URL of the request.
    pub url: String,
    /// Status of the response.
    pub status: u16,
    /// Stable code of the problem, if the server gives one.
    pub code: Option<String>,
    /// Text of the problem: its detail, or the begin of a text body.
    pub detail: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            method,
            url,
            status,
            code,
            detail,
        } = self;
        write!(f, "{method} {url}: {status}")?;
        if let Some(code) = code {
            write!(f, " {code}")?;
        }
        if let Some(detail) = detail {
            write!(f, ": {detail}")?;
        }
        Ok(())
    }
}

/// Failure of the connection.
#[derive(Debug, Clone)]
pub struct Cause(pub(crate) Arc<dyn std::error::Error + Send + Sync>);

impl fmt::Display for Cause {
    /// The innermost reason: the outer ones repeat the URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut innermost: &dyn std::error::Error = &*self.0;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        fmt::Display::fmt(innermost, f)
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}
