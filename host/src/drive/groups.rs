//! Who waits for the change of which key, in groups that are served together.
//!
//! Readers that wait with one token need one step and one encoding, however many they are. All
//! groups of one key make a topic, which has a task for as long as anybody waits there.
//!
//! No wake-up is lost: a reader brings the change number that was noted before its last step. Who
//! joins after the key moved on is told so at once. For who joined before, the task either still
//! compares the numbers (it does so after it registered its watch), or the watch fires.

use super::delivery::Delivery;
use super::reader::{Reader, Then};
use crate::exchange::{Cause, Next, StepError, Token, Wait};
use crate::store::ChangeNumber;
use crate::telemetry;
use crate::worker::{Answered, Worker};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

/// Timeouts within this time of each other are served together; each is late by this at most.
const TOGETHER: Duration = Duration::from_millis(5);

/// Where a reader waits.
#[derive(Debug, Clone)]
pub(super) struct Place {
    topic: Arc<Topic>,
    token: Token,
    index: usize,
}

/// What joining came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// The reader waits.
    Waits,
    /// There is nothing to wait for: it is to be resumed at once.
    Due(Cause),
}

#[derive(Debug)]
struct Member {
    reader: Arc<Reader>,
    /// When the wait is over, or the reader's time.
    due: Instant,
}

#[derive(Debug)]
struct Group {
    /// The lowest number that any member noted.
    since: ChangeNumber,
    /// No member is due before this.
    earliest: Instant,
    members: Vec<Member>,
}

#[derive(Debug, Default)]
struct Groups {
    by_token: HashMap<Token, Group>,
    /// When the task looks again by itself; none while it is looking.
    armed: Option<Instant>,
}

/// A key and who waits for it.
#[derive(Debug)]
pub(super) struct Topic {
    key: Box<str>,
    groups: Mutex<Groups>,
    /// Rung when the task has to look earlier than it meant to.
    bell: Notify,
}

/// All topics of one worker.
pub(super) struct Topics {
    worker: Arc<Worker>,
    by_key: Mutex<HashMap<Box<str>, Arc<Topic>>>,
    draining: watch::Receiver<bool>,
}

/// Readers that are to be resumed together.
struct Due {
    token: Token,
    cause: Cause,
    readers: Vec<Arc<Reader>>,
}

impl Topics {
    pub(super) fn new(worker: Arc<Worker>, draining: watch::Receiver<bool>) -> Arc<Self> {
        Arc::new(Self {
            worker,
            by_key: Mutex::default(),
            draining,
        })
    }

    fn by_key(&self) -> MutexGuard<'_, HashMap<Box<str>, Arc<Topic>>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keys that somebody waits for.
    pub(super) fn len(&self) -> usize {
        self.by_key().len()
    }

    /// Lets a reader wait, whose last step began when `noted` was the latest change.
    pub(super) fn join(
        self: &Arc<Self>,
        reader: &Arc<Reader>,
        wait: Wait,
        noted: ChangeNumber,
    ) -> Joined {
        if *self.draining.borrow() {
            return Joined::Due(Cause::Draining);
        }
        if self.worker.store().last_change(&wait.key) > noted {
            return Joined::Due(Cause::Changed);
        }
        self.insert(vec![Arc::clone(reader)], wait, noted);
        Joined::Waits
    }

    /// Puts readers into the group of their token; the topic's task looks after them from now on.
    fn insert(self: &Arc<Self>, readers: Vec<Arc<Reader>>, wait: Wait, noted: ChangeNumber) {
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
                tokio::spawn(look_after(Arc::clone(self), Arc::clone(&topic)));
                topic
            }
        };
        let mut groups = topic.groups();
        let early = groups.insert(&topic, readers, token, noted, over);
        let ring = groups.armed.is_some_and(|armed| early < armed);
        drop(groups);
        drop(by_key);
        if ring {
            topic.bell.notify_one();
        }
    }

    /// Takes a reader out of wherever it waits; it is never taken in again.
    pub(super) fn leave(reader: &Arc<Reader>) {
        reader.leave();
        let place = lock_place(reader).clone();
        if let Some(place) = place {
            place.topic.remove(reader);
        }
    }

    /// Resumes readers together and delivers the answer to each.
    async fn serve(self: &Arc<Self>, due: Due) {
        let Due {
            token,
            cause,
            mut readers,
        } = due;
        let outcome = resume(&self.worker, &token, cause).await;
        let Answered { mut answer, noted } = match outcome {
            Ok(answered) => answered,
            Err(_) => {
                readers.iter().for_each(|reader| reader.set(Then::Reset));
                return;
            }
        };
        let mut delivery = Delivery::new(&mut answer);
        let then = after(&answer.next);
        readers.retain(|reader| !reader.has_left() && reader.deliver(&mut delivery, then.clone()));
        if let Next::Change(wait) = answer.next
            && !readers.is_empty()
        {
            if cause == Cause::Draining {
                // It was told to end, and has nothing more to say.
                readers.iter().for_each(|reader| reader.set(Then::End));
            } else {
                self.insert(readers, wait, noted);
            }
        }
    }
}

/// What the mailbox is told to do after an answer.
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

fn lock_place(reader: &Reader) -> MutexGuard<'_, Option<Place>> {
    reader.place.lock().unwrap_or_else(PoisonError::into_inner)
}

