//! Adds named streams to a subscription, and removes them (section 6.4).

use super::lookup::written;
use super::records::Change;
use super::stop::Stop;
use super::{lookup, naming, records, streams};
use crate::access::{Rights, Scope};
use crate::keys::NameHash;
use crate::limits::{BACKFILL_STREAMS, SUBSCRIPTION_NAMES_BYTES};
use crate::protocol::control::{Refused, RefusedCode};
use crate::service::core::Core;
use crate::service::effects::Effects;
use crate::service::env::Env;
use crate::service::progress::{Commit, CreateProgress, SharedCreation};
use crate::stream::Position;
use crate::subscription::{Kind, Subscription};

/// Adds named streams, in bounded steps: their tails; the record; the list; the links.
pub(super) fn add_streams<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    id: &str,
    names: &[String],
    rights: &Rights,
    commit: &mut Commit,
    progress: &mut CreateProgress,
) -> Result<(), Stop> {
    let found = lookup::subscription_named(core, id, rights)?;
    let allowed =
        |name: &&String| rights.allow(Scope::Read, name) && found.rights.allow(Scope::Read, name);
    if let Some(name) = names.iter().find(|name| !allowed(name)) {
        return Err(Stop::forbidden("read", name));
    }
    if names.iter().any(|name| found.config.is_wake_stream(name)) {
        let message = "wake_stream can't be one of the subscription's own streams. Use another \
                       stream.";
        return Err(Refused::new(RefusedCode::InvalidRequest, message).into());
    }
    let mut left = BACKFILL_STREAMS;
    let subscription = match progress.named_to {
        Some(life) if life == found.life => found,
        // Another subscription took its place.
        Some(_) => return Err(Stop::missing(id)),
        None => note_streams(core, &found, names, commit, progress, &mut left)?,
    };
    let linked = naming::link_streams(core, effects, names, &subscription, progress, &mut left);
    if let Err(Stop::Refused(_)) = linked {
        take_back(core, names, &subscription, progress)?;
    }
    linked
}

/// Removes the names that a call added before it was refused.
fn take_back<E: Env>(
    core: &Core<E>,
    names: &[String],
    subscription: &Subscription,
    progress: &mut CreateProgress,
) -> Result<(), Stop> {
    let fresh = progress.fresh.iter().filter_map(|place| names.get(*place));
    let hash = NameHash::of_subscription(&subscription.id);
    let mut commit = Commit::new(core.env.random());
    let changed = records::change(
        core,
        &hash,
        subscription.life,
        &mut commit,
        |subscription| {
            let mut change = Change::Keep;
            for name in fresh.clone() {
                if unname(core, subscription, name) {
                    change = Change::Write;
                }
            }
            Ok(change)
        },
    )?;
    let subscription = written(core, &subscription.id, changed)?;
    naming::enlist(core, &subscription, &mut progress.shared)?;
    for name in fresh.take(BACKFILL_STREAMS) {
        unlink_unwanted(core, name, &subscription);
    }
    Ok(())
}

/// Removes a given name. The stream stays linked if the pattern matches it. Returns whether
/// anything changed.
fn unname<E: Env>(_core: &Core<E>, subscription: &mut Subscription, name: &str) -> bool {
    let known = |other: &String| (**other).cmp(name);
    let Ok(place) = subscription.streams.binary_search_by(known) else {
        return false;
    };
    subscription.streams.remove(place);
    let kind = records::wants(subscription, name);
    let stream = NameHash::of(name);
    subscription.links.unname(stream.bytes(), kind);
    true
}

/// Removes the link of a stream to a subscription that does not want it any more. If this fails,
/// the next append removes the link.
fn unlink_unwanted<E: Env>(core: &Core<E>, name: &str, subscription: &Subscription) {
    if records::wants(subscription, name).is_none() {
        let hash = NameHash::of_subscription(&subscription.id);
        let _ = streams::unlink_head(core, &NameHash::of(name), &hash, subscription.life);
    }
}

/// Adds names to the record, all of them or none.
fn note_streams<E: Env>(
    core: &Core<E>,
    found: &Subscription,
    names: &[String],
    commit: &mut Commit,
    progress: &mut CreateProgress,
    left: &mut usize,
) -> Result<Box<Subscription>, Stop> {
    // Appends before this call do not count, even if the call stops half way.
    for name in names.iter().skip(progress.tails.len()) {
        if *left == 0 {
            return Err(Stop::Wait(0));
        }
        *left = left.saturating_sub(1);
        let head = streams::linked_head(core, NameHash::of(name).bytes())?;
        let tail = head.map_or(Position::ZERO, |head| head.tail());
        progress.tails.push(tail);
    }
    let hash = NameHash::of_subscription(&found.id);
    let mut full = false;
    let CreateProgress { tails, fresh, .. } = progress;
    let changed = records::change(core, &hash, found.life, commit, |subscription| {
        let before = subscription.clone();
        fresh.clear();
        for (number, (name, tail)) in names.iter().zip(&*tails).enumerate() {
            if let Err(place) = subscription.streams.binary_search(name) {
                subscription.streams.insert(place, name.clone());
                fresh.push(number);
            }
            let stream = *NameHash::of(name).bytes();
            // A stream that was linked before keeps its cursor.
            let since = match subscription.links.get(&stream) {
                Some(_) => Position::ZERO,
                None => *tail,
            };
            let added = subscription.links.add(stream, since, Kind::Explicit, None);
            full |= added.is_err();
        }
        let bytes: usize = subscription.streams.iter().map(String::len).sum();
        full |= bytes > SUBSCRIPTION_NAMES_BYTES;
        Ok(match full || *subscription == before {
            true => Change::Keep,
            false => Change::Write,
        })
    })?;
    let subscription = written(core, &found.id, changed)?;
    if full {
        let message = "The subscription has no room for so many streams. Use a pattern, or \
                       another subscription.";
        return Err(Refused::new(RefusedCode::TooManyLinks, message).into());
    }
    progress.tails = Vec::new();
    progress.named_to = Some(subscription.life);
    Ok(subscription)
}

/// Removes a named stream.
pub(super) fn remove_stream<E: Env>(
    core: &Core<E>,
    id: &str,
    name: &str,
    rights: &Rights,
    commit: &mut Commit,
    shared: &mut SharedCreation,
) -> Result<(), Stop> {
    let hash = NameHash::of_subscription(id);
    let found = lookup::subscription_named(core, id, rights)?;
    let changed = records::change(core, &hash, found.life, commit, |subscription| {
        Ok(match unname(core, subscription, name) {
            true => Change::Write,
            false => Change::Keep,
        })
    })?;
    let subscription = written(core, id, changed)?;
    naming::enlist(core, &subscription, shared)?;
    unlink_unwanted(core, name, &subscription);
    Ok(())
}
