//! One answer, as each of the readers that share it gets it.

use crate::exchange::{Answer, Cursor, Head, Held};
use bytes::{BufMut, Bytes, BytesMut};
use durable_streams_edge::protocol::cursor::above;
use durable_streams_edge::protocol::headers;
use http::header::{HeaderName, HeaderValue};

/// Where a cursor goes that does not belong into the body.
const STREAM_CURSOR: HeaderName = HeaderName::from_static(headers::STREAM_CURSOR);
/// Digits of the largest cursor.
const CURSOR_DIGITS: usize = 20;

/// What is sent for one answer. Made once for all readers whose cursors agree.
#[derive(Debug)]
pub(super) struct Delivery {
    head: Option<Head>,
    body: Bytes,
    cursor: Cursor,
    /// The bytes for the cursor that was asked for last.
    made: Option<(u64, Bytes)>,
}

impl Delivery {
    /// The part of an answer that is sent.
    pub(super) fn new(answer: &mut Answer) -> Self {
        Self {
            head: answer.head.take(),
            body: std::mem::take(&mut answer.body),
            cursor: std::mem::replace(&mut answer.cursor, Cursor::None),
            made: None,
        }
    }

    /// The head for a reader, if this answer begins its response.
    pub(super) fn head(&self, held: &Held) -> Option<Head> {
        self.head.clone().map(|head| self.finish(head, held))
    }

    /// The same for the only reader there is.
    pub(super) fn take_head(&mut self, held: &Held) -> Option<Head> {
        self.head.take().map(|head| self.finish(head, held))
    }

    fn finish(&self, mut head: Head, held: &Held) -> Head {
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
    pub(super) fn bytes(&mut self, held: &Held) -> Bytes {
        let Cursor::Event(value, after) = &self.cursor else {
            return self.body.clone();
        };
        let value = above(*value, held.cursor_floor);
        if let Some((made, bytes)) = &self.made
            && *made == value
        {
            return bytes.clone();
        }
        let room = self.body.len().saturating_add(after.len());
        let mut bytes = BytesMut::with_capacity(room.saturating_add(CURSOR_DIGITS));
        bytes.put_slice(&self.body);
        bytes.put_slice(value.to_string().as_bytes());
        bytes.put_slice(after);
        let bytes = bytes.freeze();
        self.made = Some((value, bytes.clone()));
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Next;
    use http::{HeaderMap, StatusCode};

    fn delivery(cursor: Cursor) -> Delivery {
        Delivery::new(&mut Answer {
            head: Some(Head {
                status: StatusCode::OK,
                headers: HeaderMap::new(),
            }),
            body: Bytes::from_static(b"<"),
            cursor,
            next: Next::Done,
            held: None,
            effects: Vec::new(),
        })
    }

    fn held(floor: Option<u64>) -> Held {
        Held {
            cursor_floor: floor,
            ..Held::default()
        }
    }

    #[test]
    fn a_cursor_is_above_the_floor_of_each_reader() {
        let mut event = delivery(Cursor::Event(10, Bytes::from_static(b">")));
        let cases = [
            (None, "<10>"),
            (Some(3), "<10>"),
            (Some(9), "<10>"),
            (Some(10), "<11>"),
            (Some(u64::MAX), "<9007199254740991>"),
        ];
        for (floor, expected) in cases {
            assert_eq!(event.bytes(&held(floor)), expected, "{floor:?}");
            let header = delivery(Cursor::Header(10)).head(&held(floor));
            let header = header.expect("there is a head").headers;
            let expected = expected.trim_matches(['<', '>']);
            assert_eq!(header.get("stream-cursor").expect("a cursor"), expected);
        }
    }

    #[test]
    fn readers_with_one_cursor_share_one_encoding() {
        let mut event = delivery(Cursor::Event(10, Bytes::from_static(b">")));
        let first = event.bytes(&held(None));
        let second = event.bytes(&held(Some(3)));
        assert_eq!(first.as_ptr(), second.as_ptr());
    }

    #[test]
    fn fields_held_for_a_reader_are_in_its_head() {
        let mut held = held(None);
        held.headers
            .insert("vary", HeaderValue::from_static("origin"));
        let head = delivery(Cursor::None).head(&held).expect("there is a head");
        assert_eq!(head.headers.get("vary").expect("held"), "origin");
    }
}
