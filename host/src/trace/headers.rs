//! The fields `traceparent` and `tracestate` of W3C Trace Context.

use super::switch::is_on;
use http::{HeaderMap, HeaderName};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::{Context, trace::TraceContextExt};
use opentelemetry_http::HeaderInjector;
use opentelemetry_sdk::propagation::TraceContextPropagator;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The context of a request's caller. Invalid fields give an empty context, and the request then
/// begins a trace.
pub(super) fn extract(headers: &HeaderMap) -> Context {
    let propagator = TraceContextPropagator::new();
    propagator.extract_with_context(&Context::new(), &Received(headers))
}

/// Adds the context of this thread to a request to send.
pub(crate) fn inject(headers: &mut HeaderMap) {
    if !is_on() {
        return;
    }
    Context::map_current(|context| {
        if context.has_active_span() {
            let propagator = TraceContextPropagator::new();
            propagator.inject_context(context, &mut HeaderInjector(headers));
        }
    });
    // The propagator also sets an empty state.
    if headers
        .get(TRACESTATE)
        .is_some_and(|state| state.is_empty())
    {
        headers.remove(TRACESTATE);
    }
}

struct Received<'a>(&'a HeaderMap);

impl Extractor for Received<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.0.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        match name {
            // The propagator accepts ids of other lengths.
            TRACEPARENT => (values.next().is_none() && is_well_formed(value)).then_some(value),
            _ => Some(value),
        }
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

/// Whether the first four parts of `traceparent` have their lengths and are lower-case hexadecimal.
/// Later versions may add parts.
fn is_well_formed(traceparent: &str) -> bool {
    let is_hex = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    let mut parts = traceparent.split('-');
    [2, 32, 16, 2].iter().all(|length| {
        let part = parts.next().unwrap_or_default();
        part.len() == *length && part.bytes().all(is_hex)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).expect("a value"));
        }
        headers
    }

    #[test]
    fn a_valid_traceparent_is_the_parent() {
        let context = extract(&headers(&[(TRACEPARENT, VALID), ("tracestate", "a=1,b=2")]));
        let span = context.span().span_context().clone();
        assert_eq!(
            span.trace_id().to_string(),
            "4bf92f3577b34da6a3ce929d0e0e4736"
        );
        assert!(span.is_remote() && span.is_sampled());
        assert_eq!(span.trace_state().header(), "a=1,b=2");
    }

    #[test]
    fn invalid_fields_are_ignored() {
        for value in [
            "",
            "00-4bf9-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        ] {
            let context = extract(&headers(&[(TRACEPARENT, value)]));
            assert!(!context.has_active_span(), "{value}");
        }
        let twice = [(TRACEPARENT, VALID), (TRACEPARENT, VALID)];
        assert!(!extract(&headers(&twice)).has_active_span());
        let bad_state = extract(&headers(&[(TRACEPARENT, VALID), ("tracestate", "=")]));
        assert!(bad_state.has_active_span());
    }
}
