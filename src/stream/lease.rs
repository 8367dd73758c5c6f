//! The lease of a stream's writer: if the writer stops, the stream closes by itself.
//!
//! Appends and heartbeats renew a lease. It *ends* its length after the last renewal. It has
//! *lapsed* once an instance's clock is past the end by more than clocks may differ. Then the first
//! instance that reads the stream commits the close. Until this commit the stream is open.
//!
//! Only appends, heartbeats and a correction of a wrong clock move the time of the renewal.

use super::{Closed, Head, Reason};
use crate::limits::{CLOCK_SKEW_MS, LEASE_GRACE_MS};

/// The lease of a stream's writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The length, in seconds.
    pub secs: u64,
    /// The last renewal by the clock of its instance, in milliseconds since 1970.
    pub renewed_ms: u64,
}

/// The rules for the judgement of leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeaseRules {
    /// How much the clocks of two instances may differ, in milliseconds.
    pub skew_ms: u64,
    /// Since when this host takes appends, in milliseconds since 1970, if known. A writer could not
    /// renew its lease before.
    pub serving_since_ms: Option<u64>,
}

impl Lease {
    /// A lease of `secs` seconds that begins at `clock_ms`.
    #[must_use]
    pub const fn new(secs: u64, clock_ms: u64) -> Self {
        Self {
            secs,
            renewed_ms: clock_ms,
        }
    }

    /// Whether the last renewal is further in the future than clocks may differ.
    #[must_use]
    pub const fn is_ahead(&self, clock_ms: u64) -> bool {
        self.renewed_ms > clock_ms.saturating_add(CLOCK_SKEW_MS)
    }

    /// Renews the lease at `clock_ms`. The clock of another instance may be ahead: a renewal never
    /// shortens a lease, unless that clock was wrong.
    pub fn renew(&mut self, clock_ms: u64) {
        self.renewed_ms = match self.is_ahead(clock_ms) {
            true => clock_ms,
            false => self.renewed_ms.max(clock_ms),
        };
    }

    /// When the lease ends unless it is renewed, in milliseconds since 1970. A lease that a clock
    /// ahead began ends its length from now.
    #[must_use]
    pub fn ends_ms(&self, clock_ms: u64) -> u64 {
        let mut lease = *self;
        if lease.is_ahead(clock_ms) {
            lease.renewed_ms = clock_ms;
        }
        lease.renewed_ms.saturating_add(lease.length_ms())
    }

    /// Whole seconds until the end, rounded up.
    #[must_use]
    pub fn remaining_secs(&self, clock_ms: u64) -> u64 {
        self.ends_ms(clock_ms)
            .saturating_sub(clock_ms)
            .div_ceil(1000)
    }

    /// When the lease lapses unless it is renewed, in milliseconds since 1970.
    #[must_use]
    pub fn lapses_ms(&self, clock_ms: u64, rules: LeaseRules) -> u64 {
        let lapses = self.ends_ms(clock_ms).saturating_add(rules.skew_ms);
        let grace = self.length_ms().min(LEASE_GRACE_MS);
        let since = rules.serving_since_ms;
        lapses.max(since.map_or(0, |since| since.saturating_add(grace)))
    }

    const fn length_ms(&self) -> u64 {
        self.secs.saturating_mul(1000)
    }
}

impl Head {
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
    use crate::stream::head::tests::head;
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn a_renewal_never_shortens_a_lease(
            secs in 1..86_400_u64,
            before in 0..20_000_u64,
            clock_ms in 0..20_000_u64,
        ) {
            let mut lease = Lease { secs, renewed_ms: before };
            let ends = lease.ends_ms(clock_ms);
            lease.renew(clock_ms);
            prop_assert!(lease.ends_ms(clock_ms) >= ends);
            prop_assert!(lease.ends_ms(clock_ms) >= clock_ms + secs * 1000);
        }
    }
}
