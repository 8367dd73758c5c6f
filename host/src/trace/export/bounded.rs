//! The bound on spans that wait for their export.

use super::counted::{dropped, waiting};
use crate::trace::step::IDLE;
use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchSpanProcessor, Span, SpanData, SpanProcessor};
use std::time::Duration;

/// Drops spans while too many wait, and spans of background work that found nothing to do.
#[derive(Debug)]
pub(super) struct Bounded {
    batches: BatchSpanProcessor,
    most: usize,
}

impl Bounded {
    pub(super) const fn new(batches: BatchSpanProcessor, most: usize) -> Self {
        Self { batches, most }
    }
}

impl SpanProcessor for Bounded {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        let is_idle = span.attributes.iter().any(|one| one.key.as_str() == IDLE);
        if is_idle || !span.span_context.is_sampled() {
            return;
        }
        match waiting(self.most) {
            true => self.batches.on_end(span),
            false => dropped(),
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}
