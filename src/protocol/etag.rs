//! Entity tags of pages, and `If-None-Match` (RFC 9110, section 13.1.2).

use super::offset;
use crate::stream::{Incarnation, Position, push_hex};

/// Returns the strong entity tag of a page, with its quotes.
///
/// The tag depends on everything that a page shows: the stream's life, the range of bytes, whether
/// the page reaches the tail, and whether the stream is closed.
#[must_use]
pub fn tag(
    incarnation: Incarnation,
    start: Position,
    end: Position,
    reached_tail: bool,
    closed: bool,
) -> String {
    let mut tag = String::with_capacity(128);
    tag.push('"');
    push_hex(&mut tag, &incarnation.0);
    tag.push(':');
    offset::push(&mut tag, start);
    tag.push(':');
    offset::push(&mut tag, end);
    tag.push_str(if reached_tail { ":u" } else { "" });
    tag.push_str(if closed { ":c" } else { "" });
    tag.push('"');
    tag
}

/// Whether an `If-None-Match` field contains `tag`, by weak comparison. A malformed list contains
/// no tag.
#[must_use]
pub(crate) fn none_match(field: &[u8], tag: &str) -> bool {
    let mut rest = field.trim_ascii();
    if rest == b"*" {
        return true;
    }
    let mut found = false;
    loop {
        // RFC 9110, section 5.6.1: a recipient ignores empty list elements.
        while let [b' ' | b'\t' | b',', after @ ..] = rest {
            rest = after;
        }
        if rest.is_empty() {
            return found;
        }
        let Some((opaque, after)) = entity_tag(rest) else {
            return false;
        };
        found |= opaque == opaque_tag(tag.as_bytes());
        rest = after.trim_ascii_start();
        if !matches!(rest, [] | [b',', ..]) {
            return false;
        }
    }
}

fn opaque_tag(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// Splits the first tag from the list: its opaque part with the quotes, and the rest of the list.
fn entity_tag(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = opaque_tag(text);
    let inner = text.strip_prefix(b"\"")?;
    let length = inner.iter().position(|byte| *byte == b'"')?;
    let good = |byte: &u8| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..);
    inner.get(..length)?.iter().all(good).then_some(())?;
    text.split_at_checked(length.checked_add(2)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    const TAG: &str = "\"abc\"";

    #[test]
    fn every_property_of_a_page_changes_its_tag() {
        let mut tags = HashSet::new();
        for incarnation in [Incarnation([0; 16]), Incarnation([255; 16])] {
            for (start, end) in [(0, 0), (0, 1), (1, 1)] {
                for (reached_tail, closed) in
                    [(false, false), (false, true), (true, false), (true, true)]
                {
                    let (start, end) = (Position::new(0, start), Position::new(0, end));
                    assert!(tags.insert(tag(incarnation, start, end, reached_tail, closed)));
                }
            }
        }
        assert_eq!(tags.len(), 24);
        for tag in tags {
            assert!(none_match(tag.as_bytes(), &tag), "{tag}");
        }
    }

    #[test]
    fn a_tag_in_the_list_matches_weakly() {
        for field in [
            "\"abc\"",
            "W/\"abc\"",
            " \"abc\"\t",
            "\"x\", \"abc\"",
            "\"abc\",\"x\"",
            "\"x\" ,\t W/\"abc\" , \"y\"",
            ", ,\"abc\",,",
            "\"a,b\",\"abc\"",
            "*",
            " * ",
        ] {
            assert!(none_match(field.as_bytes(), TAG), "{field:?}");
        }
        assert!(none_match(b"\"abc\"", "W/\"abc\""));
        assert!(none_match(b"\"\"", "\"\""));
        assert!(none_match(b"\"\xff\", \"abc\"", TAG));
    }

    #[test]
    fn other_tags_and_malformed_lists_do_not_match() {
        for field in [
            "",
            " ",
            ",",
            "abc",
            "\"ABC\"",
            "\"x\"",
            "\"abc",
            "abc\"",
            "w/\"abc\"",
            "W/ \"abc\"",
            "W/",
            "W/W/\"abc\"",
            "\"abc\" \"x\"",
            "\"abc\"x",
            "\"abc\", x",
            "x, \"abc\"",
            "\"abc\", *",
            "*, \"abc\"",
            "**",
            "\"a b\", \"abc\"",
            "\"abc\\\"\"",
            "'abc'",
        ] {
            assert!(!none_match(field.as_bytes(), TAG), "{field:?}");
        }
    }

    proptest! {
        #[test]
        fn any_field_is_judged_without_a_panic(field: Vec<u8>) {
            let _ = none_match(&field, TAG);
        }

        #[test]
        fn likely_fields_are_judged_without_a_panic(field in "[\"W/*abc, \t]{0,24}") {
            let _ = none_match(field.as_bytes(), TAG);
        }

        #[test]
        fn a_list_matches_exactly_where_it_has_the_tag(
            tags in proptest::collection::vec(("(W/)?", "[abc,]{0,3}"), 0..5),
        ) {
            let list: Vec<String> = tags.iter().map(|(weak, tag)| format!("{weak}\"{tag}\"")).collect();
            let has = tags.iter().any(|(_, tag)| tag == "abc");
            prop_assert_eq!(none_match(list.join(", ").as_bytes(), TAG), has);
        }
    }
}
