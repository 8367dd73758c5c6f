//! The message of an answer, in the form that each of its readers gets.

use crate::budget::Pool;
use bytes::{BufMut, Bytes, BytesMut};
use durable_streams_edge::protocol::cursor::above;
use durable_streams_edge::protocol::headers;
use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;
use std::time::Duration;

/// Header field of a cursor that is not part of the body.
const STREAM_CURSOR: HeaderName = HeaderName::from_static(headers::STREAM_CURSOR);
/// Digits of the largest cursor.
const CURSOR_DIGITS: usize = 20;

/// Status and header fields of a response.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// The status.
    pub status: StatusCode,
    /// The fields.
    pub headers: HeaderMap,
}

/// The cursor of an answer. Each reader gets a value above its own floor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cursor {
    /// No cursor.
    None,
    /// A cursor to add to the head.
    Header(u64),
    /// A cursor to write after the body, and the bytes that follow it.
    Event(u64, Bytes),
}

/// State that the driver keeps for a live read.
#[derive(Debug, Clone, Default)]
pub(crate) struct ResponseContext {
    /// Fields to add to the head of a later answer.
    pub headers: HeaderMap,
    /// Floor of the cursors that this reader gets.
    pub cursor_floor: Option<u64>,
    /// The age at which the exchange ends.
    pub max_age: Option<Duration>,
}

/// The message of an answer. Readers with equal cursors share one encoding of its bytes.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    /// Head of the response, in the first message.
    pub head: Option<Head>,
    /// Bytes to send now.
    pub body: Bytes,
    /// Cursor in the head or after the body.
    pub cursor: Cursor,
    /// The cursor encoded last, and the resulting bytes.
    made: Option<(u64, Bytes)>,
    /// Pool in which shared bytes are reserved.
    pool: Option<Arc<Pool>>,
}

impl Message {
    /// A message that no reader has received yet.
    #[must_use]
    pub(crate) const fn new(head: Option<Head>, body: Bytes, cursor: Cursor) -> Self {
        Self {
            head,
            body,
            cursor,
            made: None,
            pool: None,
        }
    }

    /// Upper bound of the bytes for one reader.
    #[must_use]
    pub(crate) fn size(&self) -> usize {
        match &self.cursor {
            Cursor::None | Cursor::Header(_) => self.body.len(),
            Cursor::Event(_, after) => {
                let whole = self.body.len().saturating_add(after.len());
                whole.saturating_add(CURSOR_DIGITS)
            }
        }
    }

    /// Whether a reader gets nothing.
    #[must_use]
    pub(crate) fn is_silent(&self) -> bool {
        self.head.is_none() && self.body.is_empty() && !matches!(self.cursor, Cursor::Event(..))
    }

    /// Reserves the bytes once for all readers that get them.
    pub(crate) fn share(&mut self, pool: &Arc<Pool>) {
        match &self.cursor {
            Cursor::None | Cursor::Header(_) => {
                self.body = pool.share(std::mem::take(&mut self.body));
            }
            Cursor::Event(..) => self.pool = Some(Arc::clone(pool)),
        }
    }

    /// The head for a reader, if the message has one.
    pub(crate) fn head_for(&self, held: &ResponseContext) -> Option<Head> {
        self.head.clone().map(|head| self.finish(head, held))
    }

    /// Likewise for a message with only one reader.
    pub(crate) fn take_head(&mut self, held: &ResponseContext) -> Option<Head> {
        self.head.take().map(|head| self.finish(head, held))
    }

    fn finish(&self, mut head: Head, held: &ResponseContext) -> Head {
        for (name, value) in &held.headers {
            head.headers.append(name, value.clone());
        }
        if let Cursor::Header(value) = self.cursor {
            let value = above(value, held.cursor_floor);
            head.headers.insert(STREAM_CURSOR, HeaderValue::from(value));
        }
        head
    }

    /// The bytes for a reader.
    pub(crate) fn bytes_for(&mut self, held: &ResponseContext) -> Bytes {
        let Cursor::Event(value, after) = &self.cursor else {
            return self.body.clone();
        };
        let value = above(*value, held.cursor_floor);
        if let Some((made, bytes)) = &self.made
            && *made == value
        {
            return bytes.clone();
        }
        let mut bytes = BytesMut::with_capacity(self.size());
        bytes.put_slice(&self.body);
        bytes.put_slice(value.to_string().as_bytes());
        bytes.put_slice(after);
        let bytes = bytes.freeze();
        let bytes = match &self.pool {
            Some(pool) => pool.share(bytes),
            None => bytes,
        };
        self.made = Some((value, bytes.clone()));
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    fn message(cursor: Cursor) -> Message {
        let head = Head {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
        };
        Message::new(Some(head), Bytes::from_static(b"<"), cursor)
    }

    fn held(floor: Option<u64>) -> ResponseContext {
        ResponseContext {
            cursor_floor: floor,
            ..ResponseContext::default()
        }
    }

    #[test]
    fn a_cursor_is_above_the_floor_of_each_reader() {
        let mut event = message(Cursor::Event(10, Bytes::from_static(b">")));
        let cases = [
            (None, "<10>"),
            (Some(3), "<10>"),
            (Some(9), "<10>"),
            (Some(10), "<11>"),
            (Some(u64::MAX), "<9007199254740991>"),
        ];
        for (floor, expected) in cases {
            assert_eq!(event.bytes_for(&held(floor)), expected, "{floor:?}");
            let header = message(Cursor::Header(10)).head_for(&held(floor));
            let header = header.expect("there is a head").headers;
            let expected = expected.trim_matches(['<', '>']);
            assert_eq!(header.get("stream-cursor").expect("a cursor"), expected);
        }
    }

    #[test]
    fn readers_with_one_cursor_share_one_encoding() {
        let mut event = message(Cursor::Event(10, Bytes::from_static(b">")));
        let first = event.bytes_for(&held(None));
        let second = event.bytes_for(&held(Some(3)));
        assert_eq!(first.as_ptr(), second.as_ptr());
    }

    #[test]
    fn fields_held_for_a_reader_are_in_its_head() {
        let mut held = held(None);
        held.headers
            .insert("vary", HeaderValue::from_static("origin"));
        let head = message(Cursor::None)
            .head_for(&held)
            .expect("there is a head");
        assert_eq!(head.headers.get("vary").expect("held"), "origin");
    }
}
