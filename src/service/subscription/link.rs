//! Links between streams and subscriptions (section 6.2).
//!
//! The head of a stream names its subscriptions, each with its first cursor. The subscription
//! learns of the stream later, from the first step that finds the link. A new stream writes its
//! head, then reads the list of subscriptions. A new subscription writes itself into that list,
//! then reads the existing heads. So of two that begin at once, one sees the other.

use super::{records, spread};
use crate::keys::NameHash;
use crate::keys::head::Record;
use crate::keys::subscriptions::Entry;
use crate::service::core::Core;
use crate::service::effects::Effects;
use crate::service::env::Env;
use crate::service::fault::Fault;
use crate::service::progress::News;
use crate::service::{heads, report};
use crate::stream::{Head, Presence, Subscriber, TooManySubscribers};
use crate::subscription::Subscription;

/// Swaps of a head tried in one step.
const TRIES: usize = 4;

/// Result of an attempt to link a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Linking {
    /// It is linked.
    Done,
    /// The stream does not exist.
    Absent,
    /// The stream has the most subscriptions allowed, or the subscription the most streams.
    Full,
    /// Other writers are changing it: try again.
    Busy,
}

/// Where the first cursor of a new link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// Before everything in the stream, which began after the subscription.
    Beginning,
    /// At the tail: only later appends count.
    Tail,
}

/// Links the stream `hash` to subscriptions, and notifies them.
pub(super) fn link<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    hash: &NameHash,
    name: &str,
    subscriptions: &[&Subscription],
    from: From,
) -> Result<Linking, Fault> {
    let slot = core.keys.head(hash);
    for _ in 0..TRIES {
        let Some((cas, Record::Live(mut head))) = heads::find_record(core, &slot)? else {
            return Ok(Linking::Absent);
        };
        let now = head.now_ms(core.env.now_ms());
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
                subscription: *NameHash::of_subscription(&subscription.id).bytes(),
                life: subscription.life,
                since,
            };
            let attached = match head.attach(subscriber) {
                // Once is enough, because it reads the record of each subscription.
                Err(TooManySubscribers) if !swept => {
                    swept = true;
                    drop_stale(core, &mut head)?;
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
        if !changed || heads::put(core, cas, head)? {
            full |= spread(core, effects, news);
            return Ok(if full { Linking::Full } else { Linking::Done });
        }
    }
    Ok(Linking::Busy)
}

/// Removes the links of a head to subscriptions that no longer exist.
fn drop_stale<E: Env>(core: &Core<E>, head: &mut Head) -> Result<(), Fault> {
    let mut stale = Vec::new();
    for subscriber in &head.subscribers {
        let hash = NameHash::from_bytes(subscriber.subscription);
        if records::subscription(core, &hash, Some(subscriber.life))?.is_none() {
            stale.push((subscriber.subscription, subscriber.life));
        }
    }
    for (subscription, life) in &stale {
        head.detach(subscription, *life);
    }
    Ok(())
}

/// Links a new stream to the subscriptions that match it. A fault is only logged: the stream
/// exists, and the walk finds it.
pub(in crate::service) fn greet<E: Env>(core: &Core<E>, effects: &mut Effects, name: &str) {
    let hash = NameHash::of(name);
    let greeted = records::subscriptions(core)
        .and_then(|entries| greet_from(core, effects, &entries, &hash, name));
    if let Err(fault) = greeted {
        report::note_fault(core, &fault);
    }
}

/// Links a stream to the listed subscriptions that match it, if its head or the subscription lacks
/// the link. The step that created the stream was stopped before it linked them.
pub(in crate::service) fn greet_again<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    entries: &[Entry],
    hash: &NameHash,
    head: &Head,
) -> Result<(), Fault> {
    let mut found = wanting(core, entries, hash, &head.name)?;
    found.retain(|one| {
        let id = NameHash::of_subscription(&one.id);
        let linked = head.subscriber(id.bytes(), one.life).is_some();
        !linked || one.links.get(hash.bytes()).is_none()
    });
    link_all(core, effects, &found, hash, &head.name)
}

/// Links a stream to the listed subscriptions that match it.
fn greet_from<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    entries: &[Entry],
    hash: &NameHash,
    name: &str,
) -> Result<(), Fault> {
    let found = wanting(core, entries, hash, name)?;
    link_all(core, effects, &found, hash, name)
}

/// The listed subscriptions that match a stream.
fn wanting<E: Env>(
    core: &Core<E>,
    entries: &[Entry],
    hash: &NameHash,
    name: &str,
) -> Result<Vec<Subscription>, Fault> {
    let mut found = Vec::new();
    for entry in entries.iter().filter(|entry| entry.may_want(name, hash)) {
        let subscription = NameHash::from_bytes(entry.subscription);
        let subscription = records::subscription(core, &subscription, Some(entry.life))?;
        let wanting = subscription.filter(|one| records::wants(one, name).is_some());
        found.extend(wanting.map(|one| *one));
    }
    Ok(found)
}

fn link_all<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    subscriptions: &[Subscription],
    hash: &NameHash,
    name: &str,
) -> Result<(), Fault> {
    if subscriptions.is_empty() {
        return Ok(());
    }
    let all: Vec<&Subscription> = subscriptions.iter().collect();
    match link(core, effects, hash, name, &all, From::Beginning)? {
        Linking::Busy => Err(Fault::Deadline("other writers keep changing a new stream")),
        Linking::Done | Linking::Absent | Linking::Full => Ok(()),
    }
}
