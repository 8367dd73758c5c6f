//! From an append to a wake: notifies the subscriptions that are linked to a stream of its news.

use super::records::{Change, Changed};
use super::wake::Done;
use super::wake::is_wake;
use super::{announce, records, streams, wake};
use crate::keys::NameHash;
use crate::keys::subscription::Stored;
use crate::limits::WAKES;
use crate::service::core::Core;
use crate::service::effects::Effects;
use crate::service::env::{Env, StoreError};
use crate::service::fault::Fault;
use crate::service::progress::{Commit, News};
use crate::service::report;
use crate::stream::Subscriber;
use crate::subscription::{Subscription, TooManyLinks};
use std::collections::VecDeque;

/// Failures of the store to answer before the rest is left to the walk. Each may take the whole
/// timeout of the store, and the appending request waits for all of them.
const MOST_SILENT: u32 = 2;

const fn is_silence(fault: &Fault) -> bool {
    matches!(fault, Fault::Store(StoreError::Unavailable(_)))
}

/// Notifies all linked subscriptions, and those linked to the streams that get wake events. A fault
/// is only logged: the append is committed, and the walk finds pending events. Returns whether a
/// subscription had no room for the link.
pub(in crate::service) fn spread<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    news: News,
) -> bool {
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
            match notify(core, effects, &news, subscriber) {
                Ok(Notified::More(more)) => queue.extend(more),
                Ok(Notified::NoRoom) => full = true,
                Err(fault) => {
                    report::note_fault(core, &fault);
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

/// Notifies one subscription.
fn notify<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    news: &News,
    subscriber: &Subscriber,
) -> Result<Notified, Fault> {
    let stream = NameHash::of(&news.name);
    let hash = NameHash::from_bytes(subscriber.subscription);
    let life = subscriber.life;
    let mut result = Notified::More(None);
    let wanted = match records::stored(core, &hash)? {
        Some(Stored::Live(found)) if found.life == life => {
            let now_ms = core.env.now_ms();
            let mut tried = found.clone();
            match receive(core, &mut tried, news, subscriber, 0, now_ms) {
                // Each append also does the work that is due.
                Received::Nothing if found.due_ms().is_some_and(|due| due <= now_ms) => {
                    return Ok(Notified::More(
                        wake::look_after(core, effects, &found)?.news,
                    ));
                }
                Received::Nothing => return Ok(result),
                Received::Linked | Received::Woken => true,
                Received::NotWanted => false,
                Received::NoRoom => {
                    result = Notified::NoRoom;
                    false
                }
            }
        }
        _ => false,
    };
    if !wanted {
        streams::unlink_head(core, &stream, &hash, life)?;
        return Ok(result);
    }
    let mut commit = Commit::new(core.env.random());
    let wake = core.env.random();
    let changed = records::change(core, &hash, life, &mut commit, |subscription| {
        let now_ms = core.env.now_ms();
        Ok(
            match receive(core, subscription, news, subscriber, wake, now_ms) {
                Received::Nothing | Received::NotWanted | Received::NoRoom => Change::Keep,
                Received::Linked => Change::Write,
                Received::Woken => {
                    records::note_wake(core, &hash, subscription)?;
                    Change::Write
                }
            },
        )
    })?;
    Ok(match changed {
        Changed::Written(subscription) if is_wake(&subscription, wake) => Notified::More(
            announce::announce(core, effects, &subscription, &news.name)?,
        ),
        _ => result,
    })
}

/// Applies news to a subscription.
fn receive<E: Env>(
    _core: &Core<E>,
    subscription: &mut Subscription,
    news: &News,
    subscriber: &Subscriber,
    wake: u64,
    now_ms: u64,
) -> Received {
    let stream = *NameHash::of(&news.name).bytes();
    let linked = match subscription.links.get(&stream) {
        Some(link) if link.life == Some(news.life) && link.acked >= subscriber.since => false,
        _ => {
            let Some(kind) = records::wants(subscription, &news.name) else {
                return Received::NotWanted;
            };
            let life = Some(news.life);
            match subscription.links.add(stream, subscriber.since, kind, life) {
                Ok(changed) => changed,
                Err(TooManyLinks) => return Received::NoRoom,
            }
        }
    };
    let acked = subscription.links.get(&stream).map(|link| link.acked);
    let pending = acked.is_some_and(|acked| news.tail > acked);
    subscription.expire(now_ms);
    // No worker can work for a subscription before its creation was answered.
    let pending = pending && subscription.backfilled;
    match pending && subscription.wake(wake, now_ms) {
        true => Received::Woken,
        false if linked => Received::Linked,
        false => Received::Nothing,
    }
}

/// Wakes an idle subscription that has pending events, and spreads the news of its wake event.
/// Returns whether it is woken.
pub(super) fn rouse<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    subscription: &Subscription,
) -> Result<bool, Fault> {
    let roused = wake::wake_pending(core, effects, subscription)?;
    Ok(spread_all(core, effects, roused))
}

/// Spreads the news of some work, if any. Returns whether there was something to do.
pub(super) fn spread_all<E: Env>(core: &Core<E>, effects: &mut Effects, done: Done) -> bool {
    if let Some(news) = done.news {
        spread(core, effects, news);
    }
    done.worked
}

/// Wakes a subscription again if needed. The worker's call is applied, so a fault is only logged:
/// the walk finds pending events.
pub(super) fn rouse_quietly<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    subscription: &Subscription,
) -> bool {
    match rouse(core, effects, subscription) {
        Ok(woke) => woke,
        Err(fault) => {
            report::note_fault(core, &fault);
            false
        }
    }
}

/// Effect of news on a subscription.
enum Received {
    /// No effect.
    Nothing,
    /// It got a new link.
    Linked,
    /// It was woken.
    Woken,
    /// It does not want that stream.
    NotWanted,
    /// It has no room for the link.
    NoRoom,
}

/// Result of notifying one subscription.
enum Notified {
    /// News of the wake event that was appended, if any.
    More(Option<News>),
    /// It has no room for the link, which was removed.
    NoRoom,
}
