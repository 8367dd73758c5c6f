//! Spans of steps, and of what follows them.

use super::cause::{Cause, InBackground};
use super::spans::RequestSpan;
use super::switch::{TARGET, is_on};
use http::request::Parts;
use opentelemetry::ContextGuard;
use tracing::field::Empty;
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Name of the attribute that keeps a span from being exported.
pub(super) const IDLE: &str = "ds.idle";

/// The causes of one step: several if requests started together. The first one that is sampled comes
/// first, and has the details.
#[derive(Debug, Default)]
pub(crate) struct Causes(Vec<Cause>);

impl Causes {
    /// The cause of a step for one client.
    pub(crate) fn one(cause: Cause) -> Self {
        match cause.0 {
            Some(_) => Self(vec![cause]),
            None => Self(Vec::new()),
        }
    }

    /// The requests that start together.
    pub(crate) fn requests<'a>(requests: impl Iterator<Item = &'a Parts>) -> Self {
        if !is_on() {
            return Self(Vec::new());
        }
        let spans = requests.filter_map(|parts| parts.extensions.get::<RequestSpan>());
        let mut causes: Vec<_> = spans.map(RequestSpan::cause).collect();
        causes.sort_by_key(|cause| !cause.is_sampled());
        Self(causes)
    }

    /// Makes the first cause this thread's current span, until the guard is dropped.
    pub(crate) fn enter(&self) -> Option<ContextGuard> {
        self.0.first().and_then(Cause::enter)
    }

    /// Runs a step of this kind in a span. Each sampled request has a span for the step.
    pub(crate) fn step<T>(&self, kind: &'static str, step: impl FnOnce() -> T) -> T {
        let spans = self.spans(
            || info_span!(target: TARGET, "step", otel.name = kind, ds.requests = self.0.len()),
        );
        // Lines of a step without a span join the request that is not sampled.
        let _cause = self.enter();
        let _entered = spans.first().map(Span::enter);
        step()
    }

    /// Begins the spans of a wait for the disk.
    pub(crate) fn settling(&self) -> Waiting {
        Waiting(self.spans(|| info_span!(target: TARGET, "settle")))
    }

    /// Begins the spans of a load of values from the disk.
    pub(crate) fn loading(&self, keys: usize) -> Waiting {
        Waiting(self.spans(|| info_span!(target: TARGET, "load", ds.keys = keys)))
    }

    fn spans(&self, span: impl Fn() -> Span) -> Vec<Span> {
        let sampled = self.0.iter().filter(|cause| cause.is_sampled());
        let span = |cause: &Cause| {
            let _entered = cause.enter();
            span()
        };
        sampled.map(span).collect()
    }
}

/// The spans of a wait, until they are dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Waiting(#[expect(dead_code, reason = "dropped at the end")] Vec<Span>);

/// Span of a piece of background work. It is exported only if there was something to do.
#[derive(Debug)]
pub(crate) struct Work(Span);

impl Work {
    /// Begins a trace for a piece of work.
    pub(crate) fn begin() -> Self {
        if !is_on() {
            return Self(Span::none());
        }
        Self(info_span!(target: TARGET, parent: None, "work", ds.idle = Empty))
    }

    /// The span as the cause of the spans and webhooks that follow.
    pub(crate) fn cause(&self) -> Cause {
        match self.0.is_disabled() {
            true => Cause::NONE,
            false => Cause(Some(self.0.context().with_value(InBackground))),
        }
    }

    /// Ends the span.
    pub(crate) fn end(self, found: bool) {
        if !found {
            self.0.record(IDLE, true);
        }
    }
}
