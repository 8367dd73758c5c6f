//! Notices that a Redis that was away serves again.
//!
//! While it was away, writers could not renew their leases. So nothing may be closed for a lapsed
//! lease before they had time to do so: the host begins to serve anew.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// A shorter absence cannot end a lease: leases lapse later than they end.
const SHORT: Duration = Duration::from_millis(500);

/// Whether Redis serves, and since when.
#[derive(Debug, Default)]
pub(super) struct Returns {
    /// Whether the last call failed. Every call reads it, so it needs no lock.
    is_failing: AtomicBool,
    /// Start of the present absence.
    failing: Mutex<Option<Instant>>,
    since_ms: AtomicU64,
}

impl Returns {
    fn failing(&self) -> MutexGuard<'_, Option<Instant>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a call that began at `begun` failed, because Redis is away or does not serve.
    pub(super) fn failed(&self, begun: Instant) {
        self.failing().get_or_insert(begun);
        self.is_failing.store(true, Ordering::Release);
    }

    /// Notes that Redis served a call.
    pub(super) fn served(&self, now: Instant, clock: SystemTime) {
        if !self.is_failing.load(Ordering::Acquire) {
            return;
        }
        let mut failing = self.failing();
        self.is_failing.store(false, Ordering::Release);
        let Some(since) = failing.take() else { return };
        if now.saturating_duration_since(since) >= SHORT {
            let clock = clock.duration_since(SystemTime::UNIX_EPOCH);
            let ms = clock.map_or(0, |clock| clock.as_millis());
            let ms = u64::try_from(ms).unwrap_or(u64::MAX);
            self.since_ms.store(ms, Ordering::Release);
        }
    }

    /// Since when Redis serves after an absence, milliseconds since 1970; 0 without an absence.
    pub(super) fn since_ms(&self) -> u64 {
        self.since_ms.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_return_after_an_absence_is_noted_and_a_broken_connection_is_none() {
        let returns = Returns::default();
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let clock = |ms| SystemTime::UNIX_EPOCH + Duration::from_millis(ms);
        returns.served(at(0), clock(7));
        returns.failed(at(10));
        returns.served(at(20), clock(8));
        assert_eq!(returns.since_ms(), 0);
        returns.failed(at(1_000));
        returns.failed(at(1_600));
        returns.served(at(1_700), clock(9));
        assert_eq!(returns.since_ms(), 9);
        returns.served(at(9_000), clock(10));
        assert_eq!(returns.since_ms(), 9);
    }
}
