//! Names of streams: the part of the path after `{base_path}/`.

use super::paths::{HEALTH, READY};
use super::percent;
use crate::limits::Config;

/// First segment of the paths that are reserved for control calls (section 6).
pub const RESERVED: &str = "__ds";

/// The name of a stream: decoded UTF-8 of one to `max_name_segments` segments and at most
/// `max_name_bytes` bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName(String);

/// Reason why a path does not name a stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The path ends with the base path.
    #[error("it is empty")]
    Empty,
    /// A `%` is not followed by two hex digits.
    #[error("a % must be followed by two hex digits; write %25 for the character itself")]
    BadEscape,
    /// The decoded bytes are not UTF-8.
    #[error("it is not UTF-8 after percent-decoding")]
    NotUtf8,
    /// The name has more bytes than `max_name_bytes`.
    #[error("it is {bytes} bytes long; at most {max} are allowed")]
    TooLong {
        /// Bytes after decoding.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The name has more segments than `max_name_segments`.
    #[error("it has {segments} segments; at most {max} are allowed")]
    TooManySegments {
        /// Segments after decoding.
        segments: usize,
        /// The limit.
        max: usize,
    },
    /// The name begins or ends with a slash, or has two in a row.
    #[error("it has an empty segment: drop the extra slash")]
    EmptySegment,
    /// A segment is `.` or `..`.
    #[error("it has a segment . or .., which is not allowed")]
    DotSegment,
    /// The name has a character below U+0020, or U+007F.
    #[error("it has a control character")]
    ControlCharacter,
    /// The name is the path of a probe, which can only happen with the `base_path` `/`.
    #[error("it is reserved for a probe")]
    Probe,
    /// The first segment is [`RESERVED`].
    #[error("its first segment is {RESERVED}, which is reserved")]
    Reserved,
}

impl StreamName {
    /// Parses the part of a path after `{base_path}/`, which is still percent-encoded.
    ///
    /// The name is decoded exactly once, and the rules apply to the decoded name: `%2F` is a slash.
    ///
    /// # Errors
    ///
    /// The first rule that the name breaks.
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
        let is_probe = |path: &&str| path.strip_prefix('/') == Some(name.as_str());
        if config.base_path.is_empty() && HEALTH.iter().chain([&READY]).any(is_probe) {
            return Err(NameError::Probe);
        }
        Ok(Self(name))
    }

    /// The decoded name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the one canonical percent-encoded form, for `Location` and `instance`.
    #[must_use]
    pub fn encoded(&self) -> String {
        encode(&self.0)
    }
}

/// Returns the canonical percent-encoded form of a valid name.
#[must_use]
pub fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for segment in name.split('/') {
        if !encoded.is_empty() {
            encoded.push('/');
        }
        percent::encode_segment(&mut encoded, segment);
    }
    encoded
}

impl std::fmt::Display for StreamName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn decode(raw: &str) -> Result<String, NameError> {
    let bytes = percent::decode(raw).map_err(|percent::BadEscape| NameError::BadEscape)?;
    String::from_utf8(bytes.into_owned()).map_err(|_| NameError::NotUtf8)
}

pub(super) fn first_segment(name: &str) -> &str {
    name.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn config() -> Config {
        Config::from_lookup(|_| None).unwrap()
    }

    fn parse(raw: &str) -> Result<StreamName, NameError> {
        StreamName::parse(raw, &config())
    }

    #[test]
    fn a_name_is_decoded_exactly_once() {
        assert_eq!(parse("a%20b").unwrap().as_str(), "a b");
        assert_eq!(parse("a%2520b").unwrap().as_str(), "a%20b");
        assert_eq!(parse("a%2Fb").unwrap(), parse("a/b").unwrap());
        assert_eq!(parse("a+b").unwrap().as_str(), "a+b");
        assert_eq!(parse("%C3%A9").unwrap().as_str(), "\u{e9}");
    }

    #[test]
    fn a_path_that_names_no_stream_says_why() {
        let long = "a".repeat(1025);
        for (raw, expected) in [
            ("", NameError::Empty),
            ("%", NameError::BadEscape),
            ("a%2", NameError::BadEscape),
            ("a%+1", NameError::BadEscape),
            ("a%G0", NameError::BadEscape),
            ("%\u{e9}\u{e9}", NameError::BadEscape),
            ("%ff", NameError::NotUtf8),
            ("%C3", NameError::NotUtf8),
            ("%C0%AF", NameError::NotUtf8),
            ("%ED%A0%80", NameError::NotUtf8),
            ("a/", NameError::EmptySegment),
            ("/a", NameError::EmptySegment),
            ("a//b", NameError::EmptySegment),
            ("a/%2Fb", NameError::EmptySegment),
            ("a/../b", NameError::DotSegment),
            ("%2e%2E", NameError::DotSegment),
            ("a/.", NameError::DotSegment),
            ("a%00b", NameError::ControlCharacter),
            ("a%0D%0Ab", NameError::ControlCharacter),
            ("a%7f", NameError::ControlCharacter),
            ("__ds", NameError::Reserved),
            ("__ds/x", NameError::Reserved),
            ("%5F_ds%2Fx", NameError::Reserved),
            (
                &long,
                NameError::TooLong {
                    bytes: 1025,
                    max: 1024,
                },
            ),
            (
                "1/2/3/4/5/6/7/8/9",
                NameError::TooManySegments {
                    segments: 9,
                    max: 8,
                },
            ),
        ] {
            assert_eq!(parse(raw), Err(expected), "{raw:?}");
        }
    }

    #[test]
    fn names_at_the_limits_are_taken() {
        for raw in [
            "a",
            "1/2/3/4/5/6/7/8",
            "..a",
            "...",
            "a/__ds",
            "__dsx",
            "%25",
            "a?b",
            "\\",
        ] {
            assert!(parse(raw).is_ok(), "{raw:?}");
        }
        assert!(parse(&"%61".repeat(1024)).is_ok());
        assert!(parse(&"\u{e9}".repeat(512)).is_ok());
    }

    #[test]
    fn the_canonical_form_escapes_characters_not_allowed_in_a_path_segment() {
        let encoded = |raw| parse(raw).unwrap().encoded();
        assert_eq!(encoded("a%2fb%2d%3a%40"), "a/b-:@");
        assert_eq!(encoded("%c3%a9"), "%C3%A9");
        assert_eq!(encoded("a%20%3F%23%25%22%5c"), "a%20%3F%23%25%22%5C");
    }

    proptest! {
        #[test]
        fn any_path_is_judged_without_a_panic(raw in any::<String>()) {
            let _ = parse(&raw);
        }

        #[test]
        fn escaped_paths_are_judged_without_a_panic(raw in "([a/.%]|%[0-9a-fA-G]{2}){0,40}") {
            if let Ok(name) = parse(&raw) {
                prop_assert!(!name.as_str().is_empty());
            }
        }

        #[test]
        fn the_canonical_form_means_the_same_name(raw in "[^\\x00-\\x1f\\x7f%]{1,60}") {
            if let Ok(name) = parse(&raw) {
                let encoded = name.encoded();
                let canonical = encoded.bytes().all(|byte| byte.is_ascii_graphic());
                prop_assert!(canonical && !encoded.contains(['?', '#', '"', '<', '>', '\\']));
                prop_assert_eq!(parse(&encoded), Ok(name));
            }
        }
    }
}
