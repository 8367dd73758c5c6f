//! Requests to webhooks.

use super::recorder::Meters;
use super::table::{WEBHOOK_DURATION, WEBHOOKS};
use http::StatusCode;
use metrics::{Counter, Histogram};
use std::time::Instant;

/// Metrics of requests to webhooks.
#[derive(Debug)]
pub(crate) struct WebhookMeters {
    /// The counts for the classes 2xx to 5xx.
    classes: [Counter; 4],
    other: Counter,
    failed: Counter,
    duration: Histogram,
}

/// A request under way. If it is dropped without a response, it failed.
#[derive(Debug)]
pub(crate) struct Posting<'a> {
    meters: &'a WebhookMeters,
    at: Instant,
    answered: bool,
}

impl WebhookMeters {
    /// Handles of the metrics.
    pub(crate) fn new(meters: &Meters) -> Self {
        let counter = |result| meters.counter(&WEBHOOKS, &[result]);
        Self {
            classes: ["2xx", "3xx", "4xx", "5xx"].map(counter),
            other: counter("other"),
            failed: counter("failed"),
            duration: meters.histogram(&WEBHOOK_DURATION, &[]),
        }
    }

    /// Counts nothing.
    pub(crate) const fn none() -> Self {
        Self {
            classes: [const { Counter::noop() }; 4],
            other: Counter::noop(),
            failed: Counter::noop(),
            duration: Histogram::noop(),
        }
    }

    /// Begins a request.
    pub(crate) fn begin(&self) -> Posting<'_> {
        Posting {
            meters: self,
            at: Instant::now(),
            answered: false,
        }
    }
}

impl Posting<'_> {
    /// Counts the response.
    pub(crate) fn answered(mut self, status: StatusCode) {
        self.answered = true;
        let class = usize::from(status.as_u16() / 100).checked_sub(2);
        let counter = class.and_then(|class| self.meters.classes.get(class));
        counter.unwrap_or(&self.meters.other).increment(1);
        self.meters.duration.record(self.at.elapsed());
    }
}

impl Drop for Posting<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.meters.failed.increment(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_by_its_status_or_as_failed() {
        let meters = Meters::new();
        let webhooks = WebhookMeters::new(&meters);
        webhooks.begin().answered(StatusCode::NO_CONTENT);
        webhooks.begin().answered(StatusCode::BAD_GATEWAY);
        drop(webhooks.begin());
        let text = meters.render();
        for (result, count) in [("2xx", 1), ("3xx", 0), ("5xx", 1), ("failed", 1)] {
            let line = format!("durable_streams_webhooks_total{{result=\"{result}\"}} {count}\n");
            assert!(text.contains(&line), "{line}: {text}");
        }
    }
}
