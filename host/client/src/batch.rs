//! Data of a read.

use crate::Offset;
use bytes::Bytes;
use serde_json::value::RawValue;

/// The close of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Closed {
    /// Reason of the close, where the server has the extension `close-reasons` and a reason was
    /// given.
    pub reason: Option<String>,
}

impl Closed {
    pub(crate) fn because(&self) -> String {
        let reason = self.reason.as_ref();
        reason.map_or_else(String::new, |reason| format!(" ({reason})"))
    }
}

/// Form of a stream's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// A sequence of JSON messages (`application/json`).
    Json,
    /// Text (`text/*`).
    Text,
    /// Any other bytes.
    Binary,
}

impl Format {
    /// Returns the format of a content type. Its case and parameters do not count.
    #[must_use]
    pub fn of(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/json") {
            return Self::Json;
        }
        let major = essence.split('/').next().unwrap_or_default();
        match major.eq_ignore_ascii_case("text") {
            true => Self::Text,
            false => Self::Binary,
        }
    }
}

/// Data of one step of a read, in order and without gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Bytes of the stream. Of a JSON stream, one JSON array with all messages of the batch.
    pub data: Bytes,
    /// Form of the data.
    pub format: Format,
    /// Offset after the data: a read resumes there.
    pub next_offset: Offset,
    /// Whether the data reached the tail of the stream.
    pub up_to_date: bool,
    /// The close, if the stream is closed and the data reached its end.
    pub closed: Option<Closed>,
}

impl Batch {
    /// Whether the batch has no data. Such a batch reports the tail or the close.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self.format {
            Format::Json => {
                let text = self.data.trim_ascii();
                let inner = text
                    .strip_prefix(b"[")
                    .and_then(|text| text.strip_suffix(b"]"));
                inner.unwrap_or(text).trim_ascii().is_empty()
            }
            Format::Text | Format::Binary => self.data.is_empty(),
        }
    }

    /// The messages of a JSON stream, each as it was written.
    ///
    /// # Errors
    ///
    /// If the data is no JSON array, as in a batch of another format.
    pub fn messages(&self) -> Result<Vec<&RawValue>, serde_json::Error> {
        match self.data.is_empty() {
            true => Ok(Vec::new()),
            false => serde_json::from_slice(&self.data),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(format: Format, data: &'static str) -> Batch {
        Batch {
            data: Bytes::from_static(data.as_bytes()),
            format,
            next_offset: Offset::new("1"),
            up_to_date: true,
            closed: None,
        }
    }

    #[test]
    fn the_format_ignores_case_and_parameters() {
        assert_eq!(Format::of("Application/JSON; charset=utf-8"), Format::Json);
        assert_eq!(Format::of("application/json-seq"), Format::Binary);
        assert_eq!(Format::of("TEXT/plain"), Format::Text);
        assert_eq!(Format::of(""), Format::Binary);
    }

    #[test]
    fn messages_keep_their_bytes() {
        let batch = batch(Format::Json, r#"[{"b":1.0,"a":[ 1e2 ]}, "x"]"#);
        let messages = batch.messages().unwrap();
        let texts: Vec<&str> = messages.iter().map(|message| message.get()).collect();
        assert_eq!(texts, [r#"{"b":1.0,"a":[ 1e2 ]}"#, r#""x""#]);
    }

    #[test]
    fn an_array_without_messages_is_empty() {
        for data in ["", "[]", " [ ]\n"] {
            assert!(batch(Format::Json, data).is_empty(), "{data:?}");
        }
        for data in ["[0]", "[[]]", "[ \"\" ]"] {
            assert!(!batch(Format::Json, data).is_empty(), "{data:?}");
        }
        assert!(!batch(Format::Text, "[]").is_empty());
    }
}