fn far(now: Instant) -> Instant {
    let year = Duration::from_secs(365 * 24 * 3600);
    now.checked_add(year).unwrap_or(now)
}

/// Serves whoever is due at a topic, until nobody waits there any more.
async fn look_after(topics: Arc<Topics>, topic: Arc<Topic>) {
    let store = Arc::clone(topics.worker.store());
    let mut draining = topics.draining.clone();
    loop {
        // The order matters: first the watch, then the number.
        let watch = store.watch(&topic.key);
        let changed = store.last_change(&topic.key);
        let drain = *draining.borrow_and_update();
        let due = topic.groups().take_due(changed, Instant::now(), drain);
        if !due.is_empty() {
            drop(watch);
            for due in due {
                topics.serve(due).await;
            }
            continue;
        }
        let until = {
            let mut by_key = topics.by_key();
            let mut groups = topic.groups();
            match groups.arm() {
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
            () = topic.bell.notified() => {}
            () = sleep_until(late) => {}
            Ok(()) = draining.changed() => {}
        }
        topic.groups().armed = None;
    }
}

impl Topic {
    fn new(key: Box<str>) -> Self {
        Self {
            key,
            groups: Mutex::default(),
            bell: Notify::new(),
        }
    }

    fn groups(&self) -> MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&self, reader: &Arc<Reader>) {
        let mut groups = self.groups();
        let Some(place) = lock_place(reader).take() else {
            return;
        };
        let Some(group) = groups.by_token.get_mut(&place.token) else {
            return;
        };
        // While its group is being served the reader is in none, and its place is an old one.
        let found = group.members.get(place.index);
        if !found.is_some_and(|member| Arc::ptr_eq(&member.reader, reader)) {
            return;
        }
        group.members.swap_remove(place.index);
        if let Some(moved) = group.members.get(place.index)
            && let Some(moved) = lock_place(&moved.reader).as_mut()
        {
            moved.index = place.index;
        }
        if group.members.is_empty() {
            groups.by_token.remove(&place.token);
        }
        if groups.by_token.is_empty() {
            drop(groups);
            self.bell.notify_one();
        }
    }
}

impl Groups {
    /// Adds readers; says when the first of them is due.
    fn insert(
        &mut self,
        topic: &Arc<Topic>,
        readers: Vec<Arc<Reader>>,
        token: Token,
        noted: ChangeNumber,
        over: Instant,
    ) -> Instant {
        let group = self.by_token.entry(token.clone()).or_insert_with(|| Group {
            since: noted,
            earliest: over,
            members: Vec::with_capacity(readers.len()),
        });
        group.since = group.since.min(noted);
        let mut early = over;
        for reader in readers {
            let mut place = lock_place(&reader);
            // Asked under this lock: who leaves later finds the place.
            if reader.has_left() {
                continue;
            }
            *place = Some(Place {
                topic: Arc::clone(topic),
                token: token.clone(),
                index: group.members.len(),
            });
            drop(place);
            let due = match reader.expires {
                Some(expires) => over.min(expires.into()),
                None => over,
            };
            early = early.min(due);
            group.members.push(Member { reader, due });
        }
        group.earliest = group.earliest.min(early);
        if group.members.is_empty() {
            self.by_token.remove(&token);
        }
        early
    }

    /// When the first member of any group is due; the task sleeps until then. Nothing if there are
    /// no groups.
    fn arm(&mut self) -> Option<Instant> {
        self.armed = self.by_token.values().map(|group| group.earliest).min();
        self.armed
    }

    /// Takes out everyone who is to be resumed now.
    fn take_due(&mut self, changed: ChangeNumber, now: Instant, drain: bool) -> Vec<Due> {
        let mut due = Vec::new();
        self.by_token.retain(|token, group| {
            let cause = match group.since < changed {
                _ if drain => Some(Cause::Draining),
                true => Some(Cause::Changed),
                false => None,
            };
            if let Some(cause) = cause {
                let members = std::mem::take(&mut group.members);
                let readers = members.into_iter().map(|member| member.reader).collect();
                let token = token.clone();
                due.push(Due {
                    token,
                    cause,
                    readers,
                });
            } else if group.earliest <= now {
                group.take_late(token, now, &mut due);
            }
            !group.members.is_empty()
        });
        due
    }
}

impl Group {
    /// Takes out the members whose time is over.
    fn take_late(&mut self, token: &Token, now: Instant, due: &mut Vec<Due>) {
        let late = self.members.extract_if(.., |member| member.due <= now);
        let (expired, timeout): (Vec<_>, Vec<_>) = late
            .map(|member| member.reader)
            .partition(|reader| reader.expires.is_some_and(|age| age <= now.into_std()));
        for (cause, readers) in [(Cause::Expired, expired), (Cause::Timeout, timeout)] {
            if !readers.is_empty() {
                due.push(Due {
                    token: token.clone(),
                    cause,
                    readers,
                });
            }
        }
        for (index, member) in self.members.iter().enumerate() {
            if let Some(place) = lock_place(&member.reader).as_mut() {
                place.index = index;
            }
        }
        let earliest = self.members.iter().map(|member| member.due).min();
        self.earliest = earliest.unwrap_or(self.earliest);
    }
}
