//! Positions in a stream.

use crate::limits::SEGMENTS;
use serde::{Deserialize, Serialize};

/// A position between two bytes of a stream: `byte` bytes into a segment.
///
/// `segment` has the form of offsets: the timeline that the segment was written on, times
/// `limits::SEGMENTS`, plus the segment's number. A segment of a newer timeline never has a smaller
/// number.
///
/// A position names the segment of the byte before it; only the start of a stream has `byte` 0. The
/// derived order is stream order.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Position {
    /// Timeline and number of the segment.
    pub segment: u64,
    /// Bytes of the segment before this position.
    pub byte: u64,
}

impl Position {
    /// The start of every stream, and the tail of an empty one.
    pub const ZERO: Self = Self {
        segment: 0,
        byte: 0,
    };

    /// Creates the position `byte` bytes into `segment`, in the form of offsets.
    #[must_use]
    pub const fn new(segment: u64, byte: u64) -> Self {
        Self { segment, byte }
    }

    /// Creates the position `byte` bytes into segment `number`, which was written on `timeline`.
    #[must_use]
    pub const fn on(timeline: u64, number: u64, byte: u64) -> Self {
        let before = timeline.saturating_mul(SEGMENTS);
        Self::new(before.saturating_add(number), byte)
    }

    /// Number of the segment, counted over all incarnations of the name.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.segment % SEGMENTS
    }

    /// The timeline that the segment was written on.
    #[must_use]
    pub const fn timeline(self) -> u64 {
        self.segment / SEGMENTS
    }
}

/// Random identity of one life of a stream, from its creation to its deletion. Keys of chunks and
/// index blocks begin with it, so two lives of a name share no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub [u8; 16]);

/// The first half of an [`Incarnation`], which distinguishes the lives of one name.
pub(crate) type LifeMark = [u8; 8];

impl Incarnation {
    /// Returns the first half.
    #[must_use]
    pub fn mark(self) -> LifeMark {
        self.0.first_chunk().copied().unwrap_or_default()
    }
}

impl std::fmt::Display for Incarnation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// Formats bytes in lower-case hexadecimal. Every key needs it, and the formatter would take longer
/// than the rest of a read.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    push_hex(&mut text, bytes);
    text
}

/// Appends bytes in hexadecimal to `text`.
pub(crate) fn push_hex(text: &mut String, bytes: &[u8]) {
    let digit = |nibble: u8| match nibble {
        0..=9 => b'0' + nibble,
        _ => b'a' - 10 + nibble,
    };
    for part in bytes.chunks(16) {
        let mut pairs = [[0; 2]; 16];
        for (pair, byte) in pairs.iter_mut().zip(part) {
            *pair = [digit(byte >> 4), digit(byte & 15)];
        }
        let made = pairs.get(..part.len()).unwrap_or_default().as_flattened();
        text.push_str(std::str::from_utf8(made).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_in_hexadecimal() {
        assert_eq!(hex(&[0, 0x0f, 0xa5, 0xff]), "000fa5ff");
    }
}
