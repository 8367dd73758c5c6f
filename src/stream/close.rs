//! The close of a stream, and its reason.

use super::ProducerMark;
use crate::limits::REASON_BYTES;
use std::fmt;

/// The closed state of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The append that closed the stream, if a producer sent it: a retry of it is a duplicate.
    pub by: Option<ProducerMark>,
    /// Why the stream was closed, if the close said so. The first close decides.
    pub reason: Option<Reason>,
}

/// Why a stream was closed: 1 to 64 characters of `a-z`, `0-9`, `-`, `.` and `_`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(String);

/// The text is not a valid reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidReason;

impl Reason {
    /// The reason of a close by the server, because the writer's lease ended.
    pub const LEASE_EXPIRED: &str = "lease-expired";

    /// The reason that a stop button gives.
    pub const STOPPED: &str = "stopped";

    /// Parses a reason.
    ///
    /// # Errors
    ///
    /// [`InvalidReason`] if the text is empty, too long, or has other characters.
    pub fn parse(text: &str) -> Result<Self, InvalidReason> {
        let is_valid = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_');
        match (1..=REASON_BYTES).contains(&text.len()) && text.bytes().all(is_valid) {
            true => Ok(Self(text.to_owned())),
            false => Err(InvalidReason),
        }
    }

    /// The reason as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_a_short_token() {
        let longest = "x".repeat(REASON_BYTES);
        for good in ["a", "stopped", "lease-expired", "v1.2_x-9", &longest] {
            assert_eq!(Reason::parse(good).unwrap().as_str(), good);
        }
        let long = "x".repeat(REASON_BYTES + 1);
        for bad in ["", "Stopped", "two words", "a/b", "\u{e9}", &long] {
            assert_eq!(Reason::parse(bad), Err(InvalidReason), "{bad}");
        }
    }
}
