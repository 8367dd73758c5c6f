//! Counts of spans, and the log of a collector that can't be reached.

use crate::telemetry;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Spans by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SpanCounts {
    /// Spans that the collector took.
    pub(crate) exported: u64,
    /// Spans of exports that failed.
    pub(crate) failed: u64,
    /// Spans without room in the queue.
    pub(crate) dropped: u64,
}

// A process has one export.
static EXPORTED: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);
static DROPPED: AtomicU64 = AtomicU64::new(0);
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// The spans since the start of the process.
pub(crate) fn counts() -> SpanCounts {
    SpanCounts {
        exported: EXPORTED.load(Ordering::Relaxed),
        failed: FAILED.load(Ordering::Relaxed),
        dropped: DROPPED.load(Ordering::Relaxed),
    }
}

/// Counts a span as waiting, unless `most` wait already.
pub(super) fn waiting(most: usize) -> bool {
    let has_room = WAITING.fetch_add(1, Ordering::Relaxed) < most;
    if !has_room {
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
    has_room
}

/// Counts a span without room.
pub(super) fn dropped() {
    DROPPED.fetch_add(1, Ordering::Relaxed);
}

/// Counts the spans of another exporter, and logs the first failure of several.
#[derive(Debug)]
pub(super) struct Counted<E> {
    exporter: E,
    fails: AtomicBool,
}

impl<E> Counted<E> {
    pub(super) const fn new(exporter: E) -> Self {
        Self {
            exporter,
            fails: AtomicBool::new(false),
        }
    }

    fn judge(&self, result: &OTelSdkResult, spans: u64) {
        let count = match result {
            Ok(()) => &EXPORTED,
            Err(_) => &FAILED,
        };
        count.fetch_add(spans, Ordering::Relaxed);
        let failed_before = self.fails.swap(result.is_err(), Ordering::Relaxed);
        match result {
            Err(error) if !failed_before => telemetry::warn("spans not exported", &reason(error)),
            Ok(()) if failed_before => telemetry::back("the export of spans"),
            _ => {}
        }
    }
}

fn reason(error: &OTelSdkError) -> String {
    match error {
        OTelSdkError::InternalFailure(reason) => reason.clone(),
        other => other.to_string(),
    }
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        WAITING.fetch_sub(spans, Ordering::Relaxed);
        let result = self.exporter.export(batch).await;
        self.judge(&result, spans as u64);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
