//! Requests to webhooks that a step asks for, and their results.

use super::token::Token;
use bytes::Bytes;
use http::HeaderMap;
use std::time::Duration;

/// A request to a webhook.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    /// The URL.
    pub url: String,
    /// Header fields in addition to those of every request.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Timeout for the whole response.
    pub timeout: Duration,
    /// Token to resume with.
    pub token: Token,
}

/// Result of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DeliveryResult {
    /// A response arrived: its status, and the beginning of its body.
    Answered(u16, Bytes),
    /// The request was not sent, or had no response in time.
    Failed,
}

/// Result of one step of background work.
#[derive(Debug, Clone, Default)]
pub(crate) struct Worked {
    /// Whether the step found work.
    pub worked: bool,
    /// Requests to send.
    pub effects: Vec<Delivery>,
    /// Time of the next known work, in milliseconds since 1970.
    pub due_ms: Option<u64>,
}
