//! Fields of events and lines.

use serde_json::{Map, Value};
use std::fmt::Debug;
use tracing::field::{Field, Visit};

/// The level that a line of the component names. The line has the field at its top level only: within
/// a string its quotes would be escaped.
pub(super) fn level(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(r#""level":""#)?;
    rest.split_once('"').map(|(level, _)| level)
}

/// The fields of one event.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// Name of a host's event.
    pub(super) event: Option<String>,
    /// The detail of a host's event, or the message of another library's.
    pub(super) detail: Option<String>,
    /// The line of an instance.
    pub(super) line: Option<String>,
    /// Other fields, of other libraries.
    pub(super) others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.others.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        let value = value.to_owned();
        match field.name() {
            "event" => self.event = Some(value),
            "detail" | "message" => self.detail = Some(value),
            "line" => self.line = Some(value),
            _ => self.put(field, value.into()),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_of_a_line_is_its_field_and_not_a_text_within_another_field() {
        let line = serde_json::json!({ "a": r#""level":"error""#, "level": "info" }).to_string();
        assert_eq!(level(&line), Some("info"));
        assert_eq!(level("thread panicked"), None);
    }
}
