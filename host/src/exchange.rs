//! The exchange of `src/wit/exchange.wit` in the host's own types.
//!
//! [`Steps`] is what the driver calls; a component instance implements it, and so do the fakes of
//! the driver's tests.

use crate::budget::Reservation;
use crate::store::Lost;
use crate::wasi::Met;
use bytes::{BufMut, Bytes};
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, request};
use std::time::Duration;

/// Bytes that most packed heads of requests fit into.
const PACKED_BYTES: usize = 1024;
/// Header fields that most answers have at most.
const FIELDS: usize = 12;

/// How the body that is handed over came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyState {
    /// It is the whole body.
    Complete,
    /// It passed `max_append_bytes`.
    TooLarge,
    /// There is no room to buffer it now.
    NoRoom,
}

/// A request whose body was collected.
#[derive(Debug)]
pub struct Request {
    /// Method, target and header fields as they came.
    pub parts: request::Parts,
    /// The body; empty unless the state is [`BodyState::Complete`].
    pub body: Bytes,
    /// How it ended.
    pub body_state: BodyState,
    /// The room the body takes, given back with the request.
    pub room: Option<Reservation>,
}

impl Request {
    /// The raw path, which decides on the instance and on who is started together.
    #[must_use]
    pub fn path(&self) -> &str {
        self.parts.uri.path()
    }

    /// The raw path and query, as received.
    #[must_use]
    pub fn target(&self) -> &str {
        match self.parts.uri.path_and_query() {
            Some(target) => target.as_str(),
            None => self.path(),
        }
    }

    /// `:authority`, or the `Host` field.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        match self.parts.uri.authority() {
            Some(authority) => Some(authority.as_str()),
            None => self.parts.headers.get(HOST)?.to_str().ok(),
        }
    }
}

/// What is kept between two steps of one exchange; the component's alone to read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Token(pub Bytes);

/// What all attempts of one commit share; the component's alone to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt(pub Bytes);

/// Status and header fields of a response.
#[derive(Debug, Clone)]
pub struct Head {
    /// The status.
    pub status: StatusCode,
    /// The fields.
    pub headers: HeaderMap,
}

/// The one cursor of an answer, which each reader gets above its own floor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cursor {
    /// There is none.
    None,
    /// To be added to the head.
    Header(u64),
    /// To be written after the body, and these bytes after it.
    Event(u64, Bytes),
}

/// A wait for a change of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// What to go on with.
    pub token: Token,
    /// The store's key.
    pub key: Box<str>,
    /// How long, from when the reader began to wait.
    pub max_wait: Duration,
}

/// A commit that is to be tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// After this long.
    pub wait: Duration,
    /// With this.
    pub attempt: Attempt,
}

/// How the exchange goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
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

/// What the driver keeps for a read that goes on.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// To be added to whatever head a later answer brings.
    pub headers: HeaderMap,
    /// Cursors given to this reader are above it.
    pub cursor_floor: Option<u64>,
    /// The age at which the exchange is ended.
    pub max_age: Option<Duration>,
}

/// What one step says.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Begins the response.
    pub head: Option<Head>,
    /// To be sent now.
    pub body: Bytes,
    /// Belongs to the head or follows the body.
    pub cursor: Cursor,
    /// How it goes on.
    pub next: Next,
    /// Only in the answer of a start.
    pub held: Option<Held>,
    /// Requests to be sent, whatever becomes of the exchange.
    pub effects: Vec<Delivery>,
}

/// A request to a webhook.
#[derive(Debug, Clone)]
pub struct Delivery {
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
pub enum Outcome {
    /// It was answered: the status, and the beginning of the body.
    Answered(u16, Bytes),
    /// It was not sent, or not answered in time.
    Failed,
}

/// What a step did that no exchange asked for.
#[derive(Debug, Clone, Default)]
pub struct Worked {
    /// Whether there was something to do.
    pub worked: bool,
    /// Requests to be sent.
    pub effects: Vec<Delivery>,
    /// When something will be due, milliseconds since 1970.
    pub due_ms: Option<u64>,
}

/// Why an exchange is resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The client took what was sent.
    Ready,
    /// The key changed.
    Changed,
    /// It did not, for as long as was asked.
    Timeout,
    /// The exchange reached the age in [`Held::max_age`].
    Expired,
    /// The server shuts down.
    Draining,
}

