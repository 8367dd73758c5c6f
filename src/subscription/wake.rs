//! Begin and end of a wake.

use super::{Phase, Subscription};
use crate::limits::{ANNOUNCE_PATIENCE_MS, SEGMENTS};

impl Subscription {
    /// Begins a wake, if the subscription is idle. Returns whether it began.
    ///
    /// For a webhook, the lease begins now. A pull subscription has no lease until a worker claims
    /// it, but background work later checks whether its event was appended.
    pub fn wake(&mut self, wake: u64, now_ms: u64) -> bool {
        if !self.is_idle() {
            return false;
        }
        self.generation = self.generation.saturating_add(1);
        let after = |ms| Some(now_ms.saturating_add(ms));
        let (lease_ms, attempt_ms) = match self.config.is_webhook() {
            true => (after(self.config.lease_ttl_ms), None),
            false => (None, after(ANNOUNCE_PATIENCE_MS)),
        };
        self.phase = Phase::Waking {
            wake,
            lease_ms,
            attempt_ms,
        };
        true
    }

    /// Moves the subscription to the store's timeline. A wake of an older timeline has ended, even
    /// if the restored store says that it is under way: another worker may have had a later one.
    /// All generations of a timeline are greater than those of earlier timelines, including lost
    /// ones.
    pub fn enter(&mut self, timeline: u64) {
        let least = timeline.saturating_mul(SEGMENTS);
        if self.generation < least {
            self.generation = least;
            self.phase = Phase::Idle;
        }
    }

    /// Ends the current wake if its lease has expired. Returns whether it ended.
    pub fn expire(&mut self, now_ms: u64) -> bool {
        let lease_ms = match self.phase {
            Phase::Idle => None,
            Phase::Waking { lease_ms, .. } => lease_ms,
            Phase::Held { lease_ms, .. } => Some(lease_ms),
        };
        let over = lease_ms.is_some_and(|lease_ms| lease_ms <= now_ms);
        if over {
            self.phase = Phase::Idle;
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subscription::record::tests::subscription;

    #[test]
    fn only_an_idle_subscription_wakes_and_each_wake_is_a_generation() {
        let mut one = subscription(true);
        assert!(one.wake(5, 1_000) && !one.wake(6, 1_000));
        assert_eq!((one.generation, one.due_ms()), (1, Some(31_000)));
        assert!(!one.expire(30_999) && one.expire(31_000) && !one.expire(31_000));
        assert!(one.wake(6, 40_000));
        assert_eq!(one.generation, 2);
    }

    #[test]
    fn a_newer_timeline_ends_the_wake_and_raises_the_generation() {
        let mut one = subscription(true);
        one.wake(5, 1_000);
        let before = one.clone();
        one.enter(0);
        assert_eq!(one, before);
        one.enter(2);
        assert_eq!((one.generation, one.is_idle()), (200_000_000, true));
        assert!(one.wake(6, 1_000));
        one.enter(2);
        assert_eq!((one.generation, one.is_idle()), (200_000_001, false));
        one.enter(crate::limits::MAX_TIMELINE);
        assert!(one.generation < crate::limits::MAX_PRODUCER_NUMBER);
    }

    #[test]
    fn workers_that_pull_have_no_lease_before_they_claim() {
        let mut one = subscription(false);
        one.wake(5, 1_000);
        assert!(!one.expire(u64::MAX));
        assert_eq!(one.due_ms(), Some(1_000 + ANNOUNCE_PATIENCE_MS));
    }
}
