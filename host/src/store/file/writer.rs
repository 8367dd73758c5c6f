//! The threads of the store: one that writes, one that gives room back.

use super::Shared;
use super::queue::Batch;
use crate::store::Lost;
use crate::store::log::CommitError;
use crate::telemetry;
use std::time::{Duration, Instant};

/// A pause before a write takes at most this share of what the last write took.
const PAUSE_SHARE: u32 = 2;
/// And never longer than this.
const LONGEST_PAUSE: Duration = Duration::from_millis(2);

/// Pause between two looks for room that could be given back.
const LOOK: Duration = Duration::from_secs(1);
/// The same after that failed.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// How long a round of the cache is.
const ROUND: Duration = Duration::from_secs(60);

/// Makes batches durable, one after another, until the store is closed.
pub(super) fn write(shared: &Shared) {
    let mut failed: u64 = 0;
    let (mut wanted, mut patience) = (1, Duration::ZERO);
    while let Some(Batch { changes, last }) = shared.queue.take(wanted, patience) {
        let begun = Instant::now();
        let committed = shared.log.commit(&changes);
        // Whoever was just served will be back soon, and can share the next sync with those who
        // came meanwhile: without a pause the two would wait for each other's by turns.
        patience = (begun.elapsed() / PAUSE_SHARE).min(LONGEST_PAUSE);
        wanted = changes.len().saturating_add(shared.queue.len());
        match committed {
            Ok(()) => {
                shared.settling.confirm(last);
                shared.overlay.clean(changes);
                if failed > 0 {
                    telemetry::changes_kept_again(failed);
                    failed = 0;
                }
            }
            Err(error) => {
                lose(shared, &error);
                // A disk that stays full would fill the log too.
                if failed == 0 {
                    telemetry::changes_lost(&error.to_string());
                }
                failed = failed.saturating_add(1);
            }
        }
    }
}

/// Goes back to what the log holds.
fn lose(shared: &Shared, error: &CommitError) {
    let lost = match error {
        CommitError::Full(_) => Lost::NoSpace,
        CommitError::Write(_) | CommitError::TooLarge | CommitError::Refused => Lost::NotWritten,
        CommitError::Sync(_) => Lost::NotConfirmed,
    };
    let mut numbers = None;
    shared.overlay.drop_newer(|| {
        // Counted while nobody can read: whoever knows of what was lost finds that it was.
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

/// Gives room back until the store is closed: compacts the log a step at a time, and lets go of what
/// is not read any more.
pub(super) fn compact(shared: &Shared) {
    let mut pause = LOOK;
    let mut turned = Instant::now();
    while shared.queue.pause(pause) {
        if turned.elapsed() >= ROUND {
            shared.overlay.cache.turn();
            turned = Instant::now();
        }
        pause = match shared.log.compact() {
            Ok(true) => Duration::ZERO,
            Ok(false) => LOOK,
            Err(error) => {
                telemetry::warn("room not given back", &error.to_string());
                LOOK_AGAIN
            }
        };
    }
}
