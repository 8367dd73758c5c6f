//! JSON mode (section 9.1): splits bodies into messages without building values.

use crate::limits::MAX_JSON_DEPTH;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The body of a read without messages.
pub(crate) const EMPTY_PAGE: &[u8] = b"[]";

/// Message ends closer together than this are thinned out, so the size of a body bounds their
/// number.
const SPACING: usize = 1024;

/// The messages of a body, in the form that a stream stores.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Messages {
    /// Every message byte for byte as received, each followed by a comma.
    pub bytes: Vec<u8>,
    /// Ascending positions in `bytes`, each just after a message's comma.
    ///
    /// The ends are thinned out, so that a body of many small messages costs little:
    ///
    /// - Each message end beyond the first KiB is kept, or a kept end is less than 1 KiB before it.
    /// - The end before a message longer than 1 KiB is kept.
    /// - Any three kept ends span more than 1 KiB.
    /// - The last end is kept.
    pub ends: Vec<usize>,
}

/// A body that is not one JSON value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct InvalidJson {
    reason: String,
}

/// Validates `body` as one JSON value, flattens exactly one level of array, and frames the
/// messages. `[]` gives no messages.
///
/// Uses constant stack: the library skips values without recursion.
///
/// # Errors
///
/// The body is not exactly one JSON value (section 9.1.4), or is deeper than `MAX_JSON_DEPTH`. The
/// parsers of many readers fail on a deeper message, and then on the whole page.
pub fn frame(body: &[u8]) -> Result<Messages, InvalidJson> {
    let text = std::str::from_utf8(body).map_err(|error| not_utf8(body, error.valid_up_to()))?;
    if is_too_deep(body) {
        let reason = format!("nested deeper than {MAX_JSON_DEPTH} levels");
        return Err(InvalidJson { reason });
    }
    let mut framing = Framing::default();
    framing.messages.bytes.reserve(body.len().saturating_add(1));
    read(text, &mut framing).map_err(|error| InvalidJson {
        reason: error.to_string(),
    })?;
    Ok(framing.finish())
}

/// Whether arrays and objects in `body` are nested deeper than [`MAX_JSON_DEPTH`].
fn is_too_deep(body: &[u8]) -> bool {
    // Most bodies do not have that many brackets, and counting brackets is fast.
    let opens = body.iter().filter(|byte| matches!(byte, b'[' | b'{'));
    if opens.count() as u64 <= MAX_JSON_DEPTH {
        return false;
    }
    let mut ends = Ends::default();
    body.iter().any(|byte| {
        ends.read(*byte);
        ends.depth > MAX_JSON_DEPTH
    })
}

/// Counts lines and columns as the library does: from 1, in bytes, including the invalid byte.
fn not_utf8(body: &[u8], valid: usize) -> InvalidJson {
    let before = body.get(..valid).unwrap_or_default();
    let line = before.split(|byte| *byte == b'\n').count();
    let column = before
        .rsplit(|byte| *byte == b'\n')
        .next()
        .map_or(0, <[u8]>::len);
    let column = column.saturating_add(1);
    InvalidJson {
        reason: format!("not UTF-8 at line {line} column {column}"),
    }
}

fn read(text: &str, framing: &mut Framing) -> Result<(), serde_json::Error> {
    let mut input = serde_json::Deserializer::from_str(text);
    let first = text.bytes().find(|byte| !b" \t\r\n".contains(byte));
    if first == Some(b'[') {
        input.deserialize_seq(Flatten(framing))?;
    } else {
        let value: &RawValue = Deserialize::deserialize(&mut input)?;
        framing.push(value);
    }
    input.end()
}

/// Visits the elements of the outermost array.
struct Flatten<'a>(&'a mut Framing);

impl<'de> Visitor<'de> for Flatten<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element::<&RawValue>()? {
            self.0.push(element);
        }
        Ok(())
    }
}

/// Finds the ends of messages in the bytes of a stream, part by part. The bytes must be valid JSON;
/// the append checked it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ends {
    depth: u64,
    in_string: bool,
    escaped: bool,
    /// Whether the last byte was the comma after a message.
    at_end: bool,
}

impl Ends {
    /// Reads until `count` messages have ended, and decrements `count` for each. Returns the number
    /// of bytes read.
    pub fn skip(&mut self, bytes: &[u8], count: &mut u64) -> usize {
        for (index, byte) in bytes.iter().enumerate() {
            if *count == 0 {
                return index;
            }
            if self.read(*byte) {
                *count = count.saturating_sub(1);
            }
        }
        bytes.len()
    }

    /// Reads to the end of `bytes`.
    pub fn read_on(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.read(*byte);
        }
    }

    /// Whether the bytes so far end with a whole message.
    #[must_use]
    pub const fn at_end(&self) -> bool {
        self.at_end
    }

    fn read(&mut self, byte: u8) -> bool {
        self.at_end = false;
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'[' | b'{' => self.depth = self.depth.saturating_add(1),
            b']' | b'}' => self.depth = self.depth.saturating_sub(1),
            b',' => self.at_end = self.depth == 0,
            _ => {}
        }
        self.at_end
    }
}

#[derive(Default)]
struct Framing {
    messages: Messages,
    /// The last kept end, which is in `messages.ends`.
    kept: usize,
    /// The end of the last message, kept or not.
    seen: usize,
}

impl Framing {
    fn push(&mut self, message: &RawValue) {
        self.messages
            .bytes
            .extend_from_slice(message.get().as_bytes());
        self.messages.bytes.push(b',');
        let end = self.messages.bytes.len();
        // The end before a long message must be kept. Otherwise a writer that looks for an end to
        // cut at would cut the message.
        if end.saturating_sub(self.kept) > SPACING {
            self.keep_seen();
        }
        self.seen = end;
    }

    fn keep_seen(&mut self) {
        if self.seen > self.kept {
            self.messages.ends.push(self.seen);
            self.kept = self.seen;
        }
    }

    fn finish(mut self) -> Messages {
        self.keep_seen();
        self.messages
    }
}

#[cfg(test)]
mod tests;
