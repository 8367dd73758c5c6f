//! A Redis that does not answer: it is not asked by everybody, or each would wait for the time-out,
//! and with it what waits behind it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long Redis may take to accept a connection, and to answer a command: an instance and its
/// thread wait for that long.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// How long nobody asks after a time-out. Then one does, and the others wait for what becomes of it.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest that one call takes: a connection, and a script that Redis is to learn first.
const CALL: Duration = PATIENCE.saturating_mul(3);

/// Whether it answers, as far as the calls of this host can tell.
#[derive(Debug, Default)]
pub(super) struct Absence(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// When it last did.
    answered: Option<Instant>,
    away: Option<Away>,
}

#[derive(Debug, Clone, Copy)]
struct Away {
    since: Instant,
    /// When the next call may ask.
    again: Instant,
}

impl Absence {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a call begin; or says for how long there has been no answer.
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

    /// A call that began at `begun` was not answered in time.
    pub(super) fn timed_out(&self, begun: Instant, now: Instant) {
        let mut state = self.state();
        // Others were answered meanwhile, so it is the connection alone.
        if state.answered.is_some_and(|answered| answered > begun) {
            return;
        }
        let since = state.away.map_or(begun, |away| away.since);
        let again = later(now, PAUSE);
        state.away = Some(Away { since, again });
    }

    /// A call was answered, or it was told at once that there is no answer.
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
    fn after_a_time_out_one_call_asks_and_the_others_are_told_at_once() {
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
