//! What is due without anybody asking: leases that ended, wakes to be told again, and links that a
//! crash left half made.

use super::link::{From, Linking};
use super::records::{Change, Changed};
use super::wake::{Done, News};
use crate::keys::NameHash;
use crate::keys::todo::Entry;
use crate::limits::WALK_LINKS;
use crate::service::core::{Core, Fault};
use crate::service::env::Env;
use crate::subscription::{Link, Subscription};

/// What the walk found of a link.
enum Walked {
    /// It is as it should be, or can't be helped now.
    Nothing,
    /// There was something to do, and it was done.
    Worked,
    /// The stream is not there.
    Gone,
}

impl<E: Env> Core<'_, E> {
    /// Looks after the subscription of a to-do entry. Says whether there was something to do.
    pub(in crate::service) fn work_wake(&self, shard: u8, entry: &Entry) -> Result<bool, Fault> {
        let Entry::Wake {
            hash, life, turn, ..
        } = entry
        else {
            return Ok(false);
        };
        let Some(subscription) = self.subscription(hash, Some(*life))? else {
            self.remove_todo(shard, entry, &mut self.drawn_patience())?;
            return Ok(true);
        };
        if subscription.due_ms().is_some() {
            let done = self.look_after(&subscription)?;
            return Ok(self.spread_all(done));
        }
        if self.rouse(&subscription)? {
            return Ok(true);
        }
        // First the record says that there is no entry; whoever is about to say that there is one
        // has to add another first.
        let commit = self.env.random();
        let changed = self.change(hash, *life, commit, |subscription| {
            if subscription.due_ms().is_some() || subscription.noted > *turn {
                return Ok(Change::Keep);
            }
            subscription.is_noted = false;
            subscription.noted = subscription.noted.max(*turn);
            Ok(Change::Write)
        })?;
        if let Changed::Busy = changed {
            return Ok(false);
        }
        if let Changed::Kept(subscription) = &changed
            && subscription.noted <= *turn
        {
            return Ok(true);
        }
        self.remove_todo(shard, entry, &mut self.drawn_patience())?;
        Ok(true)
    }

    /// Does what is due for a subscription, if anything is.
    pub(super) fn look_after(&self, subscription: &Subscription) -> Result<Done, Fault> {
        let now_ms = self.env.now_ms();
        match subscription.due_ms() {
            Some(due_ms) if due_ms <= now_ms => {}
            due_ms => {
                self.expect(due_ms);
                return Ok(Done::NOTHING);
            }
        }
        let hash = NameHash::of(&subscription.id);
        let (commit, mut again) = (self.env.random(), false);
        let changed = self.change(&hash, subscription.life, commit, |subscription| {
            again = subscription.try_again(now_ms);
            Ok(match again || subscription.expire(now_ms) {
                true => Change::Write,
                false => Change::Keep,
            })
        })?;
        let Changed::Written(subscription) = changed else {
            return Ok(Done::NOTHING);
        };
        self.expect(subscription.due_ms());
        if !again {
            let news = self.wake_pending(&subscription)?.news;
            return Ok(Done::with(news));
        }
        // Which stream brought it about, nobody knows any more; one that is pending is as good.
        let name = self.pending(&subscription)?.unwrap_or_default();
        let Some(fence) = subscription.fence() else {
            return Ok(Done::with(None));
        };
        let failures = subscription.failures;
        let news = self.announce(&subscription, &name)?;
        if !subscription.config.is_webhook() {
            let commit = self.env.random();
            self.change(&hash, subscription.life, commit, |subscription| {
                // Unless that failed too, which counted.
                if subscription.failures > failures {
                    return Ok(Change::Keep);
                }
                Ok(match subscription.told(fence) {
                    Ok(true) => Change::Write,
                    Ok(false) | Err(_) => Change::Keep,
                })
            })?;
        }
        Ok(Done::with(news))
    }

    /// Compares some links of one subscription with their streams: the net under whoever was
    /// stopped between an append and the wake, or between a stream and its link. Says whether there
    /// was something to do.
    pub(in crate::service) fn walk_subscriptions(&self, round: u64) -> Result<bool, Fault> {
        let entries = self.subscriptions()?;
        let count = entries.len() as u64;
        let turn = round.checked_rem(count).unwrap_or_default();
        let turn = usize::try_from(turn).unwrap_or_default();
        let Some(entry) = entries.get(turn) else {
            return Ok(false);
        };
        let hash = NameHash::from_bytes(entry.subscription);
        let Some(subscription) = self.subscription(&hash, Some(entry.life))? else {
            self.unlist(&hash, entry.life, &mut self.drawn_patience())?;
            return Ok(true);
        };
        if !subscription.backfilled {
            return Ok(false);
        }
        let done = self.look_after(&subscription)?;
        if self.spread_all(done) {
            return Ok(true);
        }
        let links = subscription.links.len();
        let parts = links.div_ceil(WALK_LINKS).max(1) as u64;
        let part = round.checked_div(count).unwrap_or_default() % parts;
        let first = usize::try_from(part).unwrap_or_default();
        let first = first.saturating_mul(WALK_LINKS);
        let mut worked = false;
        let mut gone = Vec::new();
        for link in subscription.links.iter().skip(first).take(WALK_LINKS) {
            match self.walk_link(&hash, &subscription, link)? {
                Walked::Nothing => {}
                Walked::Worked => worked = true,
                Walked::Gone => gone.push(link.stream),
            }
        }
        if !gone.is_empty() {
            self.forget_gone(&hash, entry.life, &gone)?;
        }
        Ok(worked)
    }

    /// Compares one link with its stream.
    fn walk_link(
        &self,
        hash: &NameHash,
        subscription: &Subscription,
        link: &Link,
    ) -> Result<Walked, Fault> {
        let Some(head) = self.linked_head(&link.stream)? else {
            return Ok(Walked::Gone);
        };
        let Some(subscriber) = head.subscriber(hash.bytes(), subscription.life).copied() else {
            let stream = NameHash::from_bytes(link.stream);
            let linked = self.link(&stream, &head.name, &[subscription], From::Beginning)?;
            // A stream that has no room is nothing to go on with at once.
            return Ok(match linked {
                Linking::Done => Walked::Worked,
                Linking::Absent | Linking::Full | Linking::Busy => Walked::Nothing,
            });
        };
        if !subscription.is_idle() || head.tail() <= head.cursor(link.acked, link.life) {
            return Ok(Walked::Nothing);
        }
        self.spread(News::of(&head, vec![subscriber]));
        Ok(Walked::Worked)
    }

    /// Takes streams that are gone out of the links, but for those that were named.
    fn forget_gone(&self, hash: &NameHash, life: u64, gone: &[[u8; 20]]) -> Result<(), Fault> {
        let commit = self.env.random();
        self.change(hash, life, commit, |subscription| {
            let mut change = Change::Keep;
            // A worker that was told of a stream may ack it, with all others.
            if !subscription.is_idle() {
                return Ok(change);
            }
            for stream in gone {
                if subscription.links.forget(stream) {
                    change = Change::Write;
                }
            }
            Ok(change)
        })?;
        Ok(())
    }
}
