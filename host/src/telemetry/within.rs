//! The span and the request that a line belongs to.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};

/// Fields of a request that the lines within it carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestFields {
    /// The operation, as in metrics.
    pub(crate) operation: &'static str,
}

/// The span that an event belongs to, and the span's request.
#[derive(Debug, Default)]
pub(super) struct Within {
    pub(super) span: Option<SpanContext>,
    pub(super) request: Option<RequestFields>,
}

impl Within {
    /// The span of this thread.
    pub(super) fn current() -> Self {
        Context::map_current(|context| Self {
            span: context
                .has_active_span()
                .then(|| context.span().span_context().clone()),
            request: context.get().copied(),
        })
    }
}
