//! Links to the streams that a caller named.

use super::link::{From, Linking};
use super::stop::Stop;
use super::{link, records};
use crate::keys::NameHash;
use crate::limits::{SUBSCRIBERS, SUBSCRIPTION_LINKS};
use crate::protocol::control::{Refused, RefusedCode};
use crate::service::core::Core;
use crate::service::effects::Effects;
use crate::service::env::Env;
use crate::service::progress::{CreateProgress, SharedCreation};
use crate::service::records::update::Updated;
use crate::subscription::Subscription;

/// Writes the subscription into the list that new streams read.
pub(super) fn enlist<E: Env>(
    core: &Core<E>,
    subscription: &Subscription,
    shared: &mut SharedCreation,
) -> Result<(), Stop> {
    let hash = NameHash::of_subscription(&subscription.id);
    match records::list(core, &hash, subscription.life, shared)? {
        Updated::Done(true) => Ok(()),
        Updated::Done(false) => {
            let message = "There is no room for another subscription with its names. Delete a \
                           subscription, or send fewer names.";
            Err(Refused::new(RefusedCode::TooManySubscriptions, message).into())
        }
        Updated::Wait(ms) => Err(Stop::Wait(ms)),
    }
}

/// Links the remaining streams of these names, at most as many as the step has left.
pub(super) fn link_named<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    names: &[String],
    subscription: &Subscription,
    progress: &mut CreateProgress,
    left: &mut usize,
) -> Result<(), Stop> {
    let done = usize::try_from(progress.named).unwrap_or(usize::MAX);
    for name in names.iter().skip(done) {
        if *left == 0 {
            return Err(Stop::Wait(0));
        }
        *left = left.saturating_sub(1);
        link_at_tail(core, effects, name, subscription)?;
        progress.named = progress.named.saturating_add(1);
    }
    Ok(())
}

/// Links a stream, if it exists, with the cursor at its tail.
pub(super) fn link_at_tail<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    name: &str,
    subscription: &Subscription,
) -> Result<(), Stop> {
    let hash = NameHash::of(name);
    match link::link(core, effects, &hash, name, &[subscription], From::Tail)? {
        Linking::Done | Linking::Absent => Ok(()),
        Linking::Busy => Err(Stop::Wait(core.pause_ms(2))),
        Linking::Full => {
            let message = format!(
                "The stream {name} already has {SUBSCRIBERS} subscriptions, or this subscription \
                 already has {SUBSCRIPTION_LINKS} streams."
            );
            Err(Refused::new(RefusedCode::TooManyLinks, message).into())
        }
    }
}

/// Writes the list first, and the heads second: a stream that begins meanwhile reads the list.
pub(super) fn link_streams<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    names: &[String],
    subscription: &Subscription,
    progress: &mut CreateProgress,
    left: &mut usize,
) -> Result<(), Stop> {
    if !progress.listed {
        enlist(core, subscription, &mut progress.shared)?;
        progress.listed = true;
    }
    link_named(core, effects, names, subscription, progress, left)
}
