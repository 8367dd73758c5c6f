//! Time that a slow client has left for the bytes that wait for it.

use crate::limits::LEAST_RATE;
use std::time::Duration;
use tokio::time::Instant;

/// The time that a client has left. It falls while bytes wait, and grows with each byte sent. A
/// limit on pauses is not enough: a client that takes a byte now and then would hold all other
/// bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owed {
    left: Duration,
    since: Instant,
}

impl Owed {
    /// Bytes begin to wait at `now` for a client with this much time left.
    pub(super) const fn new(left: Duration, now: Instant) -> Self {
        Self { left, since: now }
    }

    /// Records that the client took `bytes` at `now`. The time left is at most `most`.
    pub(super) fn took(&mut self, bytes: usize, now: Instant, most: Duration) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let earned = Duration::from_secs(1).saturating_mul(bytes) / LEAST_RATE;
        let waited = now.saturating_duration_since(self.since);
        let left = self.left.saturating_sub(waited);
        self.left = left.saturating_add(earned).min(most);
        self.since = now;
    }

    /// The time left at `now`.
    pub(super) fn left(&self, now: Instant) -> Duration {
        self.left
            .saturating_sub(now.saturating_duration_since(self.since))
    }

    /// The moment at which no time is left, unless the client takes bytes before.
    pub(super) fn ends(&self) -> Option<Instant> {
        self.since.checked_add(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::STALL;

    /// How long the server waits for a client that takes `bytes` after each of `steps` pauses.
    fn waited(bytes: usize, pause: Duration, steps: u32) -> Duration {
        let begun = Instant::now();
        let mut owed = Owed::new(STALL, begun);
        let mut now = begun;
        for _ in 0..steps {
            if owed.ends().is_some_and(|ends| ends < now + pause) {
                break;
            }
            now += pause;
            owed.took(bytes, now, STALL);
        }
        now - begun
    }

    /// Ten connections held a gigabyte for any length of time.
    #[test]
    fn a_client_that_takes_a_byte_now_and_then_is_given_up() {
        for secs in [1, 25, 59] {
            let waited = waited(1, Duration::from_secs(secs), 10_000);
            assert!(
                waited <= STALL + Duration::from_secs(1),
                "{secs}: {waited:?}"
            );
        }
    }

    #[test]
    fn a_client_on_a_slow_link_is_waited_for_however_long_it_takes() {
        for (bytes, secs) in [(1024, 1), (60 * 1024, 59), (10 << 20, 60)] {
            let pause = Duration::from_secs(secs);
            assert_eq!(waited(bytes, pause, 1000), pause * 1000, "{bytes} {secs}");
        }
    }

    #[test]
    fn a_quick_beginning_buys_no_time_for_later() {
        let now = Instant::now();
        let mut owed = Owed::new(STALL, now);
        owed.took(1 << 30, now, STALL);
        assert_eq!(owed.left(now), STALL);
    }
}
