//! Steps of instances, and background work.

use super::recorder::Meters;
use super::table::{BACKGROUND_PIECES, INSTANCES, INSTANCES_STARTED, STEP_DURATION, STEPS_FAILED};
use metrics::{Counter, Gauge, Histogram};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Metrics of all instances of a server.
pub(crate) struct StepMeters {
    pub(crate) start: Histogram,
    pub(crate) resume: Histogram,
    pub(crate) delivered: Histogram,
    pub(crate) work: Histogram,
    pub(crate) failed: Counter,
    pub(crate) started: Counter,
    pub(crate) instances: Gauge,
    worked: Counter,
    idle: Counter,
    begun: Instant,
    /// When background work last found nothing to do: milliseconds since `begun`.
    idle_at_ms: AtomicU64,
}

impl StepMeters {
    /// Handles of the metrics.
    pub(crate) fn new(meters: &Meters) -> Arc<Self> {
        let duration = |kind| meters.histogram(&STEP_DURATION, &[kind]);
        let instances = meters.gauge(&INSTANCES, &[]);
        instances.set(0.0);
        Arc::new(Self {
            start: duration("start"),
            resume: duration("resume"),
            delivered: duration("delivered"),
            work: duration("work"),
            failed: meters.counter(&STEPS_FAILED, &[]),
            started: meters.counter(&INSTANCES_STARTED, &[]),
            instances,
            worked: meters.counter(&BACKGROUND_PIECES, &["worked"]),
            idle: meters.counter(&BACKGROUND_PIECES, &["idle"]),
            begun: Instant::now(),
            idle_at_ms: AtomicU64::new(0),
        })
    }

    /// Notes a piece of background work, and whether it found something to do.
    pub(crate) fn worked(&self, found: bool) {
        if found {
            return self.worked.increment(1);
        }
        self.idle.increment(1);
        self.idle_at_ms.store(self.age_ms(), Ordering::Relaxed);
    }

    /// Time since background work last found nothing to do.
    pub(crate) fn behind(&self) -> Duration {
        let idle_at = self.idle_at_ms.load(Ordering::Relaxed);
        Duration::from_millis(self.age_ms().saturating_sub(idle_at))
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
