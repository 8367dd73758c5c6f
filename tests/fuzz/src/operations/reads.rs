//! Catch-up reads, page by page, and long-polls.

use super::{NAMES, Run};
use crate::content::Content;
use crate::input::Input;
use crate::model::{START, Stream};
use crate::world::{Ask, Response, Rest, begin, call, resume};
use durable_streams_edge::protocol::offset::{Offset, format};
use durable_streams_edge::service::exchange::Cause;
use durable_streams_edge::stream::Position;

/// An offset of a timeline that the store has not reached.
const AHEAD: &str = "0000000100000000_0000000000000010";

/// An offset of a stream, and the number of units before it.
pub(super) type CountedOffset = (String, usize);

impl Stream {
    /// An offset from an answer, or an offset within an append.
    pub(super) fn counted_offset(&self, input: &mut Input<'_>) -> CountedOffset {
        let number = input.below(64);
        let back = input.below(8);
        let start = || ("-1".to_owned(), 0);
        let known = self.offsets.iter().nth(number);
        let (offset, count) = known.map_or_else(start, |(offset, count)| (offset.clone(), *count));
        match (&self.content, Offset::parse(&offset)) {
            (Content::Bytes(_), Ok(Offset::At(place))) if place.byte > 1 => {
                // Bytes of one segment follow each other, and a place names the segment before it.
                let back = back
                    .min(place.byte.try_into().unwrap_or(0) - 1)
                    .min(count - 1);
                let within = Position::new(place.segment, place.byte - back as u64);
                (format(within), count - back)
            }
            _ => (offset, count),
        }
    }
}

impl Run {
    pub(super) fn read(&mut self, name: &str, input: &mut Input<'_>) {
        let Some(stream) = self.model.get(name) else {
            let response = call(&self.server, &get(name, "-1"));
            assert_eq!(response.status, self.model.status(name), "GET {name}");
            return;
        };
        let from = stream.counted_offset(input);
        match input.below(8) {
            0 => self.read_ahead(name),
            1 => self.read_old(name),
            2 => self.read_last(name, input),
            _ => self.read_from(name, from),
        }
    }

    /// Reads to the tail.
    fn read_from(&mut self, name: &str, (mut offset, mut count): CountedOffset) {
        loop {
            let response = call(&self.server, &get(name, &offset));
            let Some((next, taken)) = self.page(name, count, &response) else {
                return;
            };
            (offset, count) = (next, count + taken);
        }
    }

    /// Reads the last units, with pages up to the tail.
    fn read_last(&mut self, name: &str, input: &mut Input<'_>) {
        let stream = self.model.get(name).expect("it is there");
        let most = stream.content.len() + 2;
        let count = 1 + (input.below(256) * 256 + input.below(256)) % most;
        let from = stream.content.behind(stream.kind, count);
        let mut ask = Ask::new("GET", name);
        ask.target += &format!("?tail={count}");
        let response = call(&self.server, &ask);
        assert_eq!(response.header("etag"), "", "{response:?}");
        if let Some((next, taken)) = self.page(name, from, &response) {
            self.read_from(name, (next, from + taken));
        }
    }

    /// Compares a page that begins behind `from` units. Returns the offset of the next page and the
    /// number of units in this one, unless this is the last page.
    fn page(&mut self, name: &str, from: usize, response: &Response) -> Option<(String, usize)> {
        let now = self.world.now_ms();
        assert_eq!(response.status, 200, "GET {name}: {response:?}");
        let stream = self.model.get_mut(name).expect("it is there");
        stream.touch(now);
        let taken = stream.content.count(from, &response.body);
        let next = response.header("stream-next-offset");
        let at_tail = from + taken == stream.content.len();
        let up_to_date = response.header("stream-up-to-date") == "true";
        assert_eq!(up_to_date, at_tail, "{name} behind {from}: {response:?}");
        let closed = response.header("stream-closed") == "true";
        assert_eq!(closed, at_tail && stream.closed);
        if closed {
            let reason = response.header("stream-closed-reason");
            assert_eq!(reason, stream.reason.unwrap_or_default(), "GET {name}");
        }
        stream.learn(next, from + taken);
        assert!(
            at_tail || taken > 0,
            "an empty page of {name} that is not the last"
        );
        (!at_tail).then(|| (next.to_owned(), taken))
    }

    /// A read beyond the tail is refused, but still counts as a read.
    fn read_ahead(&mut self, name: &str) {
        let tail = self.model.get(name).expect("it is there").tail();
        let beyond = match Offset::parse(tail) {
            Ok(Offset::At(tail)) => format(Position::new(tail.segment + 1, 1)),
            other => panic!("{tail} is {other:?}"),
        };
        for (ahead, status) in [(AHEAD, 503), (&*beyond, 410)] {
            let response = call(&self.server, &get(name, ahead));
            assert_eq!(response.status, status, "{name} at {ahead}: {response:?}");
        }
        let now = self.world.now_ms();
        let stream = self.model.get_mut(name).expect("it is there");
        stream.touch(now);
    }

    /// The offsets of an earlier life of the name are gone.
    fn read_old(&mut self, name: &str) {
        let old = self.model.ended(name).filter(|old| *old != START);
        let Some(old) = old.map(str::to_owned) else {
            return;
        };
        let response = call(&self.server, &get(name, &old));
        let now = self.world.now_ms();
        let stream = self.model.get_mut(name).expect("it is there");
        stream.touch(now);
        if stream.parent.is_none() {
            assert_eq!(response.status, 410, "{name} at {old}: {response:?}");
        }
    }

    /// A long-poll without any write while it waits.
    pub(super) fn poll(&mut self, name: &str, input: &mut Input<'_>) {
        let Some(stream) = self.model.get(name) else {
            return;
        };
        let (offset, count) = stream.counted_offset(input);
        let mut ask = get(name, &offset);
        ask.target += "&live=long-poll";
        let (mut response, mut rest) = begin(&self.server, &ask);
        let now = self.world.now_ms();
        let stream = self.model.get_mut(name).expect("it is there");
        stream.touch(now);
        if count < stream.content.len() {
            assert_eq!(rest, Rest::Done);
            self.page(name, count, &response);
            return;
        }
        let closed = stream.closed;
        if !closed {
            let Rest::Waits { token } = rest else {
                panic!("a long-poll at the tail of {name} does not wait: {response:?}");
            };
            rest = resume(&self.server, &mut response, &token, Cause::Expired);
        }
        assert_eq!((rest, response.status), (Rest::Done, 204), "{response:?}");
        assert_eq!(response.header("stream-up-to-date"), "true");
        assert_eq!(response.header("stream-closed") == "true", closed);
        if offset != "-1" {
            assert_eq!(response.header("stream-next-offset"), offset);
        }
    }

    /// Reads every stream, and a page from every known place.
    pub(super) fn read_all(&mut self) {
        self.model.expire(self.world.now_ms());
        for name in NAMES {
            let stream = self.model.get(name);
            let places = stream.map(|stream| stream.offsets.clone());
            let Some(places) = places else { continue };
            for (offset, count) in places {
                let response = call(&self.server, &get(name, &offset));
                self.page(name, count, &response);
            }
            self.read_from(name, ("-1".to_owned(), 0));
        }
        self.catch_up();
    }
}

/// A read from this offset.
pub(super) fn get(name: &str, offset: &str) -> Ask {
    let mut ask = Ask::new("GET", name);
    ask.target += &format!("?offset={offset}");
    ask
}
