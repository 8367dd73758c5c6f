//! Records of subscriptions, read and changed.

use crate::keys::subscription::Stored;
use crate::keys::subscriptions::{Entry, decode, encode};
use crate::keys::todo::Entry as Work;
use crate::keys::{Envelope, NameHash, Slot};
use crate::limits::{
    PREFIX_SUBSCRIPTIONS_BYTES, RESERVED_SUBSCRIPTIONS_BYTES, SUBSCRIPTIONS_BYTES,
};
use crate::service::core::Core;
use crate::service::env::{Env, SwapError};
use crate::service::fault::Fault;
use crate::service::heads;
use crate::service::heads::Lookup;
use crate::service::progress::{Commit, PendingWrite, SharedCreation};
use crate::service::records::update::{Edit, Updated};
use crate::service::records::{todo, update};
use crate::subscription::{Subscription, id};

/// Swaps tried in one step.
const TRIES: usize = 6;

/// Result of a change of a subscription, with the subscription as it is now.
pub(in crate::service) enum Changed {
    /// The change is applied.
    Written(Box<Subscription>),
    /// The change was not needed.
    Kept(Box<Subscription>),
    /// No subscription has that life.
    Missing,
    /// The change failed, or its outcome is unknown: other writers were faster, or the store did
    /// not answer. Try again with the same commit id.
    Busy,
}

/// Whether to write a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::service) enum Change {
    Keep,
    Write,
}

/// Decodes the record of a subscription, and moves it to the store's timeline.
pub(in crate::service) fn decode_subscription<E: Env>(
    core: &Core<E>,
    slot: &Slot,
    gate: u32,
    body: &[u8],
    version: u64,
) -> Result<Stored, Fault> {
    let mut stored = Stored::decode(body, version).map_err(|_| Fault::Corrupt {
        key: slot.key(gate),
    })?;
    if let Stored::Live(subscription) = &mut stored {
        subscription.enter(core.config.timeline);
    }
    Ok(stored)
}

/// The record of a subscription.
pub(in crate::service) fn stored<E: Env>(
    core: &Core<E>,
    hash: &NameHash,
) -> Result<Option<Stored>, Fault> {
    let slot = core.keys.subscription(hash);
    let Some((gate, envelope)) = heads::read(core, &slot)? else {
        return Ok(None);
    };
    decode_subscription(core, &slot, gate, &envelope.body, envelope.version).map(Some)
}

/// The subscription with that hash and life; with any life if `life` is `None`.
pub(in crate::service) fn subscription<E: Env>(
    core: &Core<E>,
    hash: &NameHash,
    life: Option<u64>,
) -> Result<Option<Box<Subscription>>, Fault> {
    Ok(match stored(core, hash)? {
        Some(Stored::Live(found)) if life.is_none_or(|life| life == found.life) => Some(found),
        _ => None,
    })
}

/// Finds the record of the subscription of `slot`, to swap it; `None` if it does not exist.
pub(super) fn find_stored<E: Env>(
    core: &Core<E>,
    slot: &Slot,
) -> Result<Option<(E::Cas, Stored)>, Fault> {
    match heads::find(core, slot)? {
        Lookup::Found {
            gate,
            cas,
            envelope: Envelope { body, version, .. },
        } => {
            let stored = decode_subscription(core, slot, gate, &body, version)?;
            Ok(Some((cas, stored)))
        }
        Lookup::Missing { .. } => Ok(None),
    }
}

/// Changes a subscription. The commit id shows whether the change was applied before, so `edit`
/// takes effect once for each id.
pub(in crate::service) fn change<E: Env>(
    core: &Core<E>,
    hash: &NameHash,
    life: u64,
    commit: &mut Commit,
    mut edit: impl FnMut(&mut Subscription) -> Result<Change, Fault>,
) -> Result<Changed, Fault> {
    let slot = core.keys.subscription(hash);
    for _ in 0..TRIES {
        let (cas, mut subscription) = match find_stored(core, &slot)? {
            Some((cas, Stored::Live(found))) if found.life == life => (cas, found),
            _ => return Ok(Changed::Missing),
        };
        if subscription.commits.contains(&commit.id) {
            return Ok(Changed::Written(subscription));
        }
        if edit(&mut subscription)? == Change::Keep {
            return Ok(Changed::Kept(subscription));
        }
        let base = subscription.version;
        subscription.commit(commit.id);
        let stored = Stored::Live(subscription);
        let swapped = core.env.swap(cas, &stored.seal());
        if !matches!(&swapped, Err(SwapError::Store(error)) if error.refuses()) {
            commit.wrote = true;
        }
        match (swapped, stored) {
            (Ok(()), Stored::Live(subscription)) => return Ok(Changed::Written(subscription)),
            (Err(SwapError::Store(error)), _) if error.refuses() => return Err(error.into()),
            (Err(SwapError::Store(_)), _) => {
                let (hash, life) = (*hash, life);
                commit.doubt = Some(PendingWrite { hash, life, base });
            }
            // The next read of the record decides, not this error.
            _ => {}
        }
    }
    Ok(Changed::Busy)
}

