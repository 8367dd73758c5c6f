//! `GET` (sections 5.6 to 5.8).

use super::super::offset::Offset;
use super::super::problem::{Code, Problem};
use super::super::{cursor, headers, percent};
use super::fields::{self, Fields};
use super::operation::{Mode, Read, Start};
use crate::limits::{TAIL_BYTES, TAIL_MESSAGES};
use std::borrow::Cow;

pub(super) fn parse(fields: &Fields<'_>, query: &str) -> Result<Read, Problem> {
    let query = Query::parse(query)?;
    let mode = query.live.as_deref().map_or(Ok(Mode::CatchUp), mode)?;
    let start = match (query.offset.as_deref(), query.tail.as_deref()) {
        (Some(value), None) => Start::Offset(offset(value)?),
        (None, Some(value)) => Start::Tail(tail(value)?),
        (None, None) if mode == Mode::CatchUp => Start::Offset(Offset::Start),
        (None, None) => {
            return Err(Problem::new(
                Code::BadRequest,
                "A live read needs an offset. Send offset=-1, offset=now or an offset that the \
                 server returned.",
            ));
        }
        (Some(_), Some(_)) => {
            return Err(Problem::new(
                Code::BadRequest,
                "A read begins at an offset or near the tail. Send offset or tail, not both.",
            ));
        }
    };
    Ok(Read {
        start,
        mode,
        cursor: query.cursor.as_deref().map_or(Ok(None), echoed)?,
        if_none_match: fields.list(headers::IF_NONE_MATCH),
    })
}

fn mode(value: &[u8]) -> Result<Mode, Problem> {
    match value {
        b"long-poll" => Ok(Mode::LongPoll),
        b"sse" => Ok(Mode::Sse),
        _ => Err(fields::invalid("live", value, "expected long-poll or sse")),
    }
}

fn offset(value: &[u8]) -> Result<Offset, Problem> {
    let parsed = std::str::from_utf8(value).ok().map(Offset::parse);
    parsed.and_then(Result::ok).ok_or_else(|| {
        let detail = format!(
            "Invalid offset {}: expected -1, now, or an offset exactly as the server returned it.",
            fields::quote(value)
        );
        Problem::new(Code::InvalidOffset, detail)
    })
}

fn tail(value: &[u8]) -> Result<u64, Problem> {
    let text = std::str::from_utf8(value).ok();
    let count = text.and_then(fields::number);
    count
        .filter(|count| (1..=TAIL_BYTES).contains(count))
        .ok_or_else(|| {
            let expected = format!(
                "expected a number of messages of a JSON stream, 1 to {TAIL_MESSAGES}, or of bytes \
                 of another stream, 1 to {TAIL_BYTES}"
            );
            fields::invalid("tail", value, &expected)
        })
}

/// Parses an echoed cursor. Cursors are opaque to clients, so one that this server can't have
/// written counts as absent.
fn echoed(value: &[u8]) -> Result<Option<u64>, Problem> {
    if value.is_empty() {
        return Err(fields::invalid(
            "cursor",
            value,
            "leave it out or give it a value",
        ));
    }
    Ok(std::str::from_utf8(value).ok().and_then(cursor::parse))
}

/// The known query parameters; others are ignored.
#[derive(Default)]
struct Query<'a> {
    offset: Option<Cow<'a, [u8]>>,
    tail: Option<Cow<'a, [u8]>>,
    live: Option<Cow<'a, [u8]>>,
    cursor: Option<Cow<'a, [u8]>>,
}

impl<'a> Query<'a> {
    fn parse(query: &'a str) -> Result<Self, Problem> {
        let mut parsed = Self::default();
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            // The key is decoded, so that an escaped spelling can't hide a second one.
            let Ok(key) = percent::decode(key) else {
                continue;
            };
            let (name, slot) = match &*key {
                b"offset" => ("offset", &mut parsed.offset),
                b"tail" => ("tail", &mut parsed.tail),
                b"live" => ("live", &mut parsed.live),
                b"cursor" => ("cursor", &mut parsed.cursor),
                _ => continue,
            };
            let decoded = percent::decode(value).map_err(|percent::BadEscape| {
                fields::invalid(
                    name,
                    value.as_bytes(),
                    "a % must be followed by two hex digits",
                )
            })?;
            if slot.replace(decoded).is_some() {
                let detail =
                    format!("The query parameter {name} was sent more than once. Send it once.");
                return Err(Problem::new(Code::BadRequest, detail));
            }
        }
        Ok(parsed)
    }
}
