//! Claims: a worker takes the lease of a subscription (section 7.2).

use super::{Phase, Subscription};

/// Reason why a claim is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// Another worker has the lease.
    #[error("Another worker holds the lease")]
    AlreadyClaimed {
        /// The name of the other worker.
        worker: String,
        /// The generation of its wake.
        generation: u64,
    },
    /// The subscription is idle, and no linked stream has pending events.
    #[error("No linked stream has pending events")]
    NoPendingWork,
}

impl Subscription {
    /// Gives the lease to a worker. `is_pending` matters only for an idle subscription, which has
    /// pending events if the instance that should have woken it was stopped. `wake` is then the
    /// number of its wake.
    ///
    /// # Errors
    ///
    /// Another worker has the lease, or there is nothing to do. No wake begins.
    pub fn claim(
        &mut self,
        worker: &str,
        wake: u64,
        now_ms: u64,
        is_pending: bool,
    ) -> Result<(), ClaimError> {
        self.clamp(now_ms);
        self.expire(now_ms);
        if let Phase::Held { worker, .. } = &self.phase {
            return Err(ClaimError::AlreadyClaimed {
                worker: worker.clone(),
                generation: self.generation,
            });
        }
        if self.is_idle() {
            if !is_pending {
                return Err(ClaimError::NoPendingWork);
            }
            self.wake(wake, now_ms);
        }
        if let Some(fence) = self.fence() {
            self.failures = 0;
            self.phase = Phase::Held {
                wake: fence.wake,
                worker: worker.to_owned(),
                lease_ms: now_ms.saturating_add(self.config.lease_ttl_ms),
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subscription::record::tests::subscription;

    #[test]
    fn one_worker_holds_the_subscription_until_its_lease_ends() {
        let mut one = subscription(false);
        one.wake(5, 1_000);
        assert_eq!(one.claim("a", 9, 2_000, false), Ok(()));
        let fence = one.fence().unwrap();
        assert_eq!((fence.generation, fence.wake), (1, 5));
        let busy = Err(ClaimError::AlreadyClaimed {
            worker: "a".to_owned(),
            generation: 1,
        });
        assert_eq!(one.claim("b", 9, 31_999, true), busy);
        assert_eq!(one.claim("b", 9, 32_000, true), Ok(()));
        assert_eq!(one.check(fence), Err(super::super::Fenced));
        assert_eq!(one.generation, 2);
    }

    #[test]
    fn an_idle_subscription_is_claimed_only_for_pending_events() {
        let mut one = subscription(false);
        let nothing = Err(ClaimError::NoPendingWork);
        assert_eq!(one.claim("a", 9, 1, false), nothing);
        assert_eq!(one.generation, 0);
        assert_eq!(one.claim("a", 9, 1, true), Ok(()));
        assert_eq!(one.generation, 1);
    }
}