fn decode_list(slot: &Slot, body: &[u8]) -> Result<Vec<Entry>, Fault> {
    decode(body).map_err(|_| Fault::Corrupt { key: slot.key(0) })
}

/// The list of all subscriptions.
pub(in crate::service) fn subscriptions<E: Env>(core: &Core<E>) -> Result<Vec<Entry>, Fault> {
    let slot = core.keys.subscriptions();
    match heads::read(core, &slot)? {
        Some((_, envelope)) => decode_list(&slot, &envelope.body),
        None => Ok(Vec::new()),
    }
}

/// Updates a subscription's entry in that list. The record is read after the list, so of two
/// updates at once the later one writes the current state. False if there is no room.
pub(in crate::service) fn list<E: Env>(
    core: &Core<E>,
    hash: &NameHash,
    life: u64,
    progress: &mut SharedCreation,
) -> Result<Updated<bool>, Fault> {
    let slot = core.keys.subscriptions();
    update::update(core, &slot, progress, |body| {
        let mut entries = decode_list(&slot, body)?;
        let Some(subscription) = subscription(core, hash, Some(life))? else {
            return Ok(Edit::Keep(true));
        };
        let entry = Entry::of(&subscription);
        let same = |other: &&mut Entry| other.subscription == entry.subscription;
        match entries.iter_mut().find(same) {
            Some(known) if *known == entry => return Ok(Edit::Keep(true)),
            Some(former) => *former = entry,
            None => entries.push(entry),
        }
        let bytes = encode(&entries);
        Ok(match has_room(&entries, bytes.len(), &subscription) {
            true => Edit::Write(bytes, true),
            false => Edit::Keep(false),
        })
    })
}

/// Whether the list, which takes `bytes`, may have these entries. Callers with a prefix have a
/// share each, and leave a part to callers without a prefix.
fn has_room(entries: &[Entry], bytes: usize, subscription: &Subscription) -> bool {
    let (prefix, _) = id::parts(&subscription.id);
    if prefix.is_empty() {
        return bytes <= SUBSCRIPTIONS_BYTES;
    }
    let is_own = |entry: &&Entry| NameHash::from_bytes(entry.subscription).may_be_of(prefix);
    let own: Vec<Entry> = entries.iter().filter(is_own).cloned().collect();
    encode(&own).len() <= PREFIX_SUBSCRIPTIONS_BYTES
        && bytes <= SUBSCRIPTIONS_BYTES.saturating_sub(RESERVED_SUBSCRIPTIONS_BYTES)
}

/// Removes the entry of one life of a subscription from that list.
pub(in crate::service) fn unlist<E: Env>(
    core: &Core<E>,
    subscription: &NameHash,
    life: u64,
    progress: &mut SharedCreation,
) -> Result<Updated<()>, Fault> {
    let slot = core.keys.subscriptions();
    update::update(core, &slot, progress, |body| {
        let mut entries = decode_list(&slot, body)?;
        let before = entries.len();
        entries.retain(|entry| entry.subscription != *subscription.bytes() || entry.life != life);
        Ok(match entries.len() == before {
            true => Edit::Keep(()),
            false => Edit::Write(encode(&entries), ()),
        })
    })
}

/// Why a subscription wants a stream, provided that its creator may read the stream.
pub(super) fn wants(subscription: &Subscription, name: &str) -> Option<crate::subscription::Kind> {
    let allowed = subscription.rights.allow(crate::access::Scope::Read, name);
    allowed.then(|| subscription.wants(name)).flatten()
}

/// Adds the to-do entry of a subscription that is about to be woken, unless it exists. Without the
/// entry the walk takes longer to find the subscription, so no wake waits for the entry.
pub(super) fn note_wake<E: Env>(
    core: &Core<E>,
    hash: &NameHash,
    subscription: &mut Subscription,
) -> Result<(), Fault> {
    if subscription.is_noted {
        return Ok(());
    }
    let turn = subscription.noted.saturating_add(1);
    let entry = Work::Wake {
        hash: *hash,
        life: subscription.life,
        turn,
        since_ms: core.env.now_ms(),
    };
    let mut progress = update::drawn_patience(core);
    match todo::add(core, hash.shard(), &entry, &mut progress) {
        Ok(Updated::Done(())) => {
            subscription.noted = turn;
            subscription.is_noted = true;
            Ok(())
        }
        Ok(Updated::Wait(_)) | Err(Fault::Deadline(_)) => Ok(()),
        Err(fault) => Err(fault),
    }
}
