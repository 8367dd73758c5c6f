//! From an append to a wake: who is linked to a stream is told what was appended.
//!
//! The order that loses nothing: an append is committed, then the subscription
//! is read; a subscription becomes idle, then the tails are read. So of an append and a release
//! that cross, one sees the other. Whatever stops in between is found by the walk in `due.rs`.

use super::records::{Change, Changed};
use crate::keys::NameHash;
use crate::keys::subscription::Stored;
use crate::keys::todo::Entry;
use crate::limits::WAKES;
use crate::service::core::{Core, Fault};
use crate::service::env::{Env, StoreError};
use crate::service::update::Updated;
use crate::stream::{Head, LifeMark, Position, Subscriber};
use crate::subscription::{Subscription, TooManyLinks};
use std::collections::VecDeque;

/// What was appended, and who is to hear of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::service) struct News {
    /// The stream.
    pub(in crate::service) name: String,
    /// Which life of its name it is.
    pub(in crate::service) life: LifeMark,
    /// Its tail.
    pub(in crate::service) tail: Position,
    /// Who is linked.
    pub(in crate::service) subscribers: Vec<Subscriber>,
}

impl News {
    /// What the stream with this head has to tell these.
    pub(in crate::service) fn of(head: &Head, subscribers: Vec<Subscriber>) -> Self {
        Self {
            name: head.name.clone(),
            life: head.incarnation.mark(),
            tail: head.tail(),
            subscribers,
        }
    }
}

/// Times that the store may not answer before the rest is left to the walk: each may last as long
/// as a store is waited for, and whoever appended waits for all of them.
const MOST_SILENT: u32 = 2;

const fn is_silence(fault: &Fault) -> bool {
    matches!(fault, Fault::Store(StoreError::Unavailable(_)))
}

