//! The answer of one step.

use super::effects::Delivery;
use super::message::{Held, Message};
use super::token::{Attempt, Token};
use std::time::Duration;

/// A wait for a change of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wait {
    /// What to go on with.
    pub token: Token,
    /// The store's key.
    pub key: Box<str>,
    /// How long, from when the reader began to wait.
    pub max_wait: Duration,
}

/// A commit that is to be tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Retry {
    /// After this long.
    pub wait: Duration,
    /// With this.
    pub attempt: Attempt,
}

/// How the exchange goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// It is over.
    Done,
    /// As soon as the client took what was sent.
    Ready(Token),
    /// When the key changed, or the wait is over.
    Change(Wait),
    /// By another start of the same requests.
    Again(Retry),
    /// Never: the connection is to be reset.
    Reset,
}

/// What one step says.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// To be sent now.
    pub message: Message,
    /// How it goes on.
    pub next: Next,
    /// Only in the answer of a start.
    pub held: Option<Held>,
    /// Requests to be sent, whatever becomes of the exchange.
    pub effects: Vec<Delivery>,
}
