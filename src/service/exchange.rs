//! The answers of the service: one HTTP exchange as steps. `src/wit/exchange.wit` has the same
//! types for hosts; what the driver owes is written there.

use crate::protocol::packed::Fields;
use crate::protocol::response::Head;

/// What a step came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The response head, once in an exchange.
    pub head: Option<Head>,
    /// Bytes to send now.
    pub body: Vec<u8>,
    /// The answer's cursor.
    pub cursor: Cursor,
    /// How it goes on.
    pub next: Next,
    /// What the driver keeps for a waiting reader.
    pub held: Option<Held>,
    /// Requests that the driver is to send, whatever becomes of the exchange.
    pub effects: Vec<Delivery>,
}

/// A request to a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Where to, as [`crate::subscription::url::judge`] let it through.
    pub url: String,
    /// Header fields beyond those that every request has.
    pub headers: Fields,
    /// The body.
    pub body: Vec<u8>,
    /// How long to wait for the answer.
    pub timeout_ms: u64,
    /// To be handed to `delivered`.
    pub token: Vec<u8>,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Answered {
        /// The status.
        status: u16,
        /// The body, cut at `limits::WEBHOOK_ANSWER_BYTES`.
        body: Vec<u8>,
    },
    /// It was not, or not in time.
    Failed,
}

/// What a step did that nobody asked for over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Worked {
    /// Whether there was something to do.
    pub worked: bool,
    /// Requests that the driver is to send.
    pub effects: Vec<Delivery>,
    /// When something will be due, milliseconds since 1970, as far as this step saw.
    pub due_ms: Option<u64>,
}

/// Where the driver writes the cursor, after raising it above the reader's floor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cursor {
    /// Nowhere.
    None,
    /// As header `stream-cursor`.
    Header(u64),
    /// Between `Answer::body` and these bytes.
    Event(u64, Vec<u8>),
}

/// How an exchange goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// It is over.
    Done,
    /// With `resume` of this token once the client took what was sent.
    Ready(Vec<u8>),
    /// With `resume` of this token once the key changed.
    Change {
        /// The token.
        token: Vec<u8>,
        /// The key.
        key: String,
        /// Longest wait.
        max_wait_ms: u64,
    },
    /// With `start` of the same requests, after this wait.
    Again {
        /// The wait.
        wait_ms: u64,
        /// To be handed to `start`.
        attempt: Vec<u8>,
    },
    /// With a reset of the connection.
    Reset,
}

/// What the driver keeps for a reader.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Held {
    /// To be added to whatever head comes.
    pub headers: Fields,
    /// The cursor that the reader has.
    pub cursor_floor: Option<u64>,
    /// Age at which the connection ends.
    pub max_age_ms: Option<u64>,
}

/// Why a step is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The client took what was sent.
    Ready,
    /// The key may have changed.
    Changed,
    /// The longest wait is over.
    Timeout,
    /// The connection reached its age.
    Expired,
    /// The host shuts down.
    Draining,
}

impl Answer {
    /// A whole response.
    #[must_use]
    pub fn whole(head: Head, body: Vec<u8>) -> Self {
        Self {
            head: Some(head),
            body,
            cursor: Cursor::None,
            next: Next::Done,
            held: None,
            effects: Vec::new(),
        }
    }

    /// Nothing to send, and this to do.
    #[must_use]
    pub fn only(next: Next) -> Self {
        Self {
            head: None,
            body: Vec::new(),
            cursor: Cursor::None,
            next,
            held: None,
            effects: Vec::new(),
        }
    }
}
