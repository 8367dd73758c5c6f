//! The context that caused a piece of work.

use super::switch::is_on;
use opentelemetry::context::{FutureExt, WithContext};
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, ContextGuard};

/// Marks the context of background work.
#[derive(Debug)]
pub(super) struct InBackground;

/// The span that caused a piece of work, which may have ended. None while tracing is off.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cause(pub(super) Option<Context>);

impl Cause {
    /// No cause.
    pub(crate) const NONE: Self = Self(None);

    /// The span that this thread is in.
    pub(crate) fn current() -> Self {
        if !is_on() {
            return Self::NONE;
        }
        let active = |context: &Context| context.has_active_span().then(|| context.clone());
        Self(Context::map_current(active))
    }

    /// Makes the cause this thread's current span, until the guard is dropped.
    pub(crate) fn enter(&self) -> Option<ContextGuard> {
        self.0.clone().map(Context::attach)
    }

    /// Runs a future with this cause.
    pub(crate) fn scope<F: Future>(self, future: F) -> WithContext<F> {
        future.with_context(self.0.unwrap_or_default())
    }

    pub(super) fn is_sampled(&self) -> bool {
        let context = self.0.as_ref();
        context.is_some_and(|context| context.span().span_context().is_sampled())
    }
}