impl<E: Env> Core<'_, E> {
    /// Tells all who are linked, and those who are linked to the streams that get wake events. What
    /// fails is logged: the append is committed, and the walk finds what is pending.
    /// Says whether somebody had no room for the link.
    pub(in crate::service) fn spread(&self, news: News) -> bool {
        let mut queue = VecDeque::from([news]);
        let mut left = WAKES;
        let mut full = false;
        let mut silent = 0;
        while let Some(news) = queue.pop_front() {
            for subscriber in &news.subscribers {
                if left == 0 {
                    return full;
                }
                left = left.saturating_sub(1);
                match self.tell(&news, subscriber) {
                    Ok(Told::More(more)) => queue.extend(more),
                    Ok(Told::NoRoom) => full = true,
                    Err(fault) => {
                        self.note_fault(&fault);
                        silent += u32::from(is_silence(&fault));
                    }
                }
                if silent == MOST_SILENT {
                    return full;
                }
            }
        }
        full
    }

    /// Logs what could not be done behind an answer.
    pub(in crate::service) fn note_fault(&self, fault: &Fault) {
        let _ = self.log_fault(fault, None);
    }

    /// Tells one.
    fn tell(&self, news: &News, subscriber: &Subscriber) -> Result<Told, Fault> {
        let stream = NameHash::of(&news.name);
        let hash = NameHash::from_bytes(subscriber.subscription);
        let life = subscriber.life;
        let mut told = Told::More(None);
        let wanted = match self.stored(&hash)? {
            Some(Stored::Live(found)) if found.life == life => {
                let now_ms = self.env.now_ms();
                let mut tried = found.clone();
                match self.hear(&mut tried, news, subscriber, 0, now_ms) {
                    // An append passes by: what is due is done.
                    Heard::Nothing if found.due_ms().is_some_and(|due| due <= now_ms) => {
                        return Ok(Told::More(self.look_after(&found)?.news));
                    }
                    Heard::Nothing => return Ok(told),
                    Heard::Linked | Heard::Woken => true,
                    Heard::NotWanted => false,
                    Heard::NoRoom => {
                        told = Told::NoRoom;
                        false
                    }
                }
            }
            _ => false,
        };
        if !wanted {
            self.unlink_head(&stream, &hash, life)?;
            return Ok(told);
        }
        let (commit, wake) = (self.env.random(), self.env.random());
        let changed = self.change(&hash, life, commit, |subscription| {
            let now_ms = self.env.now_ms();
            Ok(
                match self.hear(subscription, news, subscriber, wake, now_ms) {
                    Heard::Nothing | Heard::NotWanted | Heard::NoRoom => Change::Keep,
                    Heard::Linked => Change::Write,
                    Heard::Woken => {
                        self.note_wake(&hash, subscription)?;
                        Change::Write
                    }
                },
            )
        })?;
        Ok(match changed {
            Changed::Written(subscription) if is_wake(&subscription, wake) => {
                Told::More(self.announce(&subscription, &news.name)?)
            }
            _ => told,
        })
    }

    /// What news make of a subscription.
    fn hear(
        &self,
        subscription: &mut Subscription,
        news: &News,
        subscriber: &Subscriber,
        wake: u64,
        now_ms: u64,
    ) -> Heard {
        let stream = *NameHash::of(&news.name).bytes();
        let linked = match subscription.links.get(&stream) {
            Some(link) if link.life == Some(news.life) && link.acked >= subscriber.since => false,
            _ => {
                let Some(kind) = self.wants(subscription, &news.name) else {
                    return Heard::NotWanted;
                };
                let life = Some(news.life);
                match subscription.links.add(stream, subscriber.since, kind, life) {
                    Ok(changed) => changed,
                    Err(TooManyLinks) => return Heard::NoRoom,
                }
            }
        };
        let acked = subscription.links.get(&stream).map(|link| link.acked);
        let pending = acked.is_some_and(|acked| news.tail > acked);
        subscription.expire(now_ms);
        // Before its creation was answered nobody can work for it.
        let pending = pending && subscription.backfilled;
        match pending && subscription.wake(wake, now_ms) {
            true => Heard::Woken,
            false if linked => Heard::Linked,
            false => Heard::Nothing,
        }
    }

    /// Why a subscription is for a stream, as far as its creator may read that.
    pub(super) fn wants(
        &self,
        subscription: &Subscription,
        name: &str,
    ) -> Option<crate::subscription::Kind> {
        let allowed = subscription.rights.allow(crate::access::Scope::Read, name);
        allowed.then(|| subscription.wants(name)).flatten()
    }

    /// Wakes an idle subscription that has pending events, and tells of what follows. Says whether
    /// it is woken.
    pub(super) fn rouse(&self, subscription: &Subscription) -> Result<bool, Fault> {
        let roused = self.wake_pending(subscription)?;
        Ok(self.spread_all(roused))
    }

    /// Tells of what followed from something. Says whether that was done at all.
    pub(super) fn spread_all(&self, done: Done) -> bool {
        if let Some(news) = done.news {
            self.spread(news);
        }
        done.worked
    }

    /// Wakes an idle subscription that has pending events.
    pub(super) fn wake_pending(&self, subscription: &Subscription) -> Result<Done, Fault> {
        if !subscription.is_idle() || !subscription.backfilled {
            return Ok(Done::NOTHING);
        }
        let Some(name) = self.pending(subscription)? else {
            return Ok(Done::NOTHING);
        };
        let hash = NameHash::of(&subscription.id);
        let (commit, wake) = (self.env.random(), self.env.random());
        let changed = self.change(&hash, subscription.life, commit, |subscription| {
            Ok(match subscription.wake(wake, self.env.now_ms()) {
                true => {
                    self.note_wake(&hash, subscription)?;
                    Change::Write
                }
                false => Change::Keep,
            })
        })?;
        Ok(match changed {
            Changed::Written(subscription) if is_wake(&subscription, wake) => {
                Done::with(self.announce(&subscription, &name)?)
            }
            // Somebody else woke it.
            Changed::Kept(_) => Done::with(None),
            Changed::Written(_) | Changed::Missing | Changed::Busy => Done::NOTHING,
        })
    }

    /// Adds the to-do entry of a subscription that is about to be woken, unless it is there. Without
    /// it the walk takes longer to find it; so nothing waits for the entry.
    pub(super) fn note_wake(
        &self,
        hash: &NameHash,
        subscription: &mut Subscription,
    ) -> Result<(), Fault> {
        if subscription.is_noted {
            return Ok(());
        }
        let turn = subscription.noted.saturating_add(1);
        let entry = Entry::Wake {
            hash: *hash,
            life: subscription.life,
            turn,
            since_ms: self.env.now_ms(),
        };
        let mut progress = self.drawn_patience();
        match self.add_todo(hash.shard(), &entry, &mut progress) {
            Ok(Updated::Done(())) => {
                subscription.noted = turn;
                subscription.is_noted = true;
                Ok(())
            }
            Ok(Updated::Wait(_)) | Err(Fault::Deadline(_)) => Ok(()),
            Err(fault) => Err(fault),
        }
    }
}

/// What news make of a subscription.
enum Heard {
    /// Nothing.
    Nothing,
    /// A link that it did not know.
    Linked,
    /// A wake.
    Woken,
    /// It is not for that stream.
    NotWanted,
    /// It has no room for it.
    NoRoom,
}

/// What was done for a subscription.
pub(super) struct Done {
    /// Whether there was something to do.
    pub(super) worked: bool,
    /// What was appended for that, for those who are linked to it.
    pub(super) news: Option<News>,
}

impl Done {
    pub(super) const NOTHING: Self = Self {
        worked: false,
        news: None,
    };

    pub(super) const fn with(news: Option<News>) -> Self {
        Self { worked: true, news }
    }
}

/// What telling one came to.
enum Told {
    /// What was appended for that, if anything.
    More(Option<News>),
    /// It has no room for the link, which was removed.
    NoRoom,
}

/// Whether the wake under way is this one.
pub(super) fn is_wake(subscription: &Subscription, wake: u64) -> bool {
    subscription.fence().is_some_and(|fence| fence.wake == wake)
}
