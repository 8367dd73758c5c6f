//! Work that is due without a request: leases that ended, wakes to announce again, and links that a
//! crash left half made.

use super::link::{From, Linking};
use super::records::{Change, Changed};
use super::{link, records, spread, streams, wake};
use crate::keys::NameHash;
use crate::keys::todo::Entry;
use crate::limits::WALK_LINKS;
use crate::service::core::Core;
use crate::service::effects::Effects;
use crate::service::env::Env;
use crate::service::fault::Fault;
use crate::service::progress::{Commit, News};
use crate::service::records::todo;
use crate::service::records::update;
use crate::subscription::{Link, Subscription};

/// Result of the walk for one link.
enum Walked {
    /// The link is as it should be, or can't be repaired now.
    Nothing,
    /// The link needed work, and the work was done.
    Worked,
    /// The stream does not exist.
    Gone,
}

/// Does the work of a subscription's to-do entry. Returns whether there was something to do.
pub(in crate::service) fn work_wake<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    shard: u8,
    entry: &Entry,
) -> Result<bool, Fault> {
    let Entry::Wake {
        hash, life, turn, ..
    } = entry
    else {
        return Ok(false);
    };
    let Some(subscription) = records::subscription(core, hash, Some(*life))? else {
        todo::remove(core, shard, entry, &mut update::drawn_patience(core))?;
        return Ok(true);
    };
    if subscription.due_ms().is_some() {
        let done = wake::look_after(core, effects, &subscription)?;
        return Ok(spread::spread_all(core, effects, done));
    }
    if spread::rouse(core, effects, &subscription)? {
        return Ok(true);
    }
    // First the record loses its mark for the entry. A step that is about to set the mark again
    // must first add another entry.
    let mut commit = Commit::new(core.env.random());
    let changed = records::change(core, hash, *life, &mut commit, |subscription| {
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
    todo::remove(core, shard, entry, &mut update::drawn_patience(core))?;
    Ok(true)
}

/// Compares some links of one subscription with their streams. So it repairs a step that stopped
/// between an append and the wake, or between a stream and its link. Returns whether there was
/// something to do.
pub(in crate::service) fn walk_subscriptions<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    round: u64,
) -> Result<bool, Fault> {
    let entries = records::subscriptions(core)?;
    let count = entries.len() as u64;
    let turn = round.checked_rem(count).unwrap_or_default();
    let turn = usize::try_from(turn).unwrap_or_default();
    let Some(entry) = entries.get(turn) else {
        return Ok(false);
    };
    let hash = NameHash::from_bytes(entry.subscription);
    let Some(subscription) = records::subscription(core, &hash, Some(entry.life))? else {
        records::unlist(core, &hash, entry.life, &mut update::drawn_patience(core))?;
        return Ok(true);
    };
    if !subscription.backfilled {
        return Ok(false);
    }
    let done = wake::look_after(core, effects, &subscription)?;
    if spread::spread_all(core, effects, done) {
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
        match walk_link(core, effects, &hash, &subscription, link)? {
            Walked::Nothing => {}
            Walked::Worked => worked = true,
            Walked::Gone => gone.push(link.stream),
        }
    }
    if !gone.is_empty() {
        forget_gone(core, &hash, entry.life, &gone)?;
    }
    Ok(worked)
}

/// Compares one link with its stream.
fn walk_link<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    hash: &NameHash,
    subscription: &Subscription,
    link: &Link,
) -> Result<Walked, Fault> {
    let Some(head) = streams::linked_head(core, &link.stream)? else {
        return Ok(Walked::Gone);
    };
    let Some(subscriber) = head.subscriber(hash.bytes(), subscription.life).copied() else {
        let stream = NameHash::from_bytes(link.stream);
        let linked = link::link(
            core,
            effects,
            &stream,
            &head.name,
            &[subscription],
            From::Beginning,
        )?;
        // A stream without room is no reason for another step at once.
        return Ok(match linked {
            Linking::Done => Walked::Worked,
            Linking::Absent | Linking::Full | Linking::Busy => Walked::Nothing,
        });
    };
    if !subscription.is_idle() || head.tail() <= head.cursor(link.acked, link.life) {
        return Ok(Walked::Nothing);
    }
    spread(core, effects, News::of(&head, vec![subscriber]));
    Ok(Walked::Worked)
}

/// Removes the links to streams that are gone, except to named streams.
fn forget_gone<E: Env>(
    core: &Core<E>,
    hash: &NameHash,
    life: u64,
    gone: &[[u8; 20]],
) -> Result<(), Fault> {
    let mut commit = Commit::new(core.env.random());
    records::change(core, hash, life, &mut commit, |subscription| {
        let mut change = Change::Keep;
        // A worker that was notified of a stream may ack it together with all others.
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
