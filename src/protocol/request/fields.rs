//! Header fields of a request, each parsed once and strictly.

use super::super::headers;
use super::super::problem::{Code, Problem};
use super::raw::{RawRequest, trim};
use crate::limits::{MAX_FIELD_BYTES, REASON_BYTES, WRITER_LEASE_SECS};
use crate::stream::{ContentType, Reason};

/// Characters of an offending value that a problem shows.
const SHOWN_CHARS: usize = 64;

/// The header section of a request.
pub(super) struct Fields<'a>(RawRequest<'a>);

impl<'a> Fields<'a> {
    pub(super) const fn new(raw: &RawRequest<'a>) -> Self {
        Self(*raw)
    }

    /// Returns the value of a field, if present. Repeated equal values count as one.
    pub(super) fn one(&self, name: &'static str) -> Result<Option<&'a [u8]>, Problem> {
        let mut values = self.0.field_values(name);
        let first = values.next();
        match values.all(|value| Some(value) == first) {
            true => Ok(first),
            false => {
                let detail =
                    format!("{name} was sent more than once, with different values. Send it once.");
                Err(Problem::new(Code::BadRequest, detail))
            }
        }
    }

    /// Returns the value of a field as text.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<&'a str>, Problem> {
        let Some(value) = self.one(name)? else {
            return Ok(None);
        };
        match std::str::from_utf8(value) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(invalid(name, value, "expected UTF-8 text")),
        }
    }

    /// Joins all lines of a list field into one list.
    pub(super) fn list(&self, name: &'static str) -> Option<Vec<u8>> {
        let lines: Vec<&[u8]> = self.0.field_values(name).collect();
        (!lines.is_empty()).then(|| lines.join(&b", "[..]))
    }

    /// Whether `Stream-Closed` is `true`. Any other value counts as absent (section 4.1).
    pub(super) fn closed(&self) -> Result<bool, Problem> {
        let value = self.one(headers::STREAM_CLOSED)?;
        Ok(value.is_some_and(|value| value.eq_ignore_ascii_case(b"true")))
    }

    /// Returns `Stream-Closed-Reason`, the reason of a close. Only the server may give the reason of a
    /// lapsed lease.
    pub(super) fn close_reason(&self) -> Result<Option<Reason>, Problem> {
        let name = headers::STREAM_CLOSED_REASON;
        let Some(value) = self.one(name)? else {
            return Ok(None);
        };
        let reason = std::str::from_utf8(value).ok().map(Reason::parse);
        let Some(Ok(reason)) = reason else {
            let expected = format!("expected 1 to {REASON_BYTES} characters of a-z 0-9 - . _");
            return Err(invalid(name, value, &expected));
        };
        if reason.as_str() == Reason::LEASE_EXPIRED {
            let why = "only the server closes a stream for this reason";
            return Err(invalid(name, value, why));
        }
        if !self.closed()? {
            return Err(Problem::new(
                Code::BadRequest,
                "Stream-Closed-Reason has no effect without Stream-Closed: true. Send both or \
                 neither.",
            ));
        }
        Ok(Some(reason))
    }

    /// Returns `Stream-Lease`, the length of the writer's lease in seconds; 0 ends the lease.
    pub(super) fn lease_secs(&self) -> Result<Option<u64>, Problem> {
        let name = headers::STREAM_LEASE;
        let Some(value) = self.one(name)? else {
            return Ok(None);
        };
        let secs = std::str::from_utf8(value).ok().and_then(number);
        match secs.filter(|secs| *secs == 0 || WRITER_LEASE_SECS.contains(secs)) {
            Some(secs) => Ok(Some(secs)),
            None => {
                let (least, most) = (WRITER_LEASE_SECS.start(), WRITER_LEASE_SECS.end());
                let expected =
                    format!("expected whole seconds from {least} to {most}, or 0 for no lease");
                Err(invalid(name, value, &expected))
            }
        }
    }

    /// Returns the `Content-Type`, if present.
    pub(super) fn content_type(&self) -> Result<Option<ContentType>, Problem> {
        let name = headers::CONTENT_TYPE;
        let Some(value) = self.one(name)? else {
            return Ok(None);
        };
        if value.is_empty() {
            return Err(invalid(
                name,
                value,
                "it is empty; leave it out or send a media type",
            ));
        }
        check_length(name, value)?;
        let parsed = std::str::from_utf8(value).ok().map(ContentType::parse);
        match parsed {
            Some(Ok(content_type)) => Ok(Some(content_type)),
            _ => Err(invalid(
                name,
                value,
                "expected a media type such as text/plain",
            )),
        }
    }

    /// Returns the token of `Authorization: Bearer`, if present. Two fields are refused even if
    /// they are equal: proxies differ in which one they use.
    pub(super) fn bearer(&self) -> Result<Option<&'a [u8]>, Problem> {
        let mut values = self.0.field_values(headers::AUTHORIZATION);
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            let detail = "Authorization was sent more than once. Send it once.";
            return Err(Problem::new(Code::BadRequest, detail));
        }
        let token = value
            .split_at_checked(6)
            .filter(|(scheme, rest)| {
                scheme.eq_ignore_ascii_case(b"bearer") && rest.starts_with(b" ")
            })
            .map(|(_, rest)| trim(rest));
        Ok(token.filter(|token| !token.is_empty()))
    }
}

/// Refuses values that are too long for a head record.
pub(super) fn check_length(name: &'static str, value: &[u8]) -> Result<(), Problem> {
    match value.len() <= MAX_FIELD_BYTES {
        true => Ok(()),
        false => Err(invalid(
            name,
            value,
            &format!("at most {MAX_FIELD_BYTES} bytes are allowed"),
        )),
    }
}

/// Parses a decimal number without a sign and leading zeros, if it fits.
pub(super) fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = digits && (text.len() == 1 || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

/// Creates the problem for an invalid value of a field or parameter.
pub(super) fn invalid(name: &str, value: &[u8], reason: &str) -> Problem {
    let detail = format!("Invalid value {} for {name}: {reason}.", quote(value));
    Problem::new(Code::BadRequest, detail)
}

/// Formats a value in quotes, escaped and truncated.
pub(super) fn quote(value: &[u8]) -> String {
    // A character takes at most 4 bytes, so this many bytes are enough.
    let text = String::from_utf8_lossy(value.get(..SHOWN_CHARS * 4 + 4).unwrap_or(value));
    let mut quoted = String::from("\"");
    quoted.extend(text.chars().take(SHOWN_CHARS).flat_map(char::escape_debug));
    quoted.push('"');
    if text.chars().nth(SHOWN_CHARS).is_some() {
        quoted.push_str("...");
    }
    quoted
}
