//! Detection of HTTP/1 requests with two lengths of their body.
//!
//! A proxy in front may take a request with `Transfer-Encoding` and `Content-Length` for two
//! requests (RFC 9112, section 6.3). hyper uses `Transfer-Encoding` and drops the other field, so a
//! service can't detect the conflict in its request. This parser therefore sees the bytes of all
//! heads before hyper reads them. It follows the framing in the same way as hyper. After a point
//! where hyper ends the connection, its results do not matter.

use crate::limits::HEAD_BYTES;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Most bytes of a partial line that are kept; hyper accepts no longer line.
const LINE: usize = HEAD_BYTES;
/// Capacity kept for the next line.
const KEPT: usize = 256;
/// The first line of an HTTP/2 client.
const HTTP2: &[u8] = b"PRI * HTTP/2.0";

/// Requests of one connection that have two lengths of their body.
#[derive(Debug, Default)]
pub(super) struct Doubtful {
    /// Whether there are any.
    any: AtomicBool,
    /// Their numbers, in ascending order.
    numbers: Mutex<Vec<u64>>,
    /// Number of calls of [`next`](Self::next) so far.
    asked: AtomicU64,
}

impl Doubtful {
    fn add(&self, number: u64) {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.push(number);
        self.any.store(true, Ordering::Release);
    }

    /// Whether the next request of the connection has two lengths. The caller calls this once for
    /// each request, in order.
    pub(super) fn next(&self) -> bool {
        let number = self.asked.fetch_add(1, Ordering::AcqRel);
        if !self.any.load(Ordering::Acquire) {
            return false;
        }
        let numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.contains(&number)
    }
}

/// Position of the parser in the bytes of the connection.
#[derive(Debug)]
enum State {
    /// At a line of a head; with none, at its first line.
    Head(Option<Head>),
    /// Within a body, with this many bytes left.
    Body(u64),
    /// At the line with the size of a chunk.
    Size,
    /// Within a chunk, with this many bytes left, or at the end of its line.
    Chunk(u64),
    /// At a line after the last chunk.
    Trailer,
    /// Parsing has ended.
    Over,
}

#[derive(Debug, Default)]
struct Head {
    length: Option<u64>,
    lengths: bool,
    codings: bool,
}

/// Parser of the requests of one connection.
#[derive(Debug)]
pub(super) struct Framing {
    state: State,
    /// The beginning of a line without its end.
    line: Vec<u8>,
    heads: u64,
    found: Arc<Doubtful>,
}

impl Framing {
    pub(super) const fn new(found: Arc<Doubtful>) -> Self {
        Self {
            state: State::Head(None),
            line: Vec::new(),
            heads: 0,
            found,
        }
    }

    /// Whether a head has begun and is not complete.
    pub(super) const fn is_in_head(&self) -> bool {
        match &self.state {
            State::Head(Some(_)) => true,
            State::Head(None) => !self.line.is_empty(),
            _ => false,
        }
    }

    /// Parses the next bytes.
    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Over => return,
                State::Body(left) | State::Chunk(left) if *left > 0 => {
                    let passed =
                        usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                    *left = left.saturating_sub(passed as u64);
                    bytes = bytes.get(passed..).unwrap_or_default();
                    if matches!(self.state, State::Body(0)) {
                        self.state = State::Head(None);
                    }
                }
                _ => bytes = self.read_line(bytes),
            }
        }
    }

    /// Parses a line, or keeps its beginning. Returns the rest.
    fn read_line<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
            self.keep(bytes);
            return &[];
        };
        let (line, rest) = bytes.split_at(end);
        let rest = rest.get(1..).unwrap_or_default();
        if self.line.is_empty() {
            self.take_line(line);
        } else {
            self.keep(line);
            let line = std::mem::take(&mut self.line);
            self.take_line(&line);
            self.line = line;
            self.line.clear();
            self.line.shrink_to(KEPT);
        }
        rest
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE.saturating_sub(self.line.len());
        let kept = bytes.get(..room).unwrap_or(bytes);
        self.line.extend_from_slice(kept);
    }

    fn take_line(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let state = std::mem::replace(&mut self.state, State::Over);
        self.state = match state {
            // Empty lines before a request are skipped.
            State::Head(None) if line.is_empty() => State::Head(None),
            State::Head(None) if line == HTTP2 => State::Over,
            State::Head(None) => State::Head(Some(Head::default())),
            State::Head(Some(head)) if line.is_empty() => self.end_head(&head),
            State::Head(Some(mut head)) => match head.field(line) {
                true => State::Head(Some(head)),
                false => State::Over,
            },
            State::Size => match chunk_size(line) {
                Some(0) => State::Trailer,
                Some(size) => State::Chunk(size),
                None => State::Over,
            },
            // The line that ends a chunk.
            State::Chunk(_) => State::Size,
            State::Trailer if line.is_empty() => State::Head(None),
            State::Trailer => State::Trailer,
            State::Body(_) | State::Over => State::Over,
        };
    }

    fn end_head(&mut self, head: &Head) -> State {
        let number = self.heads;
        self.heads = number.saturating_add(1);
        if head.codings && head.lengths {
            self.found.add(number);
        }
        match head.length {
            _ if head.codings => State::Size,
            None | Some(0) => State::Head(None),
            Some(length) => State::Body(length),
        }
    }
}

