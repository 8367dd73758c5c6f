//! Links between streams and subscriptions (section 6.2).
//!
//! The head of a stream names its subscriptions, each with its first cursor; the subscription gets
//! to know of the stream after that, from whoever finds the link first. A stream that begins writes
//! its head and then reads the list of subscriptions; a subscription writes itself into that list
//! and then reads the heads that there are. So of two that begin at once, one sees the other.

use super::wake::News;
use crate::keys::NameHash;
use crate::keys::head::Record;
use crate::keys::subscriptions::Entry;
use crate::service::core::{Core, Fault};
use crate::service::env::Env;
use crate::stream::{Head, Presence, Subscriber, TooManySubscribers};
use crate::subscription::Subscription;

/// Swaps of a head tried in one step.
const TRIES: usize = 4;

/// What an attempt to link a stream came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Linking {
    /// It is linked.
    Done,
    /// There is no such stream.
    Absent,
    /// It has as many subscriptions as may be.
    Full,
    /// Others are changing it: try again.
    Busy,
}

/// Where the first cursor of a new link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// Before everything in the stream: it began after the subscription.
    Beginning,
    /// At the tail: only what comes is of interest.
    Tail,
}

impl<E: Env> Core<'_, E> {
    /// Links the stream `hash` to subscriptions, and tells them.
    pub(super) fn link(
        &self,
        hash: &NameHash,
        name: &str,
        subscriptions: &[&Subscription],
        from: From,
    ) -> Result<Linking, Fault> {
        let slot = self.keys.head(hash);
        for _ in 0..TRIES {
            let Some((cas, Record::Live(mut head))) = self.find_record(&slot)? else {
                return Ok(Linking::Absent);
            };
            let now = head.now_ms(self.env.now_ms());
            if head.name != name || head.presence(now) != Presence::Here {
                return Ok(Linking::Absent);
            }
            let since = match from {
                From::Beginning => head.beginning(),
                From::Tail => head.tail(),
            };
            let (mut changed, mut full, mut swept) = (false, false, false);
            let mut subscribers = Vec::new();
            for subscription in subscriptions {
                let subscriber = Subscriber {
                    subscription: *NameHash::of(&subscription.id).bytes(),
                    life: subscription.life,
                    since,
                };
                let attached = match head.attach(subscriber) {
                    // Once is enough, and it reads the record of each.
                    Err(TooManySubscribers) if !swept => {
                        swept = true;
                        self.drop_stale(&mut head)?;
                        head.attach(subscriber)
                    }
                    attached => attached,
                };
                match attached {
                    Ok(fresh) => changed |= fresh,
                    Err(TooManySubscribers) => full = true,
                }
                let (id, life) = (&subscriber.subscription, subscriber.life);
                subscribers.extend(head.subscriber(id, life).copied());
            }
            let news = News::of(&head, subscribers);
            if !changed || self.put(cas, head)? {
                full |= self.spread(news);
                return Ok(if full { Linking::Full } else { Linking::Done });
            }
        }
        Ok(Linking::Busy)
    }

    /// Removes the links of a head to subscriptions that are no more.
    fn drop_stale(&self, head: &mut Head) -> Result<(), Fault> {
        let mut stale = Vec::new();
        for subscriber in &head.subscribers {
            let hash = NameHash::from_bytes(subscriber.subscription);
            if self.subscription(&hash, Some(subscriber.life))?.is_none() {
                stale.push((subscriber.subscription, subscriber.life));
            }
        }
        for (subscription, life) in &stale {
            head.detach(subscription, *life);
        }
        Ok(())
    }

    /// Removes the link of a head to a subscription that does not want it. Tried once: it is in
    /// nobody's way.
    pub(super) fn unlink_head(
        &self,
        stream: &NameHash,
        subscription: &NameHash,
        life: u64,
    ) -> Result<(), Fault> {
        let slot = self.keys.head(stream);
        if let Some((cas, Record::Live(mut head))) = self.find_record(&slot)?
            && head.detach(subscription.bytes(), life)
        {
            self.put(cas, head)?;
        }
        Ok(())
    }

    /// Links a stream that began to the subscriptions that are for it. What fails is logged: the
    /// stream is there, and the walk finds it.
    pub(in crate::service) fn greet(&self, name: &str) {
        let hash = NameHash::of(name);
        let greeted = self
            .subscriptions()
            .and_then(|entries| self.greet_from(&entries, &hash, name));
        if let Err(fault) = greeted {
            self.note_fault(&fault);
        }
    }

    /// Links a stream to those of the listed subscriptions that are for it, where the head or the
    /// subscription does not know of it: whoever began the stream was stopped before that.
    pub(in crate::service) fn greet_again(
        &self,
        entries: &[Entry],
        hash: &NameHash,
        head: &Head,
    ) -> Result<(), Fault> {
        let mut found = self.wanting(entries, hash, &head.name)?;
        found.retain(|one| {
            let id = NameHash::of(&one.id);
            let linked = head.subscriber(id.bytes(), one.life).is_some();
            !linked || one.links.get(hash.bytes()).is_none()
        });
        self.link_all(&found, hash, &head.name)
    }

    /// Links a stream to those of the listed subscriptions that are for it.
    fn greet_from(&self, entries: &[Entry], hash: &NameHash, name: &str) -> Result<(), Fault> {
        let found = self.wanting(entries, hash, name)?;
        self.link_all(&found, hash, name)
    }

    /// Those of the listed subscriptions that are for a stream.
    fn wanting(
        &self,
        entries: &[Entry],
        hash: &NameHash,
        name: &str,
    ) -> Result<Vec<Subscription>, Fault> {
        let mut found = Vec::new();
        for entry in entries.iter().filter(|entry| entry.may_want(name, hash)) {
            let subscription = NameHash::from_bytes(entry.subscription);
            let subscription = self.subscription(&subscription, Some(entry.life))?;
            let wanting = subscription.filter(|one| self.wants(one, name).is_some());
            found.extend(wanting.map(|one| *one));
        }
        Ok(found)
    }

    fn link_all(
        &self,
        subscriptions: &[Subscription],
        hash: &NameHash,
        name: &str,
    ) -> Result<(), Fault> {
        if subscriptions.is_empty() {
            return Ok(());
        }
        let all: Vec<&Subscription> = subscriptions.iter().collect();
        match self.link(hash, name, &all, From::Beginning)? {
            Linking::Busy => Err(Fault::Deadline("others are changing a new stream")),
            Linking::Done | Linking::Absent | Linking::Full => Ok(()),
        }
    }
}
