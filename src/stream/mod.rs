//! The state machine of one stream: pure transitions over its head.
//!
//! One file and one error type for each family of operations. Nothing here does I/O, reads a
//! clock or draws random bits; time and identifiers are arguments.

mod content_type;
mod position;

pub use content_type::{ContentType, NotAContentType};
pub use position::{Incarnation, Position};

/// When a stream ends by itself (section 4, "TTL/Expiry").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// Never.
    Never,
    /// After this many idle seconds; every read and write starts the window anew.
    Ttl {
        /// The window.
        secs: u64,
    },
    /// At this moment, in milliseconds since 1970.
    At {
        /// The moment.
        ms: u64,
    },
}

/// What an idempotent producer says of itself with an append (section 5.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Producer {
    /// Its name, not empty.
    pub id: String,
    /// Its session, at most `limits::MAX_PRODUCER_NUMBER`.
    pub epoch: u64,
    /// The number of this append in the session, at most `limits::MAX_PRODUCER_NUMBER`.
    pub seq: u64,
}
