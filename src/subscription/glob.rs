//! Patterns over stream names (section 6.2). `*` matches one path segment or any characters within
//! one, and `**` matches any number of segments.
//!
//! Matching takes at most about as many steps as the product of the two lengths. After a mismatch,
//! only the last star of either kind is extended, which finds a match whenever one exists.

use crate::limits::{MAX_PATTERN_BYTES, MAX_PATTERN_SEGMENTS};

/// A pattern: one or more segments, none of them empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Glob(String);

/// Reason why a text is not a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// The pattern is empty, or has an empty segment.
    #[error("it has an empty segment")]
    EmptySegment,
    /// The pattern has more bytes than any name may have.
    #[error("it is longer than {MAX_PATTERN_BYTES} bytes")]
    TooLong,
    /// The pattern has too many segments. A name has at most 8 unless `max_name_segments` is
    /// raised.
    #[error("it has more than {MAX_PATTERN_SEGMENTS} segments")]
    TooManySegments,
    /// The pattern has a control character, which names do not have.
    #[error("it has a control character")]
    ControlCharacter,
    /// A segment is `.` or `..`, which names do not have.
    #[error("it has a segment . or .., which no name has")]
    DotSegment,
}

/// The segment that matches any number of segments.
const MANY: &str = "**";

impl Glob {
    /// Parses a pattern and keeps its text.
    ///
    /// # Errors
    ///
    /// The first rule that the pattern breaks.
    pub fn parse(text: &str) -> Result<Self, GlobError> {
        if text.len() > MAX_PATTERN_BYTES {
            return Err(GlobError::TooLong);
        }
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(GlobError::ControlCharacter);
        }
        if text.split('/').count() > MAX_PATTERN_SEGMENTS {
            return Err(GlobError::TooManySegments);
        }
        for segment in text.split('/') {
            match segment {
                "" => return Err(GlobError::EmptySegment),
                "." | ".." => return Err(GlobError::DotSegment),
                _ => {}
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the pattern as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the pattern matches the stream `name`.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let pattern: Vec<&str> = self.0.split('/').collect();
        let name: Vec<&str> = name.split('/').collect();
        greedy(
            &pattern,
            &name,
            |segment| *segment == MANY,
            |segment, part| {
                let (segment, part) = (segment.as_bytes(), part.as_bytes());
                greedy(
                    segment,
                    part,
                    |byte| *byte == b'*',
                    |byte, other| byte == other,
                )
            },
        )
    }

    /// Whether all names that the pattern matches are within `prefix`, which is whole leading
    /// segments. An empty prefix includes all names.
    #[must_use]
    pub fn is_within(&self, prefix: &str) -> bool {
        if prefix.is_empty() {
            return true;
        }
        let mut pattern = self.0.split('/');
        prefix
            .split('/')
            .all(|segment| !segment.contains('*') && pattern.next() == Some(segment))
    }
}

/// Whether `pattern` matches all of `text`, where a star matches any number of items.
fn greedy<P, T>(
    pattern: &[P],
    text: &[T],
    is_star: impl Fn(&P) -> bool,
    same: impl Fn(&P, &T) -> bool,
) -> bool {
    let (mut at, mut place) = (0_usize, 0_usize);
    // The index of the last star, and the index of the item after those that it has matched.
    let mut star: Option<(usize, usize)> = None;
    while let Some(item) = text.get(place) {
        match pattern.get(at) {
            Some(one) if is_star(one) => {
                star = Some((at, place));
                at = at.saturating_add(1);
            }
            Some(one) if same(one, item) => {
                at = at.saturating_add(1);
                place = place.saturating_add(1);
            }
            _ => match &mut star {
                Some((begin, given)) => {
                    *given = given.saturating_add(1);
                    at = begin.saturating_add(1);
                    place = *given;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(is_star)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn glob(text: &str) -> Glob {
        Glob::parse(text).unwrap()
    }

    #[test]
    fn stars_stand_for_segments() {
        for (pattern, name, matches) in [
            ("events/*", "events/a", true),
            ("events/*", "events", false),
            ("events/*", "events/a/b", false),
            ("*", "a", true),
            ("*", "a/b", false),
            ("**", "a/b/c", true),
            ("events/**", "events", true),
            ("events/**", "events/a/b", true),
            ("events/**", "eventsa", false),
            ("**/tail", "tail", true),
            ("**/tail", "a/b/tail", true),
            ("a/**/b/**/c", "a/b/c", true),
            ("a/**/b/**/c", "a/x/b/y/z/c", true),
            ("a/**/b/**/c", "a/x/y/z/c", false),
            ("a/*/c", "a/b/c", true),
            ("a/user-*", "a/user-7", true),
            ("a/user-*", "a/users", false),
            ("a/*-*", "a/x-y-z", true),
            ("events/a", "events/a", true),
            ("events/a", "events/A", false),
        ] {
            assert_eq!(glob(pattern).matches(name), matches, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_that_can_match_no_name_says_why() {
        let long = "a".repeat(MAX_PATTERN_BYTES + 1);
        for (text, error) in [
            ("", GlobError::EmptySegment),
            ("/a", GlobError::EmptySegment),
            ("a//*", GlobError::EmptySegment),
            ("a/../*", GlobError::DotSegment),
            ("a\n", GlobError::ControlCharacter),
            (&long, GlobError::TooLong),
            (&"a/".repeat(200), GlobError::TooManySegments),
        ] {
            assert_eq!(Glob::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_pattern_lies_within_the_segments_it_begins_with() {
        for (pattern, prefix, within) in [
            ("a/b/*", "a/b", true),
            ("a/b", "a/b", true),
            ("a/bc/*", "a/b", false),
            ("a/*", "a/b", false),
            ("**", "a", false),
            ("a/**", "a", true),
            ("*/b", "*", false),
            ("**", "", true),
        ] {
            assert_eq!(
                glob(pattern).is_within(prefix),
                within,
                "{pattern} {prefix}"
            );
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = glob(&["*a"; 60].concat());
        let name = "a".repeat(1000) + "b";
        assert!(!pattern.matches(&name));
        let pattern = glob(&["**/a"; 30].join("/"));
        assert!(!pattern.matches(&(["a"; 60].join("/") + "/b")));
    }

    /// The definition of a match, which tries all alternatives.
    fn stands_for(pattern: &[&str], name: &[&str]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            ([MANY, rest @ ..], _) => {
                (0..=name.len()).any(|taken| stands_for(rest, &name[taken..]))
            }
            ([one, rest @ ..], [part, others @ ..]) => {
                within(one.as_bytes(), part.as_bytes()) && stands_for(rest, others)
            }
            _ => false,
        }
    }

    fn within(pattern: &[u8], part: &[u8]) -> bool {
        match (pattern, part) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => (0..=part.len()).any(|taken| within(rest, &part[taken..])),
            ([one, rest @ ..], [other, others @ ..]) => one == other && within(rest, others),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_pattern_matches_as_the_definition_says(
            pattern in "[ab*]{1,3}(/[ab*]{1,3}){0,4}",
            name in "[ab]{1,3}(/[ab]{1,3}){0,4}",
        ) {
            let one: Vec<&str> = pattern.split('/').collect();
            let other: Vec<&str> = name.split('/').collect();
            prop_assert_eq!(glob(&pattern).matches(&name), stands_for(&one, &other));
        }

        #[test]
        fn matching_names_lie_within_the_prefix_of_the_pattern(
            prefix in "[ab](/[ab]){0,2}",
            pattern in "[ab*](/[ab*]){0,4}",
            name in "[ab](/[ab]){0,4}",
        ) {
            let pattern = glob(&pattern);
            if pattern.is_within(&prefix) && pattern.matches(&name) {
                prop_assert!((name + "/").starts_with(&(prefix + "/")));
            }
        }

        #[test]
        fn any_text_is_judged_without_a_panic(pattern in ".{0,40}", name in ".{0,40}") {
            if let Ok(glob) = Glob::parse(&pattern) {
                let _ = glob.matches(&name);
            }
        }
    }
}
