//! Offsets (section 8): `%016d_%016d`, segment and byte, so that text order is stream order.

use crate::stream::Position;

/// Largest value of either half.
const MAX_PART: u64 = 9_999_999_999_999_999;

/// Digits of either half.
const DIGITS: usize = 16;

/// What a reader asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Offset {
    /// `-1`, the first byte there is.
    Start,
    /// `now`, the tail at the time of the request.
    Now,
    /// A place, which need not exist.
    At(Position),
}

/// The text is no offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected -1, now, or an offset exactly as the server returned it")]
pub struct OffsetError;

impl Offset {
    /// Reads an offset; nothing is trimmed or normalised.
    pub fn parse(text: &str) -> Result<Self, OffsetError> {
        match text {
            "-1" => Ok(Self::Start),
            "now" => Ok(Self::Now),
            _ => {
                let (segment, byte) = text.split_once('_').ok_or(OffsetError)?;
                Ok(Self::At(Position::new(part(segment)?, part(byte)?)))
            }
        }
    }
}

fn part(text: &str) -> Result<u64, OffsetError> {
    // The standard parser takes a plus sign.
    let digits = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    match digits {
        true => text.parse().map_err(|_| OffsetError),
        false => Err(OffsetError),
    }
}

/// Writes a position. A half that needs more than 16 digits becomes the largest there is.
#[must_use]
pub fn format(position: Position) -> String {
    let (segment, byte) = (position.segment.min(MAX_PART), position.byte.min(MAX_PART));
    format!("{segment:016}_{byte:016}")
}