impl Head {
    /// Parses a field. Returns false if hyper refuses it.
    fn field(&mut self, line: &[u8]) -> bool {
        let colon = line.iter().position(|byte| *byte == b':');
        let Some((name, value)) = colon.map(|colon| line.split_at(colon)) else {
            return true;
        };
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.codings = true;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            self.lengths = true;
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            let length = std::str::from_utf8(value).ok();
            let length = length.and_then(|value| value.parse().ok());
            if self.codings {
                // hyper does not check the value in this case.
                return true;
            }
            let is_other = self.length.is_some_and(|known| Some(known) != length);
            self.length = length;
            return length.is_some() && !is_other;
        }
        true
    }
}

/// The size in the line before a chunk.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
    let end = digits.count();
    let digits = std::str::from_utf8(line.get(..end)?).ok()?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    const LENGTH: &str =
        "POST / HTTP/1.1\r\nContent-Length: 30\r\n\r\ntransfer-encoding: chunked\r\n\r\n";
    const CHUNKS: &str = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
                          5;x=y\r\n\r\n\r\nz\r\n15\r\ncontent-length: 1\r\n\r\n\r\n0\r\ncontent-length: 1\r\n\r\n";
    const BOTH: &str = "POST / HTTP/1.1\r\ncontent-length: 6\r\nTRANSFER-ENCODING: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    const BOTH_TURNED: &str = "POST / HTTP/1.1\r\nTransfer-Encoding:chunked\r\nhost: a\r\nContent-Length:6\r\n\r\n0\r\n\r\n";

    /// Whether each request is found to have two lengths, with `at_a_time` bytes in each read.
    fn found(text: &str, at_a_time: usize) -> Vec<bool> {
        let doubtful = Arc::new(Doubtful::default());
        let mut framing = Framing::new(Arc::clone(&doubtful));
        for part in text.as_bytes().chunks(at_a_time) {
            framing.read(part);
        }
        (0..framing.heads).map(|_| doubtful.next()).collect()
    }

    #[test]
    fn two_lengths_are_found_in_both_orders_and_in_later_requests() {
        let all = [
            (PLAIN, false),
            (BOTH, true),
            (LENGTH, false),
            (CHUNKS, false),
            (BOTH_TURNED, true),
            (PLAIN, false),
        ];
        let text: String = all.iter().map(|(text, _)| *text).collect();
        let expected: Vec<bool> = all.iter().map(|(_, both)| *both).collect();
        for at_a_time in [1, 2, 3, 7, 64, text.len()] {
            assert_eq!(found(&text, at_a_time), expected, "{at_a_time}");
        }
        let spaced = format!("\r\n\n{}", BOTH.replace('\r', ""));
        assert_eq!(found(&spaced, 5), [true]);
    }

    #[test]
    fn no_second_length_is_searched_where_hyper_ends_the_connection() {
        for text in [
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        ] {
            assert!(found(&format!("{text}{BOTH}"), 9).is_empty(), "{text}");
        }
    }

    #[test]
    fn a_long_line_is_not_kept() {
        let mut framing = Framing::new(Arc::default());
        framing.read(b"GET /");
        framing.read(&vec![b'x'; 2 * LINE]);
        assert!(framing.line.len() <= LINE);
        framing.read(b"\n");
        assert!(framing.line.capacity() <= KEPT);
    }
}
