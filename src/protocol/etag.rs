//! Entity tags of pages, and `If-None-Match` (RFC 9110, section 13.1.2).

use super::offset;
use crate::stream::{Incarnation, Position};

/// The strong tag of a page, in its quotes.
///
/// It changes with everything a page can tell: whose bytes, which, whether they reach the tail and
/// whether the stream is closed.
#[must_use]
pub fn tag(
    incarnation: Incarnation,
    start: Position,
    end: Position,
    reached_tail: bool,
    closed: bool,
) -> String {
    let (start, end) = (offset::format(start), offset::format(end));
    let tail = if reached_tail { ":u" } else { "" };
    let closed = if closed { ":c" } else { "" };
    format!("\"{incarnation}:{start}:{end}{tail}{closed}\"")
}

/// Whether an `If-None-Match` field has `tag`, by weak comparison. A field that is no list of
/// entity tags has none.
#[must_use]
pub fn none_match(field: &[u8], tag: &str) -> bool {
    let mut rest = field.trim_ascii();
    if rest == b"*" {
        return true;
    }
    let mut found = false;
    loop {
        // RFC 9110, section 5.6.1: empty list elements are to be ignored.
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

/// Splits one tag from the list: its opaque part with the quotes, and what follows.
fn entity_tag(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = opaque_tag(text);
    let inner = text.strip_prefix(b"\"")?;
    let length = inner.iter().position(|byte| *byte == b'"')?;
    let good = |byte: &u8| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..);
    inner.get(..length)?.iter().all(good).then_some(())?;
    text.split_at_checked(length.checked_add(2)?)
}
