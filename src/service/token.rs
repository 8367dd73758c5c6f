//! State of a read between its steps. Opaque to drivers. It has no versions and nothing of the
//! connection, so readers at one place of a stream hold equal tokens.

use super::transient;
use super::transient::Corrupt;
use crate::stream::{Head, Incarnation, Position};
use serde::{Deserialize, Serialize};

/// The state of a read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token {
    /// The stream's name.
    pub(super) name: String,
    /// The life that it reads.
    pub(super) incarnation: Incarnation,
    /// The place up to which bytes were sent.
    pub(super) at: Position,
    pub(super) mode: TokenMode,
    /// Closes of a lapsed lease, one after the other, that could not be committed.
    pub(super) failed_closes: u8,
}

/// How the read goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum TokenMode {
    /// Sends a page that was announced up to here.
    Page { to: Position },
    /// Waits for a long-poll. `from_now`: the request named no fixed place, so its answer is valid
    /// only now, and caches may not keep it.
    LongPoll { from_now: bool },
    /// Continues an SSE response.
    Sse,
    /// Continues an SSE response within an event that ends here.
    SseEvent { to: Position },
}

impl Token {
    /// The state of a read of `head` that was sent up to `at`.
    pub(super) fn of(head: &Head, at: Position, mode: TokenMode) -> Self {
        Self {
            name: head.name.clone(),
            incarnation: head.incarnation,
            at,
            mode,
            failed_closes: 0,
        }
    }

    /// Encodes the token for the driver to keep.
    pub(super) fn encode(&self) -> Vec<u8> {
        transient::encode(self)
    }

    /// Decodes a token that a driver kept.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        transient::decode(bytes)
    }
}
