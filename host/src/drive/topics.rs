//! Readers that wait for changes of keys, in groups that are served together.
//!
//! Readers that wait with one token need one step and one encoding, however many they are. All
//! groups of one key make a topic, which has a task for as long as a reader waits there.
//!
//! No wake-up is lost: a reader brings the change number that was noted before its last step. Of
//! every change after that one, either the topic's task has still to compare the numbers when the
//! reader comes in; or it compared them after the change, and remembers so ([`Topic::insert`] rings
//! for it); or the change came later, and fires the watch that was registered before the
//! comparison. With the end of the server it is the same.

use super::reader::Then;
use super::topic::{Due, Topic, Waiter};
use crate::budget::Pool;
use crate::exchange::{Cause, Next, StepError, Token, Wait};
use crate::store::ChangeNumber;
use crate::telemetry;
use crate::vital;
use crate::worker::{Answered, Worker};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Timeouts within this time of each other are served together; each is late by this at most.
const TOGETHER: Duration = Duration::from_millis(5);

/// Result of joining.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// The reader waits.
    Waits,
    /// There is nothing to wait for: it is to be resumed at once.
    Due(Cause),
}

/// All topics of one worker.
pub(super) struct Topics {
    worker: Arc<Worker>,
    by_key: Mutex<HashMap<Box<str>, Arc<Topic>>>,
    draining: watch::Receiver<bool>,
    /// Room for the bytes that groups get.
    pool: Arc<Pool>,
}

impl Topics {
    pub(super) fn new(
        worker: Arc<Worker>,
        draining: watch::Receiver<bool>,
        pool: Arc<Pool>,
    ) -> Arc<Self> {
        Arc::new(Self {
            pool,
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

    /// Lets a reader wait, whose last step began when `noted` was the latest change.
    pub(super) fn join(
        self: &Arc<Self>,
        waiter: &Arc<Waiter>,
        wait: Wait,
        noted: ChangeNumber,
    ) -> Joined {
        if *self.draining.borrow() {
            return Joined::Due(Cause::Draining);
        }
        // Saves the way through the group; what changes from here on is not missed there either.
        if self.worker.store().last_change(&wait.key) > noted {
            return Joined::Due(Cause::Changed);
        }
        self.insert(vec![Arc::clone(waiter)], wait, noted);
        Joined::Waits
    }

    /// Puts readers into the group of their token; the topic's task looks after them from now on.
    fn insert(self: &Arc<Self>, waiters: Vec<Arc<Waiter>>, wait: Wait, noted: ChangeNumber) {
        let Wait {
            token,
            key,
            max_wait,
        } = wait;
        let now = Instant::now();
        let over = now.checked_add(max_wait).unwrap_or_else(|| far(now));
        // The task gives up a topic under this lock too, so what is found here is alive.
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
        if let Next::Change(wait) = answer.next
            && !waiters.is_empty()
        {
            if cause == Cause::Draining {
                // It was told to end, and has nothing more to say.
                waiters
                    .iter()
                    .for_each(|waiter| waiter.reader.set(Then::End));
            } else {
                self.insert(waiters, wait, noted);
            }
        }
    }
}

/// What the mailbox does after an answer.
pub(super) fn after(next: &Next) -> Then {
    match next {
        Next::Done => Then::End,
        Next::Ready(token) => Then::Resume(token.clone(), Cause::Ready),
        Next::Change(_) => Then::Wait,
        Next::Reset => Then::Reset,
        Next::Again(_) => {
            // There is no request to start again.
            telemetry::warn("the component asked to start a resumed exchange again", "");
            Then::Reset
        }
    }
}

/// Resumes, and once more if the instance broke: a token outlives the instance that made it, and
/// reading changes nothing.
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

/// Serves the readers that are due at a topic, until none waits there any more.
async fn look_after(topics: Arc<Topics>, topic: Arc<Topic>) {
    let store = Arc::clone(topics.worker.store());
    let mut draining = topics.draining.clone();
    loop {
        // The order matters: first the watch, then the number.
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
