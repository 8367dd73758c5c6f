//! Delivery of a wake, with retries (section 7.1).

use super::{Fence, Fenced, Phase, Subscription};
use crate::limits::{RETRY_LEAST_MS, RETRY_MOST_MS};

/// Returns the pause after this many failures in a row. It doubles from 1 s up to 60 s, and varies
/// by up to a fifth, depending on the random bits.
#[must_use]
pub(super) fn back_off_ms(failures: u32, random: u64) -> u64 {
    let doublings = failures.saturating_sub(1).min(16);
    let whole = RETRY_LEAST_MS
        .checked_shl(doublings)
        .unwrap_or(RETRY_MOST_MS)
        .min(RETRY_MOST_MS);
    let spread = whole / 5;
    let drawn = random.checked_rem(spread.saturating_mul(2).saturating_add(1));
    whole
        .saturating_sub(spread)
        .saturating_add(drawn.unwrap_or_default())
}

impl Subscription {
    /// Records a failed delivery of the wake and schedules the next one. There is no lease until
    /// then.
    ///
    /// # Errors
    ///
    /// The wake has ended.
    pub fn failed(&mut self, fence: Fence, now_ms: u64, random: u64) -> Result<(), Fenced> {
        self.check(fence)?;
        if let Phase::Waking {
            lease_ms,
            attempt_ms,
            ..
        } = &mut self.phase
        {
            self.failures = self.failures.saturating_add(1);
            *lease_ms = None;
            *attempt_ms = Some(now_ms.saturating_add(back_off_ms(self.failures, random)));
        }
        Ok(())
    }

    /// Records a successful delivery of the wake. Returns whether the subscription changed.
    ///
    /// # Errors
    ///
    /// The wake has ended.
    pub fn delivered(&mut self, fence: Fence) -> Result<bool, Fenced> {
        self.check(fence)?;
        let Phase::Waking { attempt_ms, .. } = &mut self.phase else {
            return Ok(false);
        };
        let changed = attempt_ms.is_some() || self.failures > 0;
        *attempt_ms = None;
        self.failures = 0;
        Ok(changed)
    }

    /// Whether another delivery of the wake is due.
    fn is_attempt_due(&self, now_ms: u64) -> bool {
        match self.phase {
            Phase::Waking { attempt_ms, .. } => attempt_ms.is_some_and(|at| at <= now_ms),
            Phase::Idle | Phase::Held { .. } => false,
        }
    }

    /// Begins another delivery, if one is due, and starts the lease of a webhook. Returns whether
    /// it was due.
    pub fn try_again(&mut self, now_ms: u64) -> bool {
        if !self.is_attempt_due(now_ms) {
            return false;
        }
        let webhook = self.config.is_webhook();
        let after = |ms: u64| Some(now_ms.saturating_add(ms));
        let lease = self.config.lease_ttl_ms;
        if let Phase::Waking {
            lease_ms,
            attempt_ms,
            ..
        } = &mut self.phase
        {
            match webhook {
                true => (*lease_ms, *attempt_ms) = (after(lease), None),
                false => *attempt_ms = after(back_off_ms(self.failures.saturating_add(1), 0)),
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subscription::record::tests::subscription;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pauses_double_from_one_second_to_a_minute(failures: u32, random: u64) {
            let pause = back_off_ms(failures, random);
            let whole = (1_000_u64 << failures.saturating_sub(1).min(6)).min(60_000);
            prop_assert!(pause >= whole * 4 / 5 && pause <= whole * 6 / 5, "{}", pause);
        }
    }

    #[test]
    fn a_try_that_failed_is_repeated_within_the_same_wake() {
        let mut one = subscription(true);
        one.wake(5, 0);
        let fence = one.fence().unwrap();
        one.failed(fence, 1_000, 200).unwrap();
        assert_eq!((one.due_ms(), one.failures), (Some(2_000), 1));
        // Between two attempts there is no lease.
        assert!(!one.expire(u64::MAX));
        assert!(!one.try_again(1_999) && one.try_again(2_000) && !one.try_again(2_000));
        assert_eq!((one.fence(), one.due_ms()), (Some(fence), Some(32_000)));
        assert_eq!(one.delivered(fence), Ok(true));
        assert_eq!((one.failures, one.delivered(fence)), (0, Ok(false)));
    }

    #[test]
    fn a_late_outcome_changes_nothing() {
        let mut one = subscription(true);
        one.wake(5, 0);
        let fence = one.fence().unwrap();
        one.expire(30_000);
        one.wake(6, 30_000);
        let before = one.clone();
        assert_eq!(one.failed(fence, 30_000, 0), Err(Fenced));
        assert_eq!(one.delivered(fence), Err(Fenced));
        assert_eq!(one, before);
    }
}
