//! Buckets of requests.
//!
//! Each has room for the requests of one second, filled at an even rate. Only the time at which the
//! bucket is full again is stored (the generic cell rate algorithm).

use quick_cache::sync::Cache;
use std::convert::Infallible;
use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Number of buckets kept. A dropped bucket starts full again.
const BUCKETS: usize = 65_536;

/// Length of the interval of the rates, and depth of a bucket.
const SECOND_NS: u64 = 1_000_000_000;

/// Buckets of one rate, by a keyed hash of their senders. The table has a fixed size, so made-up
/// senders do not make it grow.
#[derive(Debug)]
pub(crate) struct Buckets {
    /// Time at which each bucket is full again, in nanoseconds.
    full_ns: Cache<u64, Arc<AtomicU64>>,
    hasher: RandomState,
    /// Time in which a bucket regains one request.
    request_ns: u64,
}

impl Buckets {
    /// Full buckets, which regain this many requests a second.
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        Self {
            full_ns: Cache::new(BUCKETS),
            hasher: RandomState::new(),
            request_ns: SECOND_NS / u64::from(per_second.get()),
        }
    }

    /// Takes a request out of a bucket at `now`, on a clock that never goes back. Returns how long the
    /// request has to wait if the bucket is empty.
    pub(crate) fn take(&self, of: impl Hash, now: Duration) -> Result<(), Duration> {
        let now_ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let key = self.hasher.hash_one(of);
        let fresh = || Ok::<_, Infallible>(Arc::default());
        let Ok(bucket) = self.full_ns.get_or_insert_with(&key, fresh);
        let after = |full_ns: u64| full_ns.max(now_ns).saturating_add(self.request_ns);
        let taken = bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_ns| {
            let full_ns = after(full_ns);
            (full_ns - now_ns <= SECOND_NS).then_some(full_ns)
        });
        match taken {
            Ok(_) => Ok(()),
            Err(full_ns) => {
                let wait_ns = (after(full_ns) - now_ns).saturating_sub(SECOND_NS);
                Err(Duration::from_nanos(wait_ns))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn made_up_senders_do_not_make_the_table_grow() {
        let buckets = Buckets::new(NonZeroU32::MIN);
        for sender in 0..4 * BUCKETS {
            assert_eq!(buckets.take(sender, Duration::ZERO), Ok(()));
        }
        assert!(buckets.full_ns.len() <= BUCKETS);
    }

    proptest! {
        /// Of any stretch of time, the accepted requests are at most its length times the rate, and
        /// one burst.
        #[test]
        fn no_stretch_of_time_has_more_than_its_rate_and_a_burst(
            rate in 1..200_u32,
            pauses_ms in vec(0..400_u64, 1..200),
        ) {
            let buckets = Buckets::new(NonZeroU32::new(rate).expect("at least one"));
            let (mut now, mut accepted) = (0, Vec::new());
            for pause in pauses_ms {
                now += pause;
                if buckets.take("a", Duration::from_millis(now)).is_ok() {
                    accepted.push(now);
                }
            }
            for (first, from) in accepted.iter().enumerate() {
                for (last, until) in accepted.iter().enumerate().skip(first) {
                    let most = u64::from(rate) * (until - from) / 1000 + u64::from(rate) + 1;
                    prop_assert!((last - first) as u64 <= most);
                }
            }
        }

        /// A refused request is accepted if it comes again after the time that it was told to wait.
        #[test]
        fn the_wait_is_long_enough_and_no_longer(rate in 1..1000_u32, taken in 1..2000_u32) {
            let buckets = Buckets::new(NonZeroU32::new(rate).expect("at least one"));
            let wait = (0..taken).find_map(|_| buckets.take("a", Duration::ZERO).err());
            if let Some(wait) = wait {
                prop_assert!(buckets.take("a", wait.saturating_sub(Duration::from_nanos(1))).is_err());
                prop_assert_eq!(buckets.take("a", wait), Ok(()));
            } else {
                prop_assert!(taken <= rate);
            }
        }
    }
}
