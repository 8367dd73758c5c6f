//! A look at names of the registry: lives that expired, names that were left over.

use super::left;
use super::left::Left;
use crate::keys::head::Record;
use crate::keys::{NameHash, Slot};
use crate::keys::{registry, subscriptions};
use crate::limits::CLOCK_SKEW_MS;
use crate::service::core::Core;
use crate::service::effects::Effects;
use crate::service::env::Env;
use crate::service::fault::Fault;
use crate::service::fork;
use crate::service::records::todo;
use crate::service::records::{names, update};
use crate::service::subscription;
use crate::service::{ending, heads};
use crate::stream::{Expiry, Head};

/// Names looked at in one call.
const NAMES: usize = 3;

/// Looks at some names of a leaf: ends lives that expired, removes names that were left over.
pub(super) fn work_names<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    shard: u8,
    turn: u64,
    left: &mut Left,
) -> Result<bool, Fault> {
    let Some((slot, leaf)) = names::leaf_in_turn(core, shard, turn)? else {
        return Ok(false);
    };
    let listed = match leaf.entries.is_empty() {
        true => Vec::new(),
        false => subscription::subscriptions(core)?,
    };
    let now = core.env.now_ms();
    let (mut due, others): (Vec<_>, Vec<_>) = leaf
        .entries
        .iter()
        .partition(|entry| entry.due_ms.is_some_and(|due| due <= now));
    // Those that can't be ended now do not stand before the others for ever.
    let first = core.any_of(due.len());
    due.rotate_left(first);
    let mut worked = false;
    for entry in due.into_iter().take(NAMES) {
        let looked = look_at(core, effects, &slot, entry, &listed);
        worked |= left::leave(core, left, looked)?;
    }
    if let Some(entry) = others.get(core.any_of(others.len())) {
        look_at(core, effects, &slot, entry, &listed)?;
    }
    Ok(worked)
}

/// Compares one name of a leaf with its head, and the head with the subscriptions there are.
/// Says whether something of the name was to be ended or set right.
fn look_at<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    leaf: &Slot,
    entry: &registry::Entry,
    listed: &[subscriptions::Entry],
) -> Result<bool, Fault> {
    let mut shared = update::drawn_patience(core);
    let hash = NameHash::of(&entry.name);
    let now = core.env.now_ms();
    let slot = core.keys.head(&hash);
    if let Some((cas, record)) = heads::find_record(core, &slot)? {
        match record {
            Record::Live(mut head) if head.incarnation == entry.incarnation => {
                let now = head.now_ms(now);
                let pending = head.lineage.as_ref().filter(|lineage| lineage.pending);
                if let Some(lineage) = pending {
                    // Normally its work is noted; else its creator was far too slow.
                    let left_over = entry.since_ms.saturating_add(todo::LEFT_OVER_MS) < now;
                    if left_over {
                        drop(cas);
                        let fork = heads::link(&hash, head.incarnation);
                        fork::advance(core, fork, lineage.source, &mut shared)?;
                    }
                    return Ok(left_over);
                }
                if head.is_expired(now) && !head.forks.deleted {
                    ending::end_life(core, &hash, cas, &head, now, &mut shared)?;
                } else if head.is_ahead(now) && matches!(head.expiry, Expiry::Ttl { .. }) {
                    // Its window ends its length from now, whoever looks.
                    head.touched_ms = now;
                    heads::put(core, cas, head)?;
                } else if entry.due_ms.is_some_and(|due| is_wrong(due, &head, now)) {
                    // What only its forks keep alive has ended already.
                    let due = head.expires_ms(now).filter(|_| !head.forks.deleted);
                    names::edit_leaf(core, leaf, &mut shared, |entries| {
                        for other in entries.iter_mut() {
                            if other.incarnation == entry.incarnation {
                                other.due_ms = due;
                            }
                        }
                    })?;
                } else {
                    drop(cas);
                    subscription::greet_again(core, effects, listed, &hash, &head)?;
                    return Ok(false);
                }
                return Ok(true);
            }
            Record::Tombstone(tombstone) if tombstone.incarnation == entry.incarnation => {
                // Normally its work is noted; else somebody was stopped right here.
                if let Some(source) = tombstone.source {
                    let this = heads::link(&hash, tombstone.incarnation);
                    fork::release(core, this, source, &mut shared)?;
                    return Ok(true);
                }
                if let Some(owed) = &tombstone.owes {
                    ending::move_debt(core, &hash, tombstone.incarnation, owed, &mut shared)?;
                    return Ok(true);
                }
            }
            Record::Live(_) | Record::Tombstone(_) => {}
        }
    }
    let left_over = entry.since_ms.saturating_add(todo::LEFT_OVER_MS) < now;
    if left_over {
        names::edit_leaf(core, leaf, &mut shared, |entries| {
            entries.retain(|other| other.incarnation != entry.incarnation);
        })?;
    }
    Ok(left_over)
}

/// Whether the time in a registry entry has come, or was written by a clock that was ahead.
fn is_wrong(due_ms: u64, head: &Head, now_ms: u64) -> bool {
    let ends_ms = head.expires_ms(now_ms).unwrap_or(u64::MAX);
    due_ms <= now_ms || due_ms > ends_ms.saturating_add(CLOCK_SKEW_MS)
}
