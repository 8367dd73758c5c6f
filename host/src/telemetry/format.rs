//! Lines of the log, as JSON or as text.

use super::fields::Fields;
use super::within::Within;
use serde_json::{Map, Value};
use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::Level;

/// Format of the log's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// Text if standard error is a terminal, else JSON
    #[default]
    Auto,
    /// Text for people
    Text,
    /// One JSON object a line
    Json,
}

/// A line of the host outside of any request.
pub(super) fn host_line(level: Level, event: &str, detail: &str, is_text: bool) -> String {
    let fields = Fields {
        event: Some(event.to_owned()),
        detail: Some(detail.to_owned()),
        ..Fields::default()
    };
    event_line(level, None, fields, &Within::default(), is_text)
}

/// A line for an event of the host, or of the library with this target.
pub(super) fn event_line(
    level: Level,
    target: Option<&str>,
    fields: Fields,
    within: &Within,
    is_text: bool,
) -> String {
    let mut line = fields.others;
    line.insert("level".to_owned(), name(level).into());
    line.insert("time_ms".to_owned(), now_ms().into());
    line.insert("ds.component".to_owned(), target.unwrap_or("host").into());
    if let Some(event) = fields.event {
        line.insert("ds.event".to_owned(), event.into());
    }
    if let Some(detail) = fields.detail {
        line.insert("error.message".to_owned(), detail.into());
    }
    add(&mut line, within);
    print(line, is_text)
}

/// A line that an instance wrote. Within a request it gets the fields of the request.
pub(super) fn component_line(line: &str, within: &Within, is_text: bool) -> String {
    if !is_text && within.span.is_none() && line.starts_with('{') {
        return format!("{line}\n");
    }
    let mut fields = serde_json::from_str(line).unwrap_or_else(|_| plain(line));
    add(&mut fields, within);
    print(fields, is_text)
}

/// Fields of a line that is no JSON object: the runtime of the instance wrote it.
fn plain(line: &str) -> Map<String, Value> {
    let fields = [
        ("level", name(Level::ERROR).into()),
        ("time_ms", now_ms().into()),
        ("ds.component", "instance".into()),
        ("error.message", line.into()),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value));
    fields.into_iter().collect()
}

fn add(line: &mut Map<String, Value>, within: &Within) {
    if let Some(span) = &within.span {
        line.insert("trace_id".to_owned(), span.trace_id().to_string().into());
        line.insert("span_id".to_owned(), span.span_id().to_string().into());
    }
    if let Some(request) = &within.request {
        line.insert("ds.request".to_owned(), request.operation.into());
    }
}

fn print(line: Map<String, Value>, is_text: bool) -> String {
    match is_text {
        true => text(line),
        false => format!("{}\n", Value::Object(line)),
    }
}

/// Time, level, event and message, and then the other fields with their names.
fn text(mut line: Map<String, Value>) -> String {
    let mut take = |name| line.remove(name).map(plain_text);
    let time = take("time_ms").and_then(|text| text.parse().ok());
    let time = time_text(time.unwrap_or_else(now_ms));
    let level = take("level").unwrap_or_default().to_uppercase();
    let words = ["ds.event", "ds.operation", "error.message"].map(&mut take);
    let words: Vec<String> = words
        .into_iter()
        .flatten()
        .filter(|word| !word.is_empty())
        .collect();
    let mut text = format!("{time} {level:5} {}", words.join(": "));
    // Most lines are the host's.
    line.retain(|name, value| name != "ds.component" || value != "host");
    for (name, value) in line {
        // Writing to a string does not fail.
        let _ = write!(text, " {name}={}", plain_text(value));
    }
    let mut text = printable(&text);
    text.push('\n');
    text
}

fn plain_text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// Escapes control characters: a client may have chosen the text, and a terminal obeys them.
fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() {
            true => printable.extend(character.escape_default()),
            false => printable.push(character),
        }
    }
    printable
}

fn name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// Milliseconds since 1970.
fn now_ms() -> u64 {
    let age = SystemTime::now().duration_since(UNIX_EPOCH);
    age.map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
}

fn time_text(ms: u64) -> String {
    let time = OffsetDateTime::UNIX_EPOCH.checked_add(
        time::Duration::try_from(Duration::from_millis(ms)).unwrap_or(time::Duration::ZERO),
    );
    let text = time.and_then(|time| time.format(&Rfc3339).ok());
    text.unwrap_or_else(|| ms.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_of_an_instance_without_a_span_is_passed_on_as_it_is() {
        let line = r#"{"level":"info","ds.operation":"append"}"#;
        let passed = component_line(line, &Within::default(), false);
        assert_eq!(passed, format!("{line}\n"));
    }

    #[test]
    fn every_line_is_one_json_object_also_the_message_of_a_panic() {
        let lines = [
            component_line("thread panicked at x", &Within::default(), false),
            host_line(Level::WARN, "e", "a\nb", false),
        ];
        for (line, level) in lines.iter().zip(["error", "warn"]) {
            assert_eq!(line.matches('\n').count(), 1, "{line}");
            let line: Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(line["level"], level);
        }
    }

    #[test]
    fn a_text_line_has_time_level_and_message_and_no_control_characters() {
        let line = json!({
            "time_ms": 1_700_000_000_123_u64,
            "level": "warn",
            "error.message": "bad \u{1b}[31m",
            "url.path": "/s",
        });
        let line = component_line(&line.to_string(), &Within::default(), true);
        let expected = "2023-11-14T22:13:20.123Z WARN  bad \\u{1b}[31m url.path=/s\n";
        assert_eq!(line, expected);
    }
}
