//! What is needed between the steps of a read. Opaque to drivers; nothing of the connection and no
//! versions are in it, so readers at one place of a stream hold equal tokens.

use super::transient;
use super::transient::Corrupt;
use crate::stream::{Head, Incarnation, Position};
use serde::{Deserialize, Serialize};

/// The state of a read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token {
    /// The stream's name.
    pub(super) name: String,
    /// The life it reads.
    pub(super) incarnation: Incarnation,
    /// Up to where it was sent.
    pub(super) at: Position,
    pub(super) mode: TokenMode,
}

/// How the read goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum TokenMode {
    /// A page that was announced up to here is sent.
    Page { to: Position },
    /// A long-poll waits. `from_now`: it asked for no place, so its answer is of this moment only,
    /// and nothing that a cache may keep.
    LongPoll { from_now: bool },
    /// An SSE response goes on.
    Sse,
    /// An SSE response goes on within an event that ends here.
    SseEvent { to: Position },
}

impl Token {
    /// A read of `head` that was sent up to `at`.
    pub(super) fn of(head: &Head, at: Position, mode: TokenMode) -> Self {
        Self {
            name: head.name.clone(),
            incarnation: head.incarnation,
            at,
            mode,
        }
    }

    /// The bytes that a driver keeps.
    pub(super) fn encode(&self) -> Vec<u8> {
        transient::encode(self)
    }

    /// The token in bytes that a driver kept.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        transient::decode(bytes)
    }
}
