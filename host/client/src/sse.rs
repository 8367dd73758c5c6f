//! Parser of server-sent events (WHATWG HTML, section 9.2), for the events of the protocol.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;

/// Content type of the response.
pub(crate) const MEDIA_TYPE: &str = "text/event-stream";

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// Type of the event; empty if it has none.
    pub(crate) kind: Vec<u8>,
    /// The data lines, joined by LF.
    pub(crate) data: Vec<u8>,
}

/// Parser that takes the response in parts of any size.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// Whether the last byte was a CR, which may belong to a CRLF.
    after_cr: bool,
    kind: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// Whether a line ended already. Only the first line may begin with a byte order mark.
    is_begun: bool,
}

impl Parser {
    /// Takes the next part, and returns the events that it completes.
    pub(crate) fn push(&mut self, part: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for byte in part {
            match byte {
                b'\n' if self.after_cr => self.after_cr = false,
                b'\n' | b'\r' => {
                    self.after_cr = *byte == b'\r';
                    events.extend(self.end_line());
                }
                _ => {
                    self.after_cr = false;
                    self.line.push(*byte);
                }
            }
        }
        events
    }

    fn end_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        let line: &[u8] = match line.strip_prefix(b"\xEF\xBB\xBF") {
            Some(rest) if !self.is_begun => rest,
            _ => &line,
        };
        self.is_begun = true;
        if line.is_empty() {
            let kind = std::mem::take(&mut self.kind);
            let data = std::mem::take(&mut self.data);
            return std::mem::take(&mut self.has_data).then_some(Event { kind, data });
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = match colon.and_then(|at| line.split_at_checked(at)) {
            Some((field, value)) => (field, value.strip_prefix(b":").unwrap_or(value)),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => self.kind = value.to_vec(),
            b"data" => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.has_data = true;
                self.data.extend_from_slice(value);
            }
            // Comments, and fields that the protocol does not use.
            _ => {}
        }
        None
    }
}

/// A control event.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Control {
    pub(crate) stream_next_offset: String,
    #[serde(default)]
    pub(crate) stream_cursor: Option<String>,
    #[serde(default)]
    pub(crate) up_to_date: bool,
    #[serde(default)]
    pub(crate) stream_closed: bool,
    #[serde(default)]
    pub(crate) stream_closed_reason: Option<String>,
}

/// Decodes the data of a binary stream, without its line breaks.
pub(crate) fn decode_base64(text: &[u8]) -> Result<Bytes, base64::DecodeError> {
    let text: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !matches!(byte, b'\r' | b'\n'))
        .collect();
    STANDARD.decode(text).map(Bytes::from)
}

/// Whether a text that came by SSE is certainly the text of the stream. SSE turns CR and CRLF into
/// LF, and servers replace bytes that are not UTF-8 by U+FFFD.
pub(crate) fn is_exact(text: &[u8]) -> bool {
    let has_break = text.contains(&b'\n');
    let has_replacement = text.windows(3).any(|window| window == [0xEF, 0xBF, 0xBD]);
    !has_break && !has_replacement
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, data: &str) -> Event {
        Event {
            kind: kind.into(),
            data: data.into(),
        }
    }

    const TEXT: &[u8] = b"\xEF\xBB\xBF: hello\nevent: data\ndata:a\r\ndata:  b\rdata\n\n\
        event:control\ndata: {\"x\":1}\nid: 7\n\r\n:\n\nevent: data\ndata: cut";

    #[test]
    fn events_are_the_same_wherever_the_response_is_cut() {
        let expected = [event("data", "a\n b\n"), event("control", "{\"x\":1}")];
        for first in 0..TEXT.len() {
            for second in first..TEXT.len() {
                let mut parser = Parser::default();
                let mut events = parser.push(&TEXT[..first]);
                events.extend(parser.push(&TEXT[first..second]));
                events.extend(parser.push(&TEXT[second..]));
                assert_eq!(events, expected, "{first} {second}");
            }
        }
    }

    #[test]
    fn an_event_without_data_is_none() {
        assert_eq!(Parser::default().push(b"event: data\n\n\n\n"), []);
        let empty = Parser::default().push(b"event: data\ndata:\n\n");
        assert_eq!(empty, [event("data", "")]);
    }

    #[test]
    fn base64_may_have_line_breaks() {
        assert_eq!(
            decode_base64(b"AQID\nBAUG\r\n").unwrap(),
            &[1, 2, 3, 4, 5, 6][..]
        );
        assert_eq!(decode_base64(b"").unwrap(), &[][..]);
        assert!(decode_base64(b"AQI").is_err());
    }

    #[test]
    fn text_with_line_breaks_or_replacements_may_have_been_changed() {
        assert!(is_exact("caf\u{e9} \u{1F600}".as_bytes()));
        assert!(!is_exact(b"a\nb"));
        assert!(!is_exact("a\u{FFFD}".as_bytes()));
    }
}
