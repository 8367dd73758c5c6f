//! The lease of a stream's writer: if the writer stops, the stream closes by itself.
//!
//! Appends and heartbeats renew a lease. It *ends* its length after the last renewal. It has
//! *lapsed* once an instance's clock is past the end by more than clocks may differ. Then the first
//! instance that reads the stream commits the close. Until this commit the stream is open.
//!
//! Only appends, heartbeats and a correction of a wrong clock move the time of the renewal.

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
