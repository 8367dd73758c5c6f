//! The answers of the service: one HTTP exchange as steps. `src/wit/exchange.wit` has the same
//! types for hosts, and states the duties of a driver.

use crate::protocol::packed::Fields;
use crate::protocol::response::Head;

/// Result of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The response head, once in an exchange.
    pub head: Option<Head>,
    /// Bytes to send now.
    pub body: Vec<u8>,
    /// The answer's cursor.
    pub cursor: Cursor,
    /// How the exchange goes on.
    pub next: Next,
    /// State that the driver keeps for a waiting reader.
    pub held: Option<ResponseContext>,
    /// Requests that the driver sends, even if the exchange fails.
    pub effects: Vec<Delivery>,
}

/// A request to a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Target, approved by [`crate::subscription::url::judge`].
    pub url: String,
    /// Header fields beyond those that every request has.
    pub headers: Fields,
    /// The body.
    pub body: Vec<u8>,
    /// How long to wait for the answer.
    pub timeout_ms: u64,
    /// Token to pass to `delivered`.
    pub token: Vec<u8>,
}

/// DeliveryResult of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryResult {
    /// The endpoint answered.
    Answered {
        /// The status.
        status: u16,
        /// The body, cut at `limits::WEBHOOK_ANSWER_BYTES`.
        body: Vec<u8>,
    },
    /// The endpoint did not answer, or not in time.
    Failed,
}

/// Result of a step that no HTTP request asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Worked {
    /// Whether there was something to do.
    pub worked: bool,
    /// Requests for the driver to send.
    pub effects: Vec<Delivery>,
    /// Earliest time at which something is due, milliseconds since 1970, as far as this step saw.
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
    /// The exchange is over.
    Done,
    /// Call `resume` with this token once the client took the bytes sent.
    Ready(Vec<u8>),
    /// Call `resume` with this token once the key changed.
    Change {
        /// The token.
        token: Vec<u8>,
        /// The key.
        key: String,
        /// Longest wait.
        max_wait_ms: u64,
    },
    /// Call `start` with the same requests after this wait.
    Again {
        /// The wait.
        wait_ms: u64,
        /// Attempt to pass to `start`.
        attempt: Vec<u8>,
    },
    /// Reset the connection.
    Reset,
}

/// State that the driver keeps for a reader.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResponseContext {
    /// Header fields to add to the response head of any later answer.
    pub headers: Fields,
    /// The cursor that the reader already has.
    pub cursor_floor: Option<u64>,
    /// Age at which the connection ends.
    pub max_age_ms: Option<u64>,
}

/// Reason for a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The client took the bytes sent.
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

    /// An answer with nothing to send, only a next action.
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
