//! Calls of the store.

use super::recorder::Meters;
use super::table::{LEASES, STORE_CALL_DURATION, STORE_CALLS};
use crate::trace::StoreSpan;
use durable_streams_edge::seam::streams::LeaseChange;
use metrics::{Counter, Histogram};
use std::cell::Cell;
use std::time::Instant;

/// A kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreCall {
    Get,
    Exists,
    Set,
    Delete,
    Increment,
    Swap,
}

/// Result of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreResult {
    Ok,
    Conflict,
    Unavailable,
    Full,
    Refused,
    Damaged,
    Other,
}

const CALLS: [(StoreCall, &str); 6] = [
    (StoreCall::Get, "get"),
    (StoreCall::Exists, "exists"),
    (StoreCall::Set, "set"),
    (StoreCall::Delete, "delete"),
    (StoreCall::Increment, "increment"),
    (StoreCall::Swap, "swap"),
];

const RESULTS: [(StoreResult, &str); 7] = [
    (StoreResult::Ok, "ok"),
    (StoreResult::Conflict, "conflict"),
    (StoreResult::Unavailable, "unavailable"),
    (StoreResult::Full, "full"),
    (StoreResult::Refused, "refused"),
    (StoreResult::Damaged, "damaged"),
    (StoreResult::Other, "other"),
];

impl StoreCall {
    /// The call's name in metrics and traces.
    pub(crate) const fn name(self) -> &'static str {
        CALLS[self as usize].1
    }
}

impl StoreResult {
    /// The result's name in metrics and traces.
    pub(crate) const fn name(self) -> &'static str {
        RESULTS[self as usize].1
    }
}

/// Calls per measured one, where a call takes less time than two looks at the clock.
const SAMPLE: u32 = 64;

thread_local! {
    /// Calls of this thread until the next measured one.
    static UNTIL: Cell<u32> = const { Cell::new(0) };
}

/// Metrics of the calls of a store.
pub(crate) struct StoreMeters {
    calls: [(Histogram, [Counter; RESULTS.len()]); CALLS.len()],
    /// Whether every call is measured.
    all: bool,
    begun: Counter,
    ended: Counter,
    lapsed: Counter,
}

impl StoreMeters {
    /// Handles of the metrics. With `all` every call is measured, else one in 64.
    pub(crate) fn new(meters: &Meters, all: bool) -> Self {
        let calls = CALLS.map(|(_, call)| {
            let results = RESULTS.map(|(_, result)| meters.counter(&STORE_CALLS, &[call, result]));
            (meters.histogram(&STORE_CALL_DURATION, &[call]), results)
        });
        let lease = |change| meters.counter(&LEASES, &[change]);
        Self {
            calls,
            all,
            begun: lease("begun"),
            ended: lease("ended"),
            lapsed: lease("lapsed"),
        }
    }

    /// Counts a change of the lease of a stream's writer.
    pub(crate) fn lease(&self, change: LeaseChange) {
        let counter = match change {
            LeaseChange::Begun => &self.begun,
            LeaseChange::Ended => &self.ended,
            LeaseChange::Lapsed => &self.lapsed,
        };
        counter.increment(1);
    }

    /// Runs a call, counts it, and traces it within a traced step.
    pub(crate) fn count<T>(
        &self,
        call: StoreCall,
        result: impl FnOnce(&T) -> StoreResult,
        run: impl FnOnce() -> T,
    ) -> T {
        let (duration, results) = &self.calls[call as usize];
        let span = StoreSpan::begin(call.name());
        let begun = (self.all || is_sampled()).then(Instant::now);
        let returned = run();
        if let Some(begun) = begun {
            duration.record(begun.elapsed());
        }
        let result = result(&returned);
        results[result as usize].increment(1);
        span.end(result.name());
        returned
    }
}

fn is_sampled() -> bool {
    UNTIL.with(|until| match until.get().checked_sub(1) {
        Some(left) => {
            until.set(left);
            false
        }
        None => {
            until.set(SAMPLE - 1);
            true
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_results_are_found_by_their_places() {
        for (place, (call, _)) in CALLS.into_iter().enumerate() {
            assert_eq!(call as usize, place);
        }
        for (place, (result, _)) in RESULTS.into_iter().enumerate() {
            assert_eq!(result as usize, place);
        }
    }

    #[test]
    fn every_call_is_counted_and_one_in_64_is_measured() {
        let meters = Meters::new();
        let store = StoreMeters::new(&meters, false);
        for _ in 0..128 {
            store.count(StoreCall::Swap, |()| StoreResult::Conflict, || ());
        }
        let text = meters.render();
        for line in [
            "durable_streams_store_calls_total{call=\"swap\",result=\"conflict\"} 128\n",
            "durable_streams_store_calls_total{call=\"get\",result=\"damaged\"} 0\n",
            "durable_streams_store_call_duration_seconds_count{call=\"swap\"} 2\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
