//! A collector of traces on this machine.

use super::receiver::{Received, Receiver};
use serde_json::Value;
use std::collections::BTreeMap;

/// A span that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) name: String,
    pub(crate) kind: u64,
    /// The times of the begin and the end, in nanoseconds since 1970.
    pub(crate) times: [u64; 2],
    pub(crate) attributes: BTreeMap<String, String>,
}

/// Takes spans over OTLP as JSON.
pub(crate) struct Collector {
    receiver: Receiver,
    spans: Vec<Span>,
}

impl Collector {
    pub(crate) fn start() -> Self {
        Self {
            receiver: Receiver::start("{}"),
            spans: Vec::new(),
        }
    }

    /// The variables of a server that exports spans to this collector without delay.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let endpoint = format!("http://127.0.0.1:{}", self.receiver.port());
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// The next request of the exporter.
    pub(crate) fn next(&self) -> Received {
        self.receiver.next()
    }

    /// Takes exports until a span fits, and returns all spans so far.
    #[track_caller]
    pub(crate) fn until(&mut self, fits: impl Fn(&Span) -> bool) -> &[Span] {
        while !self.spans.iter().any(&fits) {
            let received = self.receiver.next();
            assert_eq!(received.path, "/v1/traces");
            self.spans.extend(spans(&received.json()));
        }
        &self.spans
    }
}

fn spans(export: &Value) -> Vec<Span> {
    let each = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let resources = each(export, "resourceSpans");
    let scopes = resources.iter().flat_map(|one| each(one, "scopeSpans"));
    let spans = scopes.flat_map(|scope| each(&scope, "spans"));
    spans.map(|span| read(&span)).collect()
}

fn read(span: &Value) -> Span {
    let text = |name: &str| span[name].as_str().unwrap_or_default().to_owned();
    let time = |name: &str| text(name).parse().expect("a time");
    let attributes = span["attributes"].as_array().into_iter().flatten();
    let attributes = attributes.map(|one| {
        let value = one["value"]
            .as_object()
            .and_then(|value| value.values().next());
        let value = match value {
            Some(Value::String(text)) => text.clone(),
            other => other.map(ToString::to_string).unwrap_or_default(),
        };
        (one["key"].as_str().unwrap_or_default().to_owned(), value)
    });
    Span {
        trace: text("traceId"),
        id: text("spanId"),
        parent: text("parentSpanId"),
        name: text("name"),
        kind: span["kind"].as_u64().unwrap_or_default(),
        times: [time("startTimeUnixNano"), time("endTimeUnixNano")],
        attributes: attributes.collect(),
    }
}

/// The spans of a trace below a parent, as an indented tree with durations in microseconds.
pub(crate) fn tree(spans: &[Span], parent: &str, depth: usize) -> String {
    let mut children: Vec<_> = spans.iter().filter(|span| span.parent == parent).collect();
    children.sort_by_key(|span| span.times);
    let lines = children.into_iter().map(|span| {
        let [begin, end] = span.times;
        let micros = end.saturating_sub(begin) / 1000;
        let (indent, name) = ("  ".repeat(depth), &span.name);
        let below = tree(spans, &span.id, depth + 1);
        format!("{indent}{name} {micros} us {:?}\n{below}", span.attributes)
    });
    lines.collect()
}
