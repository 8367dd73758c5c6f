//! Backoff while Redis does not answer. Without it every call would wait for the time-out, and hold
//! up other work behind it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Longest time for Redis to accept a connection, and to answer a command. An instance and its
/// thread are blocked for that time.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// Pause after a time-out, in which all calls fail at once. Then one call probes Redis, and the
/// others fail until it has a result.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest duration of one call: a connection, an unknown script, and the script's source.
const CALL: Duration = PATIENCE.saturating_mul(3);

/// Whether Redis answers, as far as the calls of this host can tell.
#[derive(Debug, Default)]
pub(super) struct Absence(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Time of the last answer.
    answered: Option<Instant>,
    away: Option<Away>,
}

#[derive(Debug, Clone, Copy)]
struct Away {
    since: Instant,
    /// Time at which the next call may probe Redis.
    again: Instant,
}

impl Absence {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits a call, or returns how long there has been no answer.
    pub(super) fn admit(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.state();
        let Some(away) = &mut state.away else {
            return Ok(());
        };
        if now < away.again {
            return Err(now.saturating_duration_since(away.since));
        }
        away.again = later(now, CALL);
        Ok(())
    }

    /// Notes that a call that began at `begun` timed out.
    pub(super) fn timed_out(&self, begun: Instant, now: Instant) {
        let mut state = self.state();
        // Other calls got answers in the meantime, so only this connection is dead.
        if state.answered.is_some_and(|answered| answered > begun) {
            return;
        }
        let since = state.away.map_or(begun, |away| away.since);
        let again = later(now, PAUSE);
        state.away = Some(Away { since, again });
    }

    /// Notes that a call got an answer, or failed without a time-out.
    pub(super) fn answered(&self, now: Instant) {
        let mut state = self.state();
        state.answered = Some(now);
        state.away = None;
    }
}

fn later(now: Instant, by: Duration) -> Instant {
    now.checked_add(by).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    #[test]
    fn after_a_time_out_one_call_asks_and_the_others_fail_at_once() {
        let absence = Absence::default();
        let begun = Instant::now();
        assert_eq!(absence.admit(begun), Ok(()));
        let now = begun + PATIENCE;
        absence.timed_out(begun, now);
        assert_eq!(absence.admit(now), Err(PATIENCE));
        assert!(absence.admit(now + PAUSE - MOMENT).is_err());
        let probe = now + PAUSE;
        assert_eq!(absence.admit(probe), Ok(()));
        assert_eq!(absence.admit(probe), Err(PATIENCE + PAUSE), "one asks");
        absence.timed_out(probe, probe + PATIENCE);
        assert!(absence.admit(probe + PATIENCE).is_err());
        let probe = probe + PATIENCE + PAUSE;
        assert_eq!(absence.admit(probe), Ok(()));
        absence.answered(probe + MOMENT);
        assert_eq!(absence.admit(probe + MOMENT), Ok(()));
        assert_eq!(absence.admit(probe + MOMENT), Ok(()));
    }

    #[test]
    fn a_call_that_asks_and_never_ends_does_not_keep_others_from_asking() {
        let absence = Absence::default();
        let begun = Instant::now();
        absence.timed_out(begun, begun);
        let probe = begun + PAUSE;
        assert_eq!(absence.admit(probe), Ok(()));
        assert_eq!(absence.admit(probe + CALL), Ok(()));
    }

    #[test]
    fn one_connection_that_went_dead_does_not_stop_the_others() {
        let absence = Absence::default();
        let begun = Instant::now();
        absence.answered(begun + MOMENT);
        absence.timed_out(begun, begun + PATIENCE);
        assert_eq!(absence.admit(begun + PATIENCE), Ok(()));
    }
}
