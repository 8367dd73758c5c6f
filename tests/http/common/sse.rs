//! Server-sent events, read as a browser reads them.

use super::client::{Connection, End};
use serde_json::Value;

/// A dispatched event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: String,
}

impl Event {
    /// Requires a control event and reads it.
    #[track_caller]
    pub(crate) fn control(&self) -> Control {
        assert_eq!(self.name, "control", "{self:?}");
        let value: Value = serde_json::from_str(&self.data).expect("control events are JSON");
        let flag = |name: &str| {
            value
                .get(name)
                .map(|value| value.as_bool().unwrap_or_default())
        };
        assert_ne!(flag("upToDate"), Some(false), "{self:?}");
        assert_ne!(flag("streamClosed"), Some(false), "{self:?}");
        let offset = value["streamNextOffset"].as_str();
        Control {
            next_offset: offset
                .expect("every control event has an offset")
                .to_owned(),
            cursor: value.get("streamCursor").map(|cursor| {
                let cursor = cursor.as_str().expect("a cursor is a string");
                cursor.parse().expect("a cursor is decimal")
            }),
            up_to_date: flag("upToDate").is_some(),
            closed: flag("streamClosed").is_some(),
            reason: value["streamClosedReason"].as_str().map(str::to_owned),
        }
    }

    /// Requires a data event and returns its text.
    #[track_caller]
    pub(crate) fn data(&self) -> &str {
        assert_eq!(self.name, "data", "{self:?}");
        &self.data
    }
}

/// Content of a control event (section 5.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) next_offset: String,
    pub(crate) cursor: Option<u64>,
    pub(crate) up_to_date: bool,
    pub(crate) closed: bool,
    /// `streamClosedReason`, an extension.
    pub(crate) reason: Option<String>,
}

/// The next item in a stream of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    Event(Event),
    Comment(String),
    /// The response ended cleanly, between two events. After any other end, the test fails.
    End,
}

/// The events of one response.
#[derive(Debug)]
pub(crate) struct Events {
    connection: Connection,
    /// Bytes that arrived and are not yet whole lines.
    rest: Vec<u8>,
    name: String,
    data: Option<String>,
    over: bool,
}

impl Events {
    pub(crate) fn of(connection: Connection) -> Self {
        Self {
            connection,
            rest: Vec::new(),
            name: String::new(),
            data: None,
            over: false,
        }
    }

    /// The next event, skipping comments; None at the end.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Option<Event> {
        loop {
            match self.item() {
                Item::Event(event) => return Some(event),
                Item::Comment(_) => {}
                Item::End => return None,
            }
        }
    }

    /// The next event; the test fails if the response ends.
    #[track_caller]
    pub(crate) fn event(&mut self) -> Event {
        self.next().expect("another event")
    }

    /// The next data event and the control event that follows it.
    #[track_caller]
    pub(crate) fn pair(&mut self) -> (String, Control) {
        let data = self.event().data().to_owned();
        (data, self.event().control())
    }

    /// Events until one says that the reader is up to date; their data, in order.
    #[track_caller]
    pub(crate) fn until_up_to_date(&mut self) -> (Vec<String>, Control) {
        let mut data = Vec::new();
        loop {
            let event = self.event();
            if event.name == "data" {
                data.push(event.data);
                continue;
            }
            let control = event.control();
            if control.up_to_date || control.closed {
                return (data, control);
            }
        }
    }

    /// Requires that nothing more arrives.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        let next = self.next();
        assert_eq!(next, None, "the response should be over");
    }

    #[track_caller]
    pub(crate) fn item(&mut self) -> Item {
        loop {
            let Some(line) = self.line() else {
                assert_eq!(self.data, None, "the response ended inside an event");
                return Item::End;
            };
            if line.is_empty() {
                let name = std::mem::take(&mut self.name);
                if let Some(data) = self.data.take() {
                    return Item::Event(Event { name, data });
                }
                continue;
            }
            if let Some(comment) = line.strip_prefix(':') {
                return Item::Comment(comment.to_owned());
            }
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => self.name = value.to_owned(),
                "data" => match &mut self.data {
                    Some(data) => {
                        data.push('\n');
                        data.push_str(value);
                    }
                    None => self.data = Some(value.to_owned()),
                },
                other => panic!("an event has no field {other:?}: {line:?}"),
            }
        }
    }

    /// The next line, ended by CR, LF or CRLF; None at the end of the response.
    #[track_caller]
    fn line(&mut self) -> Option<String> {
        loop {
            let end = self
                .rest
                .iter()
                .position(|byte| matches!(byte, b'\n' | b'\r'));
            if let Some(end) = end {
                let cr = self.rest[end] == b'\r';
                // Only the next byte shows whether a CR is followed by an LF.
                if !cr || self.over || end + 1 < self.rest.len() {
                    let crlf = cr && self.rest.get(end + 1) == Some(&b'\n');
                    let line = self.rest[..end].to_vec();
                    self.rest.drain(..end + 1 + usize::from(crlf));
                    return Some(String::from_utf8(line).expect("events are UTF-8"));
                }
            }
            if self.over {
                assert!(self.rest.is_empty(), "the response ended inside a line");
                return None;
            }
            let (bytes, end) = self.connection.read_some().expect("more events come");
            self.rest.extend_from_slice(&bytes);
            match end {
                None => {}
                Some(End::Complete) => self.over = true,
                Some(End::CutOff) => panic!("the response was cut off"),
            }
        }
    }
}
