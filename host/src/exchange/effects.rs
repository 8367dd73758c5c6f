//! Requests to webhooks that a step asks for, and their results.

use super::token::Token;
use bytes::Bytes;
use http::HeaderMap;
use std::time::Duration;

/// A request to a webhook.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    /// Where to.
    pub url: String,
    /// Header fields beyond those that every request has.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// How long to wait for the whole answer.
    pub timeout: Duration,
    /// What to go on with.
    pub token: Token,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was answered: the status, and the beginning of the body.
    Answered(u16, Bytes),
    /// It was not sent, or not answered in time.
    Failed,
}

/// What a step did that no exchange asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Worked {
    /// Whether there was something to do.
    pub worked: bool,
    /// Requests to be sent.
    pub effects: Vec<Delivery>,
    /// When something will be due, milliseconds since 1970.
    pub due_ms: Option<u64>,
}