/// Why a step has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// The instance trapped or broke the contract: what it was doing may have been applied. It must
    /// not be called again.
    #[error("the instance broke: {0}")]
    Broken(String),
    /// No instance could be had, so nothing was done.
    #[error("no instance: {0}")]
    NoInstance(String),
    /// What the step wrote, or what it had read, is not there any more.
    #[error("{0}")]
    Lost(#[from] Lost),
}

/// The exported steps of one instance. Each call blocks until its step is done, which is the work
/// of microseconds; an instance that runs away is stopped and [`StepError::Broken`].
#[expect(
    clippy::missing_errors_doc,
    reason = "what all of them fail with is `StepError`'s to say"
)]
pub trait Steps: Send {
    /// Begins a step; see [`Keys::begin`](crate::wasi::Keys::begin).
    fn begin(&mut self, _hurried: bool) {}

    /// What the step met in the store.
    fn end(&mut self) -> Met {
        Met::default()
    }

    /// Begins the exchanges of one request, or of several `POST`s to one raw path; one answer each.
    fn start(
        &mut self,
        requests: &[&Request],
        attempt: Option<&Attempt>,
    ) -> Result<Vec<Answer>, StepError>;

    /// Goes on with an exchange; equal tokens with equal causes get equal answers.
    fn resume(&mut self, token: &Token, cause: Cause) -> Result<Answer, StepError>;

    /// Goes on when the outcome of a delivery is known.
    fn delivered(&mut self, token: &Token, outcome: &Outcome) -> Result<Worked, StepError>;

    /// Does one piece of background work.
    fn work(&mut self, round: u64) -> Result<Worked, StepError>;
}

/// The head of a request, packed as `src/wit/exchange.wit` says.
pub(crate) fn pack_head(request: &Request) -> Vec<u8> {
    let mut packed = Vec::with_capacity(PACKED_BYTES);
    let mut pack = |text: &[u8]| {
        // A head is far smaller than this can say: it was read into a bounded buffer.
        packed.put_u32_le(text.len() as u32);
        packed.put_slice(text);
    };
    pack(request.parts.method.as_str().as_bytes());
    pack(b"http");
    pack(request.authority().unwrap_or_default().as_bytes());
    pack(request.target().as_bytes());
    for (name, value) in &request.parts.headers {
        pack(name.as_str().as_bytes());
        pack(value.as_bytes());
    }
    packed
}

/// The header fields of an answer, but for those that can't be any. The values share the buffer.
pub(crate) fn unpack_fields(packed: Vec<u8>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(FIELDS);
    let packed = Bytes::from(packed);
    let mut rest = &packed[..];
    while let (Some(name), Some(value)) = (take_text(&mut rest), take_text(&mut rest)) {
        let name = HeaderName::from_bytes(name);
        let value = HeaderValue::from_maybe_shared(packed.slice_ref(value));
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk()?;
    let (text, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *rest = after;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(texts: &[&[u8]]) -> Vec<u8> {
        let mut packed = Vec::new();
        for text in texts {
            packed.put_u32_le(text.len() as u32);
            packed.put_slice(text);
        }
        packed
    }

    #[test]
    fn fields_are_unpacked_but_for_those_that_are_none() {
        let texts: [&[u8]; 8] = [
            b"etag", b"\"a\"", b"no name", b"x", b"vary", b"a\nb", b"etag", b"",
        ];
        let headers = unpack_fields(packed(&texts));
        let values: Vec<_> = headers.get_all("etag").iter().collect();
        assert_eq!(values, ["\"a\"", ""]);
        assert_eq!(headers.len(), 2);
    }

    #[test]
    fn what_ends_too_early_is_left_out() {
        let whole = packed(&[b"etag", b"\"a\"", b"vary", b"origin"]);
        for length in 0..whole.len() {
            let headers = unpack_fields(whole[..length].to_vec());
            assert_eq!(headers.len(), usize::from(length >= 15), "{length}");
        }
    }

    #[test]
    fn a_packed_head_is_the_request_line_and_the_fields() {
        let request = http::Request::post("/v1/stream/s?x").header("host", "a.example");
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        let request = Request {
            parts,
            body: Bytes::new(),
            body_state: BodyState::Complete,
            room: None,
        };
        let texts: [&[u8]; 6] = [
            b"POST",
            b"http",
            b"a.example",
            b"/v1/stream/s?x",
            b"host",
            b"a.example",
        ];
        assert_eq!(pack_head(&request), packed(&texts));
    }
}
