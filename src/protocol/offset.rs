//! Offsets (section 8): `%016d_%015d0`, segment and byte, so that text order is stream order.
//!
//! The last digit has no meaning. Offsets are opaque, but the Yjs server of the protocol's authors
//! adds 1 to the offset that its snapshot reaches, and reads on from there. On a server with one
//! offset for each append, that is the next offset. Here, without the extra digit, it would skip a
//! byte.

use crate::stream::Position;

/// Largest value of either half.
const MAX_PART: u64 = 9_999_999_999_999_999;

/// Digits of either half.
const DIGITS: usize = 16;

/// Unit of the second half. An addition of less than this does not change the position.
const UNIT: u64 = 10;

/// Largest byte position that an offset can hold.
const MAX_BYTE: u64 = MAX_PART / UNIT;

/// The offset that a reader requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Offset {
    /// `-1`, the first available byte.
    Start,
    /// `now`, the tail at the time of the request.
    Now,
    /// A position, which need not exist.
    At(Position),
}

/// The text is not an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected -1, now, or an offset exactly as the server returned it")]
pub struct OffsetError;

impl Offset {
    /// Parses an offset. Only the last digit is normalised; white space is not trimmed.
    ///
    /// # Errors
    ///
    /// The text does not have the form of an offset (section 8). Whether a stream has the position
    /// is not checked.
    pub fn parse(text: &str) -> Result<Self, OffsetError> {
        match text {
            "-1" => Ok(Self::Start),
            "now" => Ok(Self::Now),
            _ => {
                let (segment, byte) = text.split_once('_').ok_or(OffsetError)?;
                let byte = part(byte)? / UNIT;
                Ok(Self::At(Position::new(part(segment)?, byte)))
            }
        }
    }
}

fn part(text: &str) -> Result<u64, OffsetError> {
    // The standard parser accepts a plus sign.
    let digits = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    match digits {
        true => text.parse().map_err(|_| OffsetError),
        false => Err(OffsetError),
    }
}

/// Formats a position. A half that needs more than 16 digits becomes the largest value.
#[must_use]
pub fn format(position: Position) -> String {
    let mut text = String::with_capacity(DIGITS.saturating_mul(2).saturating_add(1));
    push(&mut text, position);
    text
}

/// Formats a position with a last digit of 1 to 8 that changes each minute. The offset is the same
/// position, at a URL that no cache has stored.
#[must_use]
pub(crate) fn format_fresh(position: Position, now_ms: u64) -> String {
    let mut text = format(position);
    let digit = now_ms / 60_000 % 8;
    text.pop();
    text.push(char::from(b'1'.saturating_add(digit as u8)));
    text
}

/// Appends a formatted position to `text`.
pub(super) fn push(text: &mut String, position: Position) {
    // Formatted by hand: most responses have several offsets, and the formatter would take longer
    // than all their headers.
    push_part(text, position.segment.min(MAX_PART));
    text.push('_');
    push_part(text, position.byte.min(MAX_BYTE).saturating_mul(UNIT));
}

fn push_part(text: &mut String, part: u64) {
    let mut digits = [b'0'; DIGITS];
    let mut rest = part;
    for digit in digits.iter_mut().rev() {
        if rest == 0 {
            break;
        }
        *digit = b'0'.saturating_add((rest % 10) as u8);
        rest /= 10;
    }
    text.push_str(std::str::from_utf8(&digits).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_sentinels_and_the_ends_of_the_range_are_offsets() {
        assert_eq!(Offset::parse("-1"), Ok(Offset::Start));
        assert_eq!(Offset::parse("now"), Ok(Offset::Now));
        let at = |text| Offset::parse(text);
        let zeros = "0000000000000000_0000000000000000";
        assert_eq!(at(zeros), Ok(Offset::At(Position::ZERO)));
        let nines = "9999999999999999_9999999999999999";
        assert_eq!(at(nines), Ok(Offset::At(Position::new(MAX_PART, MAX_BYTE))));
        assert_eq!(format(Position::ZERO), zeros);
        let last = "9999999999999999_9999999999999990";
        assert_eq!(format(Position::new(u64::MAX, u64::MAX)), last);
    }

    #[test]
    fn a_fresh_offset_is_the_same_place_and_changes_each_minute() {
        let place = Position::new(4, 7);
        let fresh = |minute: u64| format_fresh(place, minute * 60_000 + 59_999);
        assert_eq!(fresh(0), "0000000000000004_0000000000000071");
        assert_eq!(fresh(7), "0000000000000004_0000000000000078");
        assert_eq!(fresh(8), fresh(0));
        for minute in 0..8 {
            assert_eq!(Offset::parse(&fresh(minute)), Ok(Offset::At(place)));
            assert_ne!(fresh(minute), fresh(minute + 1));
        }
    }

    /// The Yjs server adds 1, and so lost a byte of each document that it had compacted.
    #[test]
    fn an_offset_plus_1_is_the_same_place() {
        for (text, byte) in [
            ("0000000000000003_0000000000000000", 0),
            ("0000000000000003_0000000000000001", 0),
            ("0000000000000003_0000000000000420", 42),
            ("0000000000000003_0000000000000421", 42),
            ("0000000000000003_0000000000000429", 42),
            ("0000000000000003_0000000000000430", 43),
        ] {
            assert_eq!(Offset::parse(text), Ok(Offset::At(Position::new(3, byte))));
        }
    }

    #[test]
    fn other_texts_are_not_offsets() {
        for text in [
            "",
            "0",
            "-2",
            "--1",
            "NOW",
            " now",
            "now ",
            "-1\n",
            "0000000000000000",
            "0000000000000000_",
            "_0000000000000000",
            "0000000000000000_000000000000000",
            "0000000000000000_00000000000000000",
            "000000000000000_0000000000000000",
            "0000000000000000-0000000000000000",
            "0000000000000000_0000000000000000_",
            "0000000000000000_+000000000000001",
            "+000000000000000_0000000000000001",
            "0000000000000000_000000000000000a",
            " 0000000000000000_0000000000000000",
            "0000000000000000_0000000000000000 ",
            "0000000000000000_0000000000000000\0",
            "0000000000000000,0000000000000000",
            "00000000000000\u{e9}_0000000000000000",
            "\u{0660}000000000000000_0000000000000000",
        ] {
            assert_eq!(Offset::parse(text), Err(OffsetError), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_a_panic(text in any::<String>()) {
            let _ = Offset::parse(&text);
        }

        #[test]
        fn written_values_are_read_back(segment in 0..=MAX_PART, byte in 0..=MAX_BYTE) {
            let position = Position::new(segment, byte);
            prop_assert_eq!(Offset::parse(&format(position)), Ok(Offset::At(position)));
        }

        #[test]
        fn text_order_is_stream_order(
            a in (0..=MAX_PART, 0..=MAX_BYTE),
            b in (0..=MAX_PART, 0..=MAX_BYTE),
            near in (0u64..4, 0u64..4, 0u64..4, 0u64..4),
        ) {
            let far = (Position::new(a.0, a.1), Position::new(b.0, b.1));
            let near = (Position::new(near.0, near.1), Position::new(near.2, near.3));
            for (one, other) in [far, near] {
                prop_assert_eq!(format(one).cmp(&format(other)), one.cmp(&other));
            }
        }

        #[test]
        fn an_overlong_half_is_cut_and_not_a_panic(segment: u64, byte: u64) {
            prop_assert_eq!(format(Position::new(segment, byte)).len(), 33);
        }
    }
}
