//! The answer to one step.

use super::effects::Delivery;
use super::message::{Message, ResponseContext};
use super::token::{Attempt, Token};
use std::time::Duration;

/// A wait for a change of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wait {
    /// Token to resume with.
    pub token: Token,
    /// The store's key.
    pub key: Box<str>,
    /// Longest wait, from the moment the reader began to wait.
    pub max_wait: Duration,
}

/// A commit to retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Retry {
    /// Delay before the retry.
    pub wait: Duration,
    /// The attempt to pass to the next start.
    pub attempt: Attempt,
}

/// How the exchange continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// The exchange is over.
    Done,
    /// Resume after the client took all bytes sent so far.
    Ready(Token),
    /// Resume after a change of the key, or at the end of the wait.
    Change(Wait),
    /// Start the same requests again.
    Again(Retry),
    /// Reset the connection.
    Reset,
}

/// Result of one step.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The part to send now.
    pub message: Message,
    /// How the exchange continues.
    pub next: Next,
    /// Set only in the answer to a start.
    pub held: Option<ResponseContext>,
    /// Webhook requests to send, regardless of the rest of the exchange.
    pub effects: Vec<Delivery>,
}
