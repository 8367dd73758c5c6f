//! The end of a stream that stays: it is closed by a request, or because its writer's lease lapsed.

use super::{Closed, Head, LeaseRules, Reason};

impl Head {
    /// Closes the stream, which ends its lease. The first close decides: on a closed stream this
    /// changes nothing.
    pub(super) fn close(&mut self, closed: Closed) {
        if self.closed.is_none() {
            self.closed = Some(closed);
            self.lease = None;
        }
    }

    /// The reason of the close, if the stream is closed and the close had a reason.
    #[must_use]
    pub fn close_reason(&self) -> Option<&str> {
        let closed = self.closed.as_ref()?;
        closed.reason.as_ref().map(Reason::as_str)
    }

    /// When the stream's lease lapses, in milliseconds since 1970. `None` without a lease, and for
    /// streams that never lapse: closed, soft-deleted and pending ones.
    #[must_use]
    pub fn lapses_ms(&self, clock_ms: u64, rules: LeaseRules) -> Option<u64> {
        let ended = self.closed.is_some() || self.forks.deleted || self.is_pending();
        let lease = self.lease.as_ref().filter(|_| !ended)?;
        Some(lease.lapses_ms(clock_ms, rules))
    }

    /// Whether the stream's lease has lapsed by the clock of this instance.
    #[must_use]
    pub fn has_lapsed(&self, clock_ms: u64, rules: LeaseRules) -> bool {
        self.lapses_ms(clock_ms, rules)
            .is_some_and(|lapses| lapses <= clock_ms)
    }

    /// Closes the stream because its lease has lapsed. The time of the last touch stays: the close
    /// is no use of the stream.
    pub fn lapse(&mut self) {
        self.close(Closed {
            by: None,
            reason: Reason::parse(Reason::LEASE_EXPIRED).ok(),
        });
    }

    /// Begins the lease anew at `clock_ms` if its last renewal came from a clock that was ahead.
    /// Returns whether it did.
    pub fn correct_lease(&mut self, clock_ms: u64) -> bool {
        match &mut self.lease {
            Some(lease) if lease.is_ahead(clock_ms) => {
                lease.renew(clock_ms);
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Lease;
    use crate::stream::head::tests::head;

    const RULES: LeaseRules = LeaseRules {
        skew_ms: 1_000,
        serving_since_ms: None,
    };

    fn leased(secs: u64, renewed_ms: u64) -> Head {
        Head {
            lease: Some(Lease { secs, renewed_ms }),
            ..head()
        }
    }

    #[test]
    fn a_lease_lapses_when_the_clock_is_past_its_end_by_the_skew() {
        let head = leased(3, 10_000);
        assert_eq!(head.lapses_ms(10_000, RULES), Some(14_000));
        assert!(!head.has_lapsed(13_999, RULES) && head.has_lapsed(14_000, RULES));
        let lease = head.lease.unwrap();
        assert_eq!(
            [10_000, 12_001, 13_000, 20_000].map(|now| lease.remaining_secs(now)),
            [3, 1, 0, 0]
        );
    }

    #[test]
    fn closed_deleted_and_pending_streams_never_lapse() {
        let mut closed = leased(1, 0);
        closed.lapse();
        assert_eq!(closed.close_reason(), Some("lease-expired"));
        assert_eq!(closed.lease, None);
        let mut deleted = leased(1, 0);
        deleted.forks.deleted = true;
        for head in [closed, deleted, head()] {
            assert_eq!(head.lapses_ms(u64::MAX, RULES), None);
        }
    }

    #[test]
    fn a_host_notices_no_lapse_before_writers_could_renew() {
        let rules = |since| LeaseRules {
            serving_since_ms: Some(since),
            ..RULES
        };
        // A lease of 3 s ended while the host was away.
        let short = leased(3, 10_000);
        assert_eq!(short.lapses_ms(60_000, rules(60_000)), Some(63_000));
        // A lease of an hour waits for half a minute at most.
        let long = leased(3_600, 10_000);
        assert_eq!(
            long.lapses_ms(4_000_000, rules(4_000_000)),
            Some(4_000_000 + 30_000)
        );
        assert_eq!(short.lapses_ms(10_500, rules(1_000)), Some(14_000));
    }

    /// A clock jumped ahead by a day and was corrected.
    #[test]
    fn a_lease_that_a_clock_ahead_began_ends_its_length_from_now() {
        let day = 86_400_000;
        let mut head = leased(3, 10_000 + day);
        assert_eq!(head.lapses_ms(10_000, RULES), Some(14_000));
        assert!(head.correct_lease(10_000));
        assert_eq!(head.lease, Some(Lease::new(3, 10_000)));
        assert!(!head.correct_lease(10_000));
    }
}
