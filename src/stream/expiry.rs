//! Expiry of streams (section 4, "TTL/Expiry").

/// The expiry that a stream's creator requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// The stream never expires.
    Never,
    /// The stream expires after this many idle seconds. Every read and write restarts the window.
    Ttl {
        /// The length of the window.
        secs: u64,
    },
    /// The stream expires at a fixed time.
    At {
        /// The time, in milliseconds since 1970.
        ms: u64,
    },
}

/// The smallest and largest granularity of a sliding window, in milliseconds.
const GRANULARITY_MS: (u64, u64) = (200, 60_000);

/// Returns the granularity of a sliding window of `secs`, in milliseconds. A touch is written at
/// most once in this time, and a stream lives this much longer than its window.
pub(super) fn granularity_ms(secs: u64) -> u64 {
    let (least, most) = GRANULARITY_MS;
    secs.saturating_mul(100).clamp(least, most)
}

impl Expiry {
    /// Returns when a stream last touched at `touched_ms` expires, in milliseconds since 1970.
    #[must_use]
    pub fn ends_ms(&self, touched_ms: u64) -> Option<u64> {
        match *self {
            Self::Never => None,
            Self::Ttl { secs } => Some(
                touched_ms
                    .saturating_add(secs.saturating_mul(1000))
                    .saturating_add(granularity_ms(secs)),
            ),
            Self::At { ms } => Some(ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::head::tests::head;

    #[test]
    fn a_sliding_window_ends_one_step_after_its_length() {
        let mut head = head();
        head.expiry = Expiry::Ttl { secs: 10 };
        head.touched_ms = 5_000;
        assert_eq!(head.expires_ms(5_000), Some(16_000));
        assert!(!head.is_expired(15_999) && head.is_expired(16_000));
        assert!(!head.needs_touch(5_999) && head.needs_touch(6_000));
        assert_eq!(head.max_wait_ms(6_000), Some(9_000));
    }

    /// A clock jumped ahead by a day and was corrected. Without a limit, a stream with a window of
    /// two seconds would have lived for that day.
    #[test]
    fn a_window_that_a_clock_ahead_began_ends_its_length_from_now() {
        let mut head = head();
        head.expiry = Expiry::Ttl { secs: 2 };
        let day = 86_400_000;
        head.touched_ms = 1_000 + day;
        assert_eq!(head.now_ms(1_000), 1_000);
        assert_eq!(head.expires_ms(1_000), Some(1_000 + 2_200));
        assert_eq!(head.max_wait_ms(1_000), Some(2_000));
        assert!(head.needs_touch(1_000) && !head.is_expired(1_000));
        // A small difference between the clocks of two instances is accepted.
        head.touched_ms = 9_000;
        assert_eq!(head.now_ms(1_000), 9_000);
        assert_eq!(head.expires_ms(1_000), Some(9_000 + 2_200));
        assert!(!head.needs_touch(1_000));
        // A fixed time is kept, however far ahead it is.
        head.expiry = Expiry::At { ms: day };
        head.touched_ms = 1_000 + day;
        assert_eq!(head.expires_ms(1_000), Some(day));
    }

    #[test]
    fn a_reader_of_a_window_of_no_length_waits_for_its_end() {
        let mut head = head();
        head.expiry = Expiry::Ttl { secs: 0 };
        head.touched_ms = 5_000;
        assert_eq!(head.max_wait_ms(5_050), Some(150));
        assert!(head.is_expired(5_200));
    }

    #[test]
    fn the_largest_window_never_ends_and_never_overflows() {
        let mut head = head();
        head.expiry = Expiry::Ttl { secs: u64::MAX };
        assert!(!head.is_expired(u64::MAX - 1));
        assert!(head.needs_touch(u64::MAX));
    }
}
