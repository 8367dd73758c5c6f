//! The readers of one key, and the selection of those due.

use super::reader::Reader;
use crate::exchange::{Cause, Token};
use crate::store::ChangeNumber;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;

/// A reader, and its place in a group.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) reader: Reader,
    /// Locked after the topic's own lock, never before it.
    place: Mutex<Option<Membership>>,
}

impl Waiter {
    pub(super) fn new(reader: Reader) -> Arc<Self> {
        Arc::new(Self {
            reader,
            place: Mutex::new(None),
        })
    }

    fn place(&self) -> MutexGuard<'_, Option<Membership>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the reader from its group. No group adds it again.
    pub(super) fn leave(self: &Arc<Self>) {
        self.reader.leave();
        let place = self.place().clone();
        if let Some(place) = place {
            place.topic.remove(self);
        }
    }
}

/// Position of a waiting reader.
#[derive(Debug, Clone)]
struct Membership {
    topic: Arc<Topic>,
    token: Token,
    index: usize,
}

#[derive(Debug)]
struct Member {
    waiter: Arc<Waiter>,
    /// The end of the wait or of the exchange, the earlier of the two.
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
    /// Time of the task's next check; none during a check.
    armed: Option<Instant>,
    /// The last change that the task compared with its readers' numbers.
    compared: ChangeNumber,
    /// Whether the task has ended all waiting readers because the server shuts down.
    drained: bool,
}

/// A key and the readers that wait for it.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) key: Box<str>,
    groups: Mutex<Groups>,
    /// Notified when the task has to check earlier than planned.
    bell: Notify,
}

/// Readers to be resumed together.
pub(super) struct Due {
    pub(super) token: Token,
    pub(super) cause: Cause,
    pub(super) waiters: Vec<Arc<Waiter>>,
}

impl Topic {
    pub(super) fn new(key: Box<str>) -> Self {
        Self {
            key,
            groups: Mutex::default(),
            bell: Notify::new(),
        }
    }

    fn groups(&self) -> MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds readers to the group of their token. `noted` was the latest change when their last step
    /// began, and their wait ends at `over`.
    pub(super) fn insert(
        self: &Arc<Self>,
        waiters: Vec<Arc<Waiter>>,
        token: Token,
        noted: ChangeNumber,
        over: Instant,
    ) {
        let mut groups = self.groups();
        let early = groups.insert(self, waiters, token, noted, over);
        // A change that the task compared before these readers joined does not wake the task again.
        let missed = noted < groups.compared || groups.drained;
        if missed || groups.armed.is_some_and(|armed| early < armed) {
            drop(groups);
            self.bell.notify_one();
        }
    }

    /// Removes and returns every reader to be resumed now. `changed` is the key's last change.
    pub(super) fn take_due(&self, changed: ChangeNumber, now: Instant, drain: bool) -> Vec<Due> {
        self.groups().take_due(changed, now, drain)
    }

    /// Returns the earliest time at which a reader is due without a change. [`ring`](Self::ring)
    /// returns when this time becomes earlier. None if no reader waits here.
    pub(super) fn arm(&self) -> Option<Instant> {
        let mut groups = self.groups();
        groups.armed = groups.by_token.values().map(|group| group.earliest).min();
        groups.armed
    }

    /// Undoes [`arm`](Self::arm), for a task that is about to check every reader anyway.
    pub(super) fn disarm(&self) {
        self.groups().armed = None;
    }

    /// Returns when the task has to check earlier than planned, or is no longer needed.
    pub(super) async fn ring(&self) {
        self.bell.notified().await;
    }

    fn remove(&self, waiter: &Arc<Waiter>) {
        let mut groups = self.groups();
        let Some(place) = waiter.place().take() else {
            return;
        };
        let Some(group) = groups.by_token.get_mut(&place.token) else {
            return;
        };
        // While its group is served, the reader is in no group and its place is outdated.
        let found = group.members.get(place.index);
        if !found.is_some_and(|member| Arc::ptr_eq(&member.waiter, waiter)) {
            return;
        }
        group.members.swap_remove(place.index);
        if let Some(moved) = group.members.get(place.index)
            && let Some(moved) = moved.waiter.place().as_mut()
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
    /// Adds readers. Returns the earliest time at which one of them is due.
    fn insert(
        &mut self,
        topic: &Arc<Topic>,
        waiters: Vec<Arc<Waiter>>,
        token: Token,
        noted: ChangeNumber,
        over: Instant,
    ) -> Instant {
        let group = self.by_token.entry(token.clone()).or_insert_with(|| Group {
            since: noted,
            earliest: over,
            members: Vec::with_capacity(waiters.len()),
        });
        group.since = group.since.min(noted);
        let mut early = over;
        for waiter in waiters {
            let mut place = waiter.place();
            // Checked under this lock, so that a reader that leaves later finds its place.
            if waiter.reader.has_left() {
                continue;
            }
            *place = Some(Membership {
                topic: Arc::clone(topic),
                token: token.clone(),
                index: group.members.len(),
            });
            drop(place);
            let over = waiter.reader.wait_until(over.into_std());
            let due = match waiter.reader.expires {
                Some(expires) => over.min(expires),
                None => over,
            };
            let due = Instant::from_std(due);
            early = early.min(due);
            group.members.push(Member { waiter, due });
        }
        group.earliest = group.earliest.min(early);
        if group.members.is_empty() {
            self.by_token.remove(&token);
        }
        early
    }

    /// Removes and returns every reader to be resumed now.
    fn take_due(&mut self, changed: ChangeNumber, now: Instant, drain: bool) -> Vec<Due> {
        self.compared = changed;
        self.drained = drain;
        let mut due = Vec::new();
        self.by_token.retain(|token, group| {
            let cause = match group.since < changed {
                _ if drain => Some(Cause::Draining),
                true => Some(Cause::Changed),
                false => None,
            };
            if let Some(cause) = cause {
                let members = std::mem::take(&mut group.members);
                let waiters = members.into_iter().map(|member| member.waiter);
                // A stream that changes all the time must not keep readers beyond their maximum
                // age.
                let (expired, rest) = waiters.partition(|waiter| {
                    cause == Cause::Changed && waiter.reader.is_expired(now.into_std())
                });
                push(&mut due, token, Cause::Expired, expired);
                push(&mut due, token, cause, rest);
            } else if group.earliest <= now {
                group.take_late(token, now, &mut due);
            }
            !group.members.is_empty()
        });
        due
    }
}

/// Adds readers that are due, if there are any.
fn push(due: &mut Vec<Due>, token: &Token, cause: Cause, waiters: Vec<Arc<Waiter>>) {
    if !waiters.is_empty() {
        due.push(Due {
            token: token.clone(),
            cause,
            waiters,
        });
    }
}

impl Group {
    /// Removes the members that are due.
    fn take_late(&mut self, token: &Token, now: Instant, due: &mut Vec<Due>) {
        let late = self.members.extract_if(.., |member| member.due <= now);
        let (expired, timeout): (Vec<_>, Vec<_>) = late
            .map(|member| member.waiter)
            .partition(|waiter| waiter.reader.is_expired(now.into_std()));
        push(due, token, Cause::Expired, expired);
        push(due, token, Cause::Timeout, timeout);
        for (index, member) in self.members.iter().enumerate() {
            if let Some(place) = member.waiter.place().as_mut() {
                place.index = index;
            }
        }
        let earliest = self.members.iter().map(|member| member.due).min();
        self.earliest = earliest.unwrap_or(self.earliest);
    }
}

#[cfg(test)]
mod tests;
