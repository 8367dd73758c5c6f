//! The threads of the store: one writes, one gives room back.

use super::queue::Batch;
use super::shared::Shared;
use crate::store::Lost;
use crate::store::log::{Change, CommitError, CompactError};
use crate::telemetry;
use std::time::{Duration, Instant};

/// Divisor of the duration of the last write. The quotient limits the pause before the next write.
const PAUSE_SHARE: u32 = 2;
/// Upper limit of the pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(2);

/// Pause between two attempts to give room back.
const LOOK: Duration = Duration::from_secs(1);
/// Pause after a failed attempt.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Duration of a round of the cache.
const ROUND: Duration = Duration::from_secs(60);

/// Makes batches durable, one after another, until the store is closed.
pub(super) fn write(shared: &Shared) {
    let mut failed: u64 = 0;
    let (mut wanted, mut patience) = (1, Duration::ZERO);
    while let Some(Batch { changes, last }) = shared.queue.take(wanted, patience) {
        let begun = Instant::now();
        let committed = commit(shared, &changes);
        // The callers of this batch return soon, and can share the next sync with callers that
        // arrived meanwhile. Without a pause the two groups would take turns waiting for each
        // other's sync.
        let took = begun.elapsed();
        if let Some(time) = shared.commit_time.get() {
            time.record(took);
        }
        patience = (took / PAUSE_SHARE).min(LONGEST_PAUSE);
        wanted = changes.len().saturating_add(shared.queue.len());
        match committed {
            Ok(()) => {
                shared.full.found_some();
                shared.settling.confirm(last);
                shared.overlay.clean(changes);
                if failed > 0 {
                    telemetry::changes_kept_again(failed);
                    failed = 0;
                }
            }
            Err(error) => {
                if let CommitError::Full(_) = error {
                    // Refuse writes before the waiters are notified of the loss and try again.
                    shared.full.found_none(shared.opened.elapsed());
                }
                lose(shared, &error);
                // Report only the first failure. A disk that stays full would flood the program's
                // log.
                if failed == 0 {
                    telemetry::changes_lost(&error.to_string());
                }
                failed = failed.saturating_add(1);
            }
        }
    }
}

/// Commits a batch. On a full disk, a batch that frees room may use the reserve.
fn commit(shared: &Shared, changes: &[Change]) -> Result<(), CommitError> {
    match shared.log.commit(changes) {
        Err(CommitError::Full(error)) => match shared.growth_of(changes) {
            Some(growth) => shared.log.commit_freeing(changes, growth),
            None => Err(CommitError::Full(error)),
        },
        other => other,
    }
}

/// Drops all changes that the log does not hold.
fn lose(shared: &Shared, error: &CommitError) {
    let lost = match error {
        CommitError::Full(_) => Lost::NoSpace,
        CommitError::Write(_) | CommitError::TooLarge | CommitError::Refused => Lost::NotWritten,
        CommitError::Sync(_) => Lost::NotConfirmed,
    };
    let mut numbers = None;
    shared.overlay.drop_newer(|| {
        // Count the loss while no thread can read. Every caller that read a lost value then finds
        // the count changed.
        shared.settling.count_loss();
        let (last, floor) = shared.queue.clear();
        numbers = Some((last, floor));
        floor
    });
    if let Some((last, floor)) = numbers {
        shared.settling.lose(last, lost);
        shared.settling.confirm(floor);
    }
    shared.watchers.notify_all();
}

/// Gives room back until the store is closed: compacts the log step by step, and drops cached
/// values that are not read any more.
pub(super) fn compact(shared: &Shared) {
    let mut pause = LOOK;
    let mut compaction = Compaction::default();
    let mut turned = Instant::now();
    while shared.queue.pause(pause) {
        if turned.elapsed() >= ROUND {
            shared.overlay.cache.turn();
            turned = Instant::now();
        }
        let refused = shared.log.refuses_writes();
        shared.log.look();
        if !refused && shared.log.refuses_writes() {
            let detail = "stop the server and restore the directory";
            telemetry::error("the directory of the store was removed or replaced", detail);
        }
        pause = compaction.pause(shared.log.compact(), log);
        let had_reserve = !shared.log.is_on_reserve();
        if shared.log.restore_reserve() && !had_reserve {
            shared.full.found_some();
            telemetry::back("the reserve on the disk");
        }
    }
}

/// Report about giving room back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notice<'a> {
    Failed(&'a str),
    Works,
}

fn log(notice: Notice<'_>) {
    match notice {
        Notice::Failed(why) => telemetry::warn("room not given back", why),
        Notice::Works => telemetry::back("giving room back"),
    }
}

/// State of the repeated attempts to give room back.
#[derive(Debug, Default)]
struct Compaction {
    /// Reason of the last failure. It is reported once, since after a failed sync each attempt
    /// fails until a restart.
    failure: Option<String>,
}

impl Compaction {
    /// Returns the pause after an attempt.
    fn pause(
        &mut self,
        attempt: Result<bool, CompactError>,
        mut report: impl FnMut(Notice<'_>),
    ) -> Duration {
        match attempt {
            Ok(more) => {
                if self.failure.take().is_some() {
                    report(Notice::Works);
                }
                if more { Duration::ZERO } else { LOOK }
            }
            Err(error) => {
                let why = error.to_string();
                if self.failure.as_ref() != Some(&why) {
                    report(Notice::Failed(&why));
                }
                self.failure = Some(why);
                LOOK_AGAIN
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After a failed sync the same message was logged every ten seconds, until the restart.
    #[test]
    fn the_reason_why_no_room_is_given_back_is_logged_once_until_it_changes() {
        let refused = || Err(CommitError::Refused.into());
        let too_large = || Err(CommitError::TooLarge.into());
        let attempts = [
            Ok(true),
            refused(),
            refused(),
            too_large(),
            too_large(),
            Ok(false),
            Ok(false),
            refused(),
        ];
        let (mut compaction, mut notices) = (Compaction::default(), Vec::new());
        let mut pauses = Vec::new();
        for attempt in attempts {
            pauses.push(compaction.pause(attempt, |notice| match notice {
                Notice::Failed(why) => notices.push(why.to_owned()),
                Notice::Works => notices.push("works".to_owned()),
            }));
        }
        let (refused, too_large) = (CommitError::Refused, CommitError::TooLarge);
        let (refused, too_large) = (
            CompactError::from(refused).to_string(),
            CompactError::from(too_large).to_string(),
        );
        assert_eq!(notices, [&*refused, &too_large, "works", &refused]);
        let again = LOOK_AGAIN;
        let expected = [
            Duration::ZERO,
            again,
            again,
            again,
            again,
            LOOK,
            LOOK,
            again,
        ];
        assert_eq!(pauses, expected);
    }
}
