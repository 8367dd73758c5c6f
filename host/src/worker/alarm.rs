//! The time when background work is due.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The earliest due time.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    at: Mutex<Option<Instant>>,
    earlier: Notify,
}

impl Alarm {
    /// Adds a due time in milliseconds since 1970.
    pub(crate) fn set(&self, due_ms: Option<u64>) {
        let Some(due_ms) = due_ms else { return };
        let due = UNIX_EPOCH.checked_add(Duration::from_millis(due_ms));
        let left = due.and_then(|due| due.duration_since(SystemTime::now()).ok());
        let Some(due) = Instant::now().checked_add(left.unwrap_or_default()) else {
            return;
        };
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        if at.is_none_or(|at| due < at) {
            *at = Some(due);
            self.earlier.notify_one();
        }
    }

    /// Waits until the earliest due time, but no longer than `most`, and removes it.
    pub(crate) async fn wait(&self, most: Duration) {
        let now = Instant::now();
        let end = now.checked_add(most).unwrap_or(now);
        loop {
            let at = *self.at.lock().unwrap_or_else(PoisonError::into_inner);
            let until = at.map_or(end, |at| at.min(end));
            tokio::select! {
                () = sleep_until(until) => break,
                () = self.earlier.notified() => {}
            }
        }
        *self.at.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The time this many milliseconds from now, in milliseconds since 1970.
    fn in_ms(ms: u64) -> Option<u64> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Some(now.expect("after 1970").as_millis() as u64 + ms)
    }

    #[tokio::test]
    async fn the_alarm_rings_at_the_earliest_time_that_was_set() {
        let alarm = Alarm::default();
        let forever = Duration::from_secs(3600);
        let sets = async {
            alarm.set(in_ms(3_600_000));
            alarm.set(None);
            alarm.set(in_ms(1));
            alarm.set(in_ms(1_800_000));
        };
        tokio::join!(alarm.wait(forever), sets);
        // The time is removed after the wait; a time in the past is due at once.
        assert!(alarm.at.lock().expect("no panic").is_none());
        alarm.set(Some(0));
        alarm.wait(forever).await;
    }

    #[tokio::test]
    async fn the_alarm_rings_without_a_time_too() {
        Alarm::default().wait(Duration::from_millis(1)).await;
    }
}
