//! Names of streams: the part of the path after `{base_path}/`.

use super::percent;
use crate::limits::Config;

/// First segment of the paths that are no streams (section 6).
pub const RESERVED: &str = "__ds";

/// The name of a stream: UTF-8, decoded, one to `max_name_segments` segments, at most
/// `max_name_bytes` bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName(String);

/// Why a path names no stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is nothing after the base path.
    #[error("it is empty")]
    Empty,
    /// A `%` begins no escape.
    #[error("a % must be followed by two hex digits; write %25 for the character itself")]
    BadEscape,
    /// The decoded bytes are no text.
    #[error("it is not UTF-8 after percent-decoding")]
    NotUtf8,
    /// More bytes than `max_name_bytes`.
    #[error("it is {bytes} bytes long, and {max} are the most")]
    TooLong {
        /// Bytes after decoding.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// More segments than `max_name_segments`.
    #[error("it has {segments} segments, and {max} are the most")]
    TooManySegments {
        /// Segments after decoding.
        segments: usize,
        /// The limit.
        max: usize,
    },
    /// A slash at the begin or end, or two in a row.
    #[error("it has an empty segment: drop the extra slash")]
    EmptySegment,
    /// A segment is `.` or `..`.
    #[error("it has a segment . or .. and these have no meaning here")]
    DotSegment,
    /// A character below U+0020, or U+007F.
    #[error("it has a control character")]
    ControlCharacter,
    /// The first segment is [`RESERVED`].
    #[error("names that begin with {RESERVED} are reserved")]
    Reserved,
}

impl StreamName {
    /// Reads the still percent-encoded part of a path after `{base_path}/`.
    ///
    /// It is decoded exactly once, and judged as decoded: `%2F` is a slash.
    pub fn parse(raw: &str, config: &Config) -> Result<Self, NameError> {
        Self::from_decoded(decode(raw)?, config)
    }

    pub(super) fn from_decoded(name: String, config: &Config) -> Result<Self, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        let (bytes, max) = (name.len(), config.max_name_bytes);
        if bytes > max {
            return Err(NameError::TooLong { bytes, max });
        }
        if name.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(NameError::ControlCharacter);
        }
        for segment in name.split('/') {
            match segment {
                "" => return Err(NameError::EmptySegment),
                "." | ".." => return Err(NameError::DotSegment),
                _ => {}
            }
        }
        let (segments, max) = (name.split('/').count(), config.max_name_segments);
        if segments > max {
            return Err(NameError::TooManySegments { segments, max });
        }
        if first_segment(&name) == RESERVED {
            return Err(NameError::Reserved);
        }
        Ok(Self(name))
    }

    /// The decoded name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The one canonical percent-encoded form, for `Location` and `instance`.
    #[must_use]
    pub fn encoded(&self) -> String {
        let mut encoded = String::with_capacity(self.0.len());
        for segment in self.0.split('/') {
            if !encoded.is_empty() {
                encoded.push('/');
            }
            percent::encode_segment(&mut encoded, segment);
        }
        encoded
    }
}

impl std::fmt::Display for StreamName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn decode(raw: &str) -> Result<String, NameError> {
    let bytes = percent::decode(raw).map_err(|percent::BadEscape| NameError::BadEscape)?;
    String::from_utf8(bytes).map_err(|_| NameError::NotUtf8)
}

pub(super) fn first_segment(name: &str) -> &str {
    name.split('/').next().unwrap_or_default()
}
