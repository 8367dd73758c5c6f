//! Parser of event streams.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SseEvent {
    pub(super) kind: String,
    pub(super) data: String,
}

/// Assembles events from the bytes of a response.
#[derive(Debug, Default)]
pub(super) struct Parser {
    rest: Vec<u8>,
}

impl Parser {
    /// The events that these bytes complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<SseEvent> {
        self.rest.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.rest.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.rest.drain(..end + 2).collect();
            events.extend(parse(&String::from_utf8_lossy(&block)));
        }
        events
    }
}

fn parse(block: &str) -> Option<SseEvent> {
    let mut kind = None;
    let mut data: Vec<&str> = Vec::new();
    for line in block.lines() {
        if let Some(value) = line.strip_prefix("event:") {
            kind = Some(value.trim().to_owned());
        } else if let Some(value) = line.strip_prefix("data:") {
            data.push(value.strip_prefix(' ').unwrap_or(value));
        }
    }
    kind.map(|kind| SseEvent {
        kind,
        data: data.join("\n"),
    })
}

/// The bytes of a data event in base64; its line breaks mean nothing.
pub(super) fn decode(data: &str) -> Option<Vec<u8>> {
    let text: String = data.chars().filter(|found| *found != '\n').collect();
    STANDARD.decode(text).ok()
}
