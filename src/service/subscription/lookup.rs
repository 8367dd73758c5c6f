//! Finds a subscription by its id, and ends it (section 6.3).

use super::records;
use super::records::Changed;
use super::stop::Stop;
use crate::access::Rights;
use crate::keys::NameHash;
use crate::keys::subscription::Stored;
use crate::protocol::control::{Refused, RefusedCode};
use crate::service::core::Core;
use crate::service::env::{Env, SwapError};
use crate::service::fault::Fault;
use crate::service::progress::SharedCreation;
use crate::service::records::update::Updated;
use crate::subscription::{Subscription, id};

/// Reads of the record in one step.
const LOOKS: usize = 4;

/// The full id that `given` means for a caller with `rights`: its own subscription, or one that a
/// caller with fewer names made.
///
/// # Errors
///
/// Several subscriptions match, or the store fails.
pub(super) fn full_id<E: Env>(
    core: &Core<E>,
    given: &str,
    rights: &Rights,
    is_new: bool,
) -> Result<String, Stop> {
    let own = id::full(&rights.prefix, given);
    let has = |full: &str| -> Result<bool, Fault> {
        let found = records::subscription(core, &NameHash::of_subscription(full), None)?;
        Ok(found.is_some_and(|found| found.id == full && rights.covers(&found.rights.prefix)))
    };
    if rights.prefix.is_empty() && is_new {
        return Ok(own);
    }
    if has(&own)? {
        return Ok(own);
    }
    // Before prefixes had ids of their own, every subscription had the given one.
    if !rights.prefix.is_empty() && has(given)? {
        return Ok(given.to_owned());
    }
    if is_new {
        return Ok(own);
    }
    let mut others = Vec::new();
    for entry in records::subscriptions(core)? {
        let hash = NameHash::from_bytes(entry.subscription);
        if hash.may_be_given(given)
            && let Some(found) = records::subscription(core, &hash, Some(entry.life))?
            && id::given(&found.id) == given
            && rights.covers(&found.rights.prefix)
        {
            others.push(found.id);
        }
    }
    match others.len() {
        0 | 1 => Ok(others.pop().unwrap_or(own)),
        _ => {
            let message = format!(
                "Several prefixes have a subscription {given}. Use a token that is limited to one \
                 of these prefixes."
            );
            Err(Refused::new(RefusedCode::InvalidRequest, message).into())
        }
    }
}

/// The subscription with that full id. One beyond the rights of the caller counts as missing.
pub(super) fn subscription_named<E: Env>(
    core: &Core<E>,
    full_id: &str,
    rights: &Rights,
) -> Result<Box<Subscription>, Stop> {
    match records::subscription(core, &NameHash::of_subscription(full_id), None)? {
        Some(found) if found.id == full_id && rights.covers(&found.rights.prefix) => Ok(found),
        _ => Err(Stop::missing(full_id)),
    }
}

/// Ends one life of a subscription, so that no step finds it any more. Appends that meet its links
/// remove them.
pub(super) fn end_subscription<E: Env>(
    core: &Core<E>,
    hash: &NameHash,
    life: u64,
    shared: &mut SharedCreation,
) -> Result<(), Stop> {
    let slot = core.keys.subscription(hash);
    for _ in 0..LOOKS {
        let Some((cas, stored)) = records::find_stored(core, &slot)? else {
            return Ok(());
        };
        let subscription = match stored {
            Stored::Live(subscription) if subscription.life == life => subscription,
            Stored::Live(_) | Stored::Deleted { .. } => {
                return match records::unlist(core, hash, life, shared)? {
                    Updated::Done(()) => Ok(()),
                    Updated::Wait(ms) => Err(Stop::Wait(ms)),
                };
            }
        };
        let deleted = Stored::Deleted {
            id: subscription.id,
            life,
            version: subscription.version.saturating_add(1),
        };
        shared.wrote = true;
        match core.env.swap(cas, &deleted.seal()) {
            Err(SwapError::Store(error)) if error.refuses() => {
                return Err(Fault::Store(error).into());
            }
            // The next read of the record decides, not this result.
            Ok(()) | Err(SwapError::Failed(_) | SwapError::Store(_)) => {}
        }
    }
    Err(Stop::Wait(core.pause_ms(3)))
}

/// The subscription as a change left it.
pub(super) fn written<E: Env>(
    core: &Core<E>,
    id: &str,
    changed: Changed,
) -> Result<Box<Subscription>, Stop> {
    match changed {
        Changed::Written(subscription) | Changed::Kept(subscription) => Ok(subscription),
        Changed::Missing => Err(Stop::missing(id)),
        Changed::Busy => Err(Stop::Wait(core.pause_ms(3))),
    }
}
