//! Correction of times from a clock that was ahead.

use super::{Phase, Subscription};
use crate::limits::{CLOCK_SKEW_MS, RETRY_MOST_MS};

impl Phase {
    /// Limits each time to the longest duration it can have, counted from now. Returns whether a
    /// time was further ahead.
    fn clamp(&mut self, now_ms: u64, lease_ttl_ms: u64) -> bool {
        let back = |time_ms: &mut u64, most_ms: u64| {
            let latest = now_ms.saturating_add(most_ms);
            let is_ahead = *time_ms > latest.saturating_add(CLOCK_SKEW_MS);
            if is_ahead {
                *time_ms = latest;
            }
            is_ahead
        };
        match self {
            Self::Idle => false,
            Self::Waking {
                lease_ms,
                attempt_ms,
                ..
            } => {
                let lease = lease_ms
                    .as_mut()
                    .is_some_and(|time| back(time, lease_ttl_ms));
                // A pause may be a fifth longer than the longest one.
                let most = RETRY_MOST_MS.saturating_add(RETRY_MOST_MS / 5);
                let attempt = attempt_ms.as_mut().is_some_and(|time| back(time, most));
                lease || attempt
            }
            Self::Held { lease_ms, .. } => back(lease_ms, lease_ttl_ms),
        }
    }
}

impl Subscription {
    /// Corrects the end of a lease, or the time of the next attempt, that a clock ahead wrote. The
    /// corrected time is its own duration from now. Returns whether the subscription changed.
    pub fn clamp(&mut self, now_ms: u64) -> bool {
        self.phase.clamp(now_ms, self.config.lease_ttl_ms)
    }

    /// Whether [`Self::clamp`] would change anything.
    #[must_use]
    pub fn is_ahead(&self, now_ms: u64) -> bool {
        self.phase.clone().clamp(now_ms, self.config.lease_ttl_ms)
    }
}

#[cfg(test)]
mod tests {
    use crate::subscription::record::tests::subscription;

    const DAY: u64 = 86_400_000;

    /// A clock jumped ahead by a day and was corrected. Without a limit, a claim of 30 seconds
    /// would have lasted that day.
    #[test]
    fn a_lease_of_a_clock_that_was_ahead_ends_its_length_from_now() {
        let mut one = subscription(false);
        one.wake(5, DAY);
        one.claim("a", 5, DAY, true).unwrap();
        assert!(one.is_ahead(1_000) && one.clamp(1_000));
        assert_eq!(one.due_ms(), Some(31_000));
        assert!(!one.is_ahead(1_000) && !one.clamp(1_000));
        // A small difference between the clocks of two instances is accepted.
        one.claim("b", 6, 40_000, true).unwrap();
        assert!(!one.is_ahead(31_000));
    }

    #[test]
    fn a_retry_set_by_a_clock_ahead_is_due_within_the_longest_pause() {
        let mut one = subscription(true);
        one.wake(5, DAY);
        let fence = one.fence().unwrap();
        one.failed(fence, DAY, 0).unwrap();
        assert!(one.clamp(1_000));
        assert_eq!(one.due_ms(), Some(1_000 + 72_000));
    }
}
