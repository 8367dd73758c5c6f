//! Backoff on a full disk.
//!
//! A batch that finds no room fails all newer changes too, and every waiter reads again. So once
//! the disk is known to stay full, the store refuses changes before it applies them. One batch in a
//! while then finds out whether there is room again, since the system may not report it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Times for which changes are refused: after the second batch in a row without room, and at most.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(1);

/// Whether the disk is known to be full. Times are measured since the store was opened.
#[derive(Debug, Default)]
pub(super) struct FullDisk {
    /// Time at which changes are accepted again, in milliseconds.
    until_ms: AtomicU64,
    /// Number of batches in a row that found no room.
    in_a_row: AtomicU64,
}

impl FullDisk {
    /// Whether changes are refused now. Every change calls this, so it reads the clock only if
    /// necessary.
    pub(super) fn refuses(&self, now: impl FnOnce() -> Duration) -> bool {
        match self.until_ms.load(Ordering::Relaxed) {
            0 => false,
            until_ms => now() < Duration::from_millis(until_ms),
        }
    }

    /// Counts a batch that found no room. The first one proves little, since it may have been a
    /// large one.
    pub(super) fn found_none(&self, now: Duration) {
        let before = self.in_a_row.fetch_add(1, Ordering::Relaxed);
        let Some(doublings) = before.checked_sub(1) else {
            return;
        };
        let doublings = u32::try_from(doublings).unwrap_or(u32::MAX).min(8);
        let pause = SHORTEST.saturating_mul(1 << doublings).min(LONGEST);
        let until = now.saturating_add(pause).as_millis();
        let until_ms = u64::try_from(until).unwrap_or(u64::MAX);
        self.until_ms.store(until_ms, Ordering::Relaxed);
    }

    /// Notes that a batch was written.
    pub(super) fn found_some(&self) {
        if self.in_a_row.swap(0, Ordering::Relaxed) > 0 {
            self.until_ms.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn one_batch_without_room_refuses_no_write_and_further_ones_refuse_for_longer() {
        let full = FullDisk::default();
        full.found_none(ms(1_000));
        assert!(!full.refuses(|| ms(1_000)));
        for (at, until) in [(2_000, 2_100), (3_000, 3_200), (4_000, 4_400)] {
            full.found_none(ms(at));
            assert!(full.refuses(|| ms(until - 1)) && !full.refuses(|| ms(until)));
        }
        for _ in 0..100 {
            full.found_none(ms(9_000));
        }
        assert!(full.refuses(|| ms(9_999)) && !full.refuses(|| ms(10_000)));
        full.found_some();
        assert!(!full.refuses(|| ms(9_000)));
        full.found_none(ms(11_000));
        assert!(!full.refuses(|| ms(11_000)));
    }
}
