//! One piece of background work, picked at random.

use super::left::Left;
use super::registry;
use super::{collect, join, left};
use crate::keys::todo::Entry;
use crate::limits::SHARDS;
use crate::service::core::Core;
use crate::service::effects::Effects;
use crate::service::env::Env;
use crate::service::fault::Fault;
use crate::service::records::todo;
use crate::service::subscription;

/// Entries of a shard that one call looks at, if the first ones need no work.
const ENTRIES: usize = 4;

/// Does one piece of work: an entry of the first to-do shard that has something to do; else the due
/// names in a leaf of the name registry; else a look at a subscription. `round` picks the place to
/// begin, and the leaf and subscription to look at. Returns whether there was something to do.
pub(in crate::service) fn work<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    round: u64,
) -> Result<bool, Fault> {
    let shards = u64::from(SHARDS);
    let shard = |round: u64| {
        let shard = round.checked_rem(shards);
        shard.and_then(|shard| u8::try_from(shard).ok())
    };
    let mut left = Left::default();
    for next in 0..shards {
        let shard = shard(round.wrapping_add(next)).unwrap_or_default();
        let worked = work_entries(core, effects, shard, &mut left);
        if left::leave(core, &mut left, worked)? {
            return Ok(true);
        }
    }
    if core.config.registry {
        for next in 0..shards {
            let shard = shard(round.wrapping_add(next)).unwrap_or_default();
            let (turn, first) = (round / shards, next == 0);
            let worked = registry::work_names(core, effects, shard, turn, first, &mut left);
            if left::leave(core, &mut left, worked)? {
                return Ok(true);
            }
        }
    }
    subscription::walk_subscriptions(core, effects, round)
}

/// Does one step of one entry of a to-do shard.
pub(in crate::service) fn work_todo<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    shard: u8,
) -> Result<bool, Fault> {
    work_entries(core, effects, shard, &mut Left::default())
}

fn work_entries<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    shard: u8,
    left: &mut Left,
) -> Result<bool, Fault> {
    let entries = todo::entries(core, shard)?;
    // A random start, so that workers at the same time take different entries.
    let any = core.any_of(entries.len());
    let (before, from) = entries.split_at_checked(any).unwrap_or_default();
    for entry in from.iter().chain(before).take(ENTRIES) {
        let worked = match entry {
            Entry::Collect { .. } => collect::collect(core, shard, entry),
            Entry::Join { .. } => join::work_join(core, shard, entry),
            Entry::Wake { .. } => subscription::work_wake(core, effects, shard, entry),
        };
        if left::leave(core, left, worked)? {
            return Ok(true);
        }
    }
    Ok(false)
}
