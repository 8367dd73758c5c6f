//! Readers that wait for changes of keys, in groups that are served together.
//!
//! Readers with the same token share one step and one encoding, regardless of their number. All
//! groups of one key form a topic. A topic has a task while a reader waits there.
//!
//! No wake-up is lost. A reader brings the change number that was noted before its last step. For
//! every later change there are three cases. The topic's task may compare the numbers after the
//! reader joins. The task may have compared them after the change and before the reader joined;
//! then [`Topic::insert`] rings the bell. Or the change came after the comparison; then it fires
//! the watch that was registered before the comparison. Shutdown of the server works in the same
//! way.

use super::reader::Then;
use super::topic::{Due, Topic, Waiter};
use crate::budget::Pool;
use crate::exchange::{Cause, Next, StepError, Token, Wait};
use crate::store::ChangeNumber;
use crate::telemetry;
use crate::vital;
use crate::worker::{Answered, Worker};
use metrics::Histogram;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Timeouts within this time of each other are served together. Each is late by at most this time.
const TOGETHER: Duration = Duration::from_millis(5);

/// Result of joining.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// The reader waits.
    Waits,
    /// The reader must be resumed at once, with this cause.
    Due(Cause),
}

/// All topics of one worker.
pub(super) struct Topics {
    worker: Arc<Worker>,
    by_key: Mutex<HashMap<Box<str>, Arc<Topic>>>,
    draining: watch::Receiver<bool>,
    /// Room for the bytes that groups send.
    pool: Arc<Pool>,
    /// Time to serve readers after a change.
    wake: Histogram,
}

impl Topics {
    pub(super) fn new(
        worker: Arc<Worker>,
        draining: watch::Receiver<bool>,
        pool: Arc<Pool>,
        wake: Histogram,
    ) -> Arc<Self> {
        Arc::new(Self {
            pool,
            wake,
            worker,
            by_key: Mutex::default(),
            draining,
        })
    }

    fn by_key(&self) -> MutexGuard<'_, HashMap<Box<str>, Arc<Topic>>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of keys that readers wait for.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_key().len()
    }

    /// Lets a reader wait. `noted` was the latest change when its last step began.
    pub(super) fn join(
        self: &Arc<Self>,
        waiter: &Arc<Waiter>,
        wait: Wait,
        noted: ChangeNumber,
    ) -> Joined {
        if *self.draining.borrow() {
            return Joined::Due(Cause::Draining);
        }
        // A shortcut past the group. The topic's task notices any later change.
        if self.worker.store().last_change(&wait.key) > noted {
            return Joined::Due(Cause::Changed);
        }
        self.insert(vec![Arc::clone(waiter)], wait, noted);
        Joined::Waits
    }

    /// Adds readers to the group of their token. The topic's task serves them from now on.
    fn insert(self: &Arc<Self>, waiters: Vec<Arc<Waiter>>, wait: Wait, noted: ChangeNumber) {
        let Wait {
            token,
            key,
            max_wait,
        } = wait;
        let now = Instant::now();
        let over = now.checked_add(max_wait).unwrap_or_else(|| far(now));
        // The task removes a topic under this lock too, so a topic found here has a task.
        let mut by_key = self.by_key();
        let topic = match by_key.entry(key) {
            Entry::Occupied(topic) => Arc::clone(topic.get()),
            Entry::Vacant(free) => {
                let topic = Arc::new(Topic::new(free.key().clone()));
                free.insert(Arc::clone(&topic));
                let task = look_after(Arc::clone(self), Arc::clone(&topic));
                tokio::spawn(vital::task("the task of waiting readers", task));
                topic
            }
        };
        topic.insert(waiters, token, noted, over);
    }

    /// Resumes readers together and delivers the answer to each.
    async fn serve(self: &Arc<Self>, due: Due) {
        let Due {
            token,
            cause,
            mut waiters,
        } = due;
        let begun = Instant::now();
        let outcome = resume(&self.worker, &token, cause).await;
        let Answered { mut answer, noted } = match outcome {
            Ok(answered) => answered,
            Err(error) => {
                let failed = |waiter: &Arc<Waiter>| waiter.reader.set(Then::Failed(error.clone()));
                waiters.iter().for_each(failed);
                return;
            }
        };
        let then = after(&answer.next);
        answer.message.share(&self.pool);
        let ends_wait = cause != Cause::Changed || !answer.message.is_silent();
        waiters.retain(|waiter| {
            let reader = &waiter.reader;
            if ends_wait {
                reader.end_wait();
            }
            !reader.has_left()
                && reader.deliver(&mut answer.message, then.clone(), std::convert::identity)
        });
        if cause == Cause::Changed {
            self.wake.record(begun.elapsed());
        }
        if let Next::Change(wait) = answer.next
            && !waiters.is_empty()
        {
            if cause == Cause::Draining {
                // The component was asked to end the exchange, and has nothing more to send.
                waiters
                    .iter()
                    .for_each(|waiter| waiter.reader.set(Then::End));
            } else {
                self.insert(waiters, wait, noted);
            }
        }
    }
}

/// The mailbox's next action after an answer.
pub(super) fn after(next: &Next) -> Then {
    match next {
        Next::Done => Then::End,
        Next::Ready(token) => Then::Resume(token.clone(), Cause::Ready),
        Next::Change(_) => Then::Wait,
        Next::Reset => Then::Reset,
        Next::Again(_) => {
            // A resumed exchange has no request to start again.
            telemetry::warn("the component asked to start a resumed exchange again", "");
            Then::Reset
        }
    }
}

/// Resumes with a token, and tries again if the instance broke. A token outlives the instance that
/// made it, and reading has no side effects.
pub(super) async fn resume(
    worker: &Arc<Worker>,
    token: &Token,
    cause: Cause,
) -> Result<Answered, StepError> {
    let lost = |_| StepError::Broken("the step was dropped".to_owned());
    let first = worker.resume(token.clone(), cause).await;
    match first.map_err(lost).flatten() {
        Ok(answered) => Ok(answered),
        Err(_) => {
            let second = worker.resume(token.clone(), cause).await;
            second.map_err(lost).flatten()
        }
    }
}

fn far(now: Instant) -> Instant {
    let year = Duration::from_secs(365 * 24 * 3600);
    now.checked_add(year).unwrap_or(now)
}

/// Serves due readers of a topic until no reader waits there.
async fn look_after(topics: Arc<Topics>, topic: Arc<Topic>) {
    let store = Arc::clone(topics.worker.store());
    let mut draining = topics.draining.clone();
    loop {
        // The order matters: register the watch before reading the number.
        let watch = store.watch(&topic.key);
        let changed = store.last_change(&topic.key);
        let drain = *draining.borrow_and_update();
        let due = topic.take_due(changed, Instant::now(), drain);
        if !due.is_empty() {
            drop(watch);
            for due in due {
                topics.serve(due).await;
            }
            continue;
        }
        let until = {
            let mut by_key = topics.by_key();
            match topic.arm() {
                Some(until) => until,
                None => {
                    by_key.remove(&topic.key);
                    return;
                }
            }
        };
        let late = until.checked_add(TOGETHER).unwrap_or(until);
        tokio::select! {
            () = watch => {}
            () = topic.ring() => {}
            () = sleep_until(late) => {}
            Ok(()) = draining.changed() => {}
        }
        topic.disarm();
    }
}
