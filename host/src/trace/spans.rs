//! Spans of requests, store calls and webhooks.

use super::cause::{Cause, InBackground};
use super::headers::extract;
use super::switch::{TARGET, is_on};
use crate::telemetry::RequestFields;
use http::{Method, Request, StatusCode, Version};
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use tracing::field::Empty;
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The span of a request, as an extension of the request.
#[derive(Debug, Clone)]
pub(crate) struct RequestSpan(Span);

impl RequestSpan {
    /// The span as the cause of the request's steps.
    pub(super) fn cause(&self) -> Cause {
        Cause(Some(self.0.context()))
    }
}

/// Begins the span of a request, and adds it to the request. The span continues the caller's trace.
pub(crate) fn request<B>(request: &mut Request<B>, operation: &'static str) -> Span {
    let span = info_span!(
        target: TARGET,
        parent: None,
        "request",
        otel.name = operation,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = request.method().as_str(),
        http.response.status_code = Empty,
        url.path = request.uri().path(),
        network.protocol.version = protocol_version(request.version()),
    );
    let context = extract(request.headers()).with_value(RequestFields { operation });
    // The span did not start yet, so it can get a parent.
    let _ = span.set_parent(context);
    request.extensions_mut().insert(RequestSpan(span.clone()));
    span
}

/// The version as OpenTelemetry names it.
const fn protocol_version(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}

/// Records the status of a response, or that there was none.
pub(crate) fn answered(span: &Span, status: Option<StatusCode>) {
    if span.is_disabled() {
        return;
    }
    if let Some(status) = status {
        span.record("http.response.status_code", status.as_u16());
    }
    if status.is_none_or(|status| status.is_server_error()) {
        span.record("otel.status_code", "ERROR");
    }
}

/// Begins the span of a request to a webhook.
pub(crate) fn webhook(method: &Method, host: &str, port: u16) -> Span {
    if !is_on() {
        return Span::none();
    }
    info_span!(
        target: TARGET,
        "webhook",
        otel.kind = "client",
        otel.status_code = Empty,
        http.request.method = method.as_str(),
        http.response.status_code = Empty,
        server.address = host,
        server.port = port,
    )
}

/// Span of a call of the store, while it runs.
#[derive(Debug)]
pub(crate) struct StoreSpan(Option<Span>);

impl StoreSpan {
    /// Begins a span within a sampled step. Background work, which reads much in vain, has none.
    pub(crate) fn begin(call: &'static str) -> Self {
        let is_traced = |context: &Context| {
            let span = context.span();
            span.span_context().is_sampled() && context.get::<InBackground>().is_none()
        };
        if !is_on() || !Context::map_current(is_traced) {
            return Self(None);
        }
        Self(Some(info_span!(
            target: TARGET,
            "store",
            otel.name = call,
            ds.result = Empty,
        )))
    }

    /// Ends the span with the result of the call.
    pub(crate) fn end(self, result: &'static str) {
        if let Some(span) = self.0 {
            span.record("ds.result", result);
        }
    }
}
