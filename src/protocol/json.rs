//! JSON mode (section 9.1): bodies cut into messages without building values.

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// What a read gives where there are no messages.
pub const EMPTY_PAGE: &[u8] = b"[]";

/// Message ends closer together than this are thinned, which bounds their number by the body.
const SPACING: usize = 1024;

/// The messages of a body as a stream keeps them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Messages {
    /// Every message byte for byte as written, a comma after each.
    pub bytes: Vec<u8>,
    /// Ascending positions in `bytes`, each just after a message's comma.
    ///
    /// Thinned: of the ends in any `(end - 1024, end]` at least one is here, the last one of all
    /// always is, and there are at most two for each KiB.
    pub ends: Vec<usize>,
}

/// A body that is not one JSON value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct InvalidJson {
    reason: String,
}

/// Validates `body` as one JSON value, flattens exactly one level of array, and frames the
/// messages. `[]` gives none.
///
/// Takes any depth in constant stack: the library skips values without recursion.
pub fn frame(body: &[u8]) -> Result<Messages, InvalidJson> {
    let text = std::str::from_utf8(body).map_err(|error| InvalidJson {
        reason: format!("not UTF-8 at byte {}", error.valid_up_to()),
    })?;
    let mut framing = Framing::default();
    framing.messages.bytes.reserve(body.len().saturating_add(1));
    read(text, &mut framing).map_err(|error| InvalidJson {
        reason: error.to_string(),
    })?;
    Ok(framing.finish())
}

fn read(text: &str, framing: &mut Framing) -> Result<(), serde_json::Error> {
    let mut input = serde_json::Deserializer::from_str(text);
    let first = text.bytes().find(|byte| !b" \t\r\n".contains(byte));
    if first == Some(b'[') {
        input.deserialize_seq(Flatten(framing))?;
    } else {
        let value: &RawValue = serde::Deserialize::deserialize(&mut input)?;
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

#[derive(Default)]
struct Framing {
    messages: Messages,
    /// The last end in `messages.ends`.
    kept: usize,
    /// The last end of all.
    seen: usize,
}

impl Framing {
    fn push(&mut self, message: &RawValue) {
        self.messages
            .bytes
            .extend_from_slice(message.get().as_bytes());
        self.messages.bytes.push(b',');
        let end = self.messages.bytes.len();
        // The end before a long message must stay, or a writer that looks for an end to cut at
        // would cut the message.
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
