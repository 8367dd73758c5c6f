//! Server-sent events (section 5.8; WHATWG HTML, section 9.2).
//!
//! A data event may be written in parts, over several steps: [`data_begin`], any number of
//! [`data_part`]s, [`data_end`]. No state is kept between the parts.

use crate::stream::ContentType;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The content type of the response.
pub const MEDIA_TYPE: &str = "text/event-stream";

/// A comment, which clients skip. A failed write of it shows that the reader has disconnected.
pub(crate) const HEARTBEAT: &[u8] = b":\n\n";

const BREAK: &[u8] = b"\ndata:";

/// How the bytes of a stream become the text of data events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// As UTF-8 text. Invalid bytes become U+FFFD.
    Text,
    /// As a JSON array of messages.
    Json,
    /// As base64, which the field `stream-sse-data-encoding` announces.
    Base64,
}

impl Encoding {
    /// Returns the encoding for streams of this type.
    #[must_use]
    pub fn of(content_type: &ContentType) -> Self {
        if content_type.is_json() {
            Self::Json
        } else if content_type.is_text() {
            Self::Text
        } else {
            Self::Base64
        }
    }
}

/// Begins a data event. The first part must be written to the same `out`.
pub fn data_begin(out: &mut Vec<u8>, encoding: Encoding) {
    out.extend_from_slice(b"event: data");
    out.extend_from_slice(BREAK);
    if encoding == Encoding::Json {
        out.push(b'[');
    }
}

/// Appends bytes to a data event.
///
/// - `Text`: a part should end neither within a character nor between CR and LF, see
///   [`unfinished`].
/// - `Json`: messages as stored, each with its comma; the last part comes without the last comma.
/// - `Base64`: every part but the last is a multiple of 3 bytes long.
pub fn data_part(out: &mut Vec<u8>, encoding: Encoding, bytes: &[u8]) {
    match encoding {
        Encoding::Base64 => base64_part(out, bytes),
        Encoding::Json => lines(out, bytes),
        Encoding::Text => lines(out, String::from_utf8_lossy(bytes).as_bytes()),
    }
}

/// Ends a data event.
pub fn data_end(out: &mut Vec<u8>, encoding: Encoding) {
    if encoding == Encoding::Json {
        out.push(b']');
    }
    out.extend_from_slice(b"\n\n");
}

fn base64_part(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    let length = base64::encoded_len(bytes.len(), true).unwrap_or_default();
    out.resize(start.saturating_add(length), 0);
    if let Some(room) = out.get_mut(start..) {
        // The buffer has exactly the size that the encoder needs.
        let written = STANDARD.encode_slice(bytes, room).unwrap_or_default();
        out.truncate(start.saturating_add(written));
    }
}

/// Writes text, with a new `data:` line after each CR, LF and CRLF.
fn lines(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    while !rest.is_empty() {
        // A reader drops one space after the colon, so a line that begins with a space needs
        // another. Only this encoder writes an LF, so the suffix means that the line has just
        // begun.
        if rest.first() == Some(&b' ') && out.ends_with(BREAK) {
            out.push(b' ');
        }
        let length = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let (line, after) = rest
            .split_at_checked(length.unwrap_or(rest.len()))
            .unwrap_or((rest, b""));
        out.extend_from_slice(line);
        rest = match after {
            [b'\r', b'\n', after @ ..] | [b'\r' | b'\n', after @ ..] => {
                out.extend_from_slice(BREAK);
                if after.is_empty() {
                    // The next part may begin with a space and may be written to another buffer.
                    out.push(b' ');
                }
                after
            }
            _ => after,
        };
    }
}

/// A control event, split at the place of the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// The event up to the cursor's decimal digits, or the whole event if it has no cursor.
    pub before: Vec<u8>,
    /// The event after the digits; empty if it has no cursor.
    pub after: Vec<u8>,
}

/// Returns a control event, which follows a data event or stands alone. For a closed stream, it has
/// no cursor and is up to date. `closed` has the reason of the close, if there is one.
#[must_use]
pub fn control(next_offset: &str, up_to_date: bool, closed: Option<Option<&str>>) -> Control {
    let mut before = b"event: control\ndata:{\"streamNextOffset\":".to_vec();
    // A string always serializes.
    before.extend(serde_json::to_vec(next_offset).unwrap_or_default());
    if let Some(reason) = closed {
        before.extend_from_slice(b",\"upToDate\":true,\"streamClosed\":true");
        if let Some(reason) = reason {
            before.extend_from_slice(b",\"streamClosedReason\":");
            before.extend(serde_json::to_vec(reason).unwrap_or_default());
        }
        before.extend_from_slice(b"}\n\n");
        return Control {
            before,
            after: Vec::new(),
        };
    }
    before.extend_from_slice(b",\"streamCursor\":\"");
    let after: &[u8] = match up_to_date {
        true => b"\",\"upToDate\":true}\n\n",
        false => b"\"}\n\n",
    };
    Control {
        before,
        after: after.to_vec(),
    }
}

/// Returns the number of bytes (0 to 3) at the end that are the beginning of an incomplete UTF-8
/// sequence.
#[must_use]
pub fn dangling(bytes: &[u8]) -> usize {
    let (_, end) = bytes
        .split_at_checked(bytes.len().saturating_sub(3))
        .unwrap_or((b"", bytes));
    // Bytes before the start of the last sequence do not affect how that sequence is decoded.
    let begins = |byte: &u8| byte & 0xc0 != 0x80;
    let last = end
        .iter()
        .rposition(begins)
        .and_then(|start| end.get(start..));
    let cut_short = |tail: &&[u8]| is_begun(tail);
    last.filter(cut_short).map_or(0, <[u8]>::len)
}

/// Whether the bytes are valid so far, and the last sequence is incomplete.
fn is_begun(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

/// Returns the number of bytes at the end that a text part should leave for the next part, if more
/// bytes of the stream follow: an incomplete sequence ([`dangling`]) or a CR.
#[must_use]
pub fn unfinished(bytes: &[u8]) -> usize {
    match bytes.last() {
        Some(b'\r') => 1,
        _ => dangling(bytes),
    }
}

#[cfg(test)]
mod tests;
