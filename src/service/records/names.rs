//! The name registry. A creation enters the stream's name before it writes the head, and the work
//! of the deletion removes the name. An entry belongs to one life of the name, so that a late
//! removal for one life can't take the entry of the next.

use super::update;
use crate::keys::registry::{Entry, Leaf, decode, encode};
use crate::keys::{NameHash, Slot};
use crate::limits::LEAF_BYTES;
use crate::service::core::Core;
use crate::service::env::Env;
use crate::service::fault::Fault;
use crate::service::heads;
use crate::service::progress::SharedCreation;
use crate::service::records::update::{Edit, Updated};
use crate::stream::Incarnation;

fn leaf_slot<E: Env>(core: &Core<E>, hash: &NameHash, leaf: u32) -> Slot {
    core.keys.leaf(hash.shard(), leaf)
}

fn decode_leaf(slot: &Slot, body: &[u8]) -> Result<Leaf, Fault> {
    decode(body).map_err(|_| Fault::Corrupt { key: slot.key(0) })
}

/// Enters `entry`; returns the leaf that has it.
pub(in crate::service) fn enter<E: Env>(
    core: &Core<E>,
    hash: &NameHash,
    entry: &Entry,
    progress: &mut SharedCreation,
) -> Result<Updated<u32>, Fault> {
    // Leaf 0 records the open leaf. When that leaf is full, the next one becomes open. A new leaf
    // is added only if the next one is full too, so that emptied leaves are used again.
    for _ in 0..4 {
        let first = leaf_slot(core, hash, 0);
        let root = heads::read(core, &first)?
            .map(|(_, envelope)| envelope.body)
            .unwrap_or_default();
        let root = decode_leaf(&first, &root)?;
        let slot = leaf_slot(core, hash, root.open);
        let added = update::update(core, &slot, progress, |body| {
            let mut leaf = decode_leaf(&slot, body)?;
            let is_there = |present: &Entry| present.incarnation == entry.incarnation;
            if leaf.entries.iter().any(is_there) {
                return Ok(Edit::Keep(true));
            }
            leaf.entries.push(entry.clone());
            let bytes = encode(&leaf);
            match bytes.len() <= LEAF_BYTES || leaf.entries.len() == 1 {
                true => Ok(Edit::Write(bytes, true)),
                false => Ok(Edit::Keep(false)),
            }
        })?;
        match added {
            Updated::Done(true) => return Ok(Updated::Done(root.open)),
            Updated::Done(false) => {}
            Updated::Wait(ms) => return Ok(Updated::Wait(ms)),
        }
        if let Updated::Wait(ms) = open_next_leaf(core, hash, root.open, progress)? {
            return Ok(Updated::Wait(ms));
        }
    }
    Ok(Updated::Wait(core.pause_ms(3)))
}

/// Opens another leaf than `full`: the next one, if it has room, else a new one.
fn open_next_leaf<E: Env>(
    core: &Core<E>,
    hash: &NameHash,
    full: u32,
    progress: &mut SharedCreation,
) -> Result<Updated<()>, Fault> {
    let first = leaf_slot(core, hash, 0);
    update::update(core, &first, progress, |body| {
        let mut root = decode_leaf(&first, body)?;
        if root.open != full {
            return Ok(Edit::Keep(()));
        }
        let next = full
            .saturating_add(1)
            .checked_rem(root.leaves)
            .unwrap_or_default();
        let slot = leaf_slot(core, hash, next);
        let used = match next {
            0 => body.len(),
            _ => heads::read(core, &slot)?.map_or(0, |(_, envelope)| envelope.body.len()),
        };
        root.open = match next != full && used <= LEAF_BYTES / 2 {
            true => next,
            false => {
                root.leaves = root.leaves.saturating_add(1);
                root.leaves.saturating_sub(1)
            }
        };
        Ok(Edit::Write(encode(&root), ()))
    })
}

/// Removes the entry of one life from its leaf.
pub(in crate::service) fn remove<E: Env>(
    core: &Core<E>,
    hash: &NameHash,
    leaf: u32,
    incarnation: Incarnation,
    progress: &mut SharedCreation,
) -> Result<Updated<()>, Fault> {
    edit_leaf(core, &leaf_slot(core, hash, leaf), progress, |entries| {
        entries.retain(|entry| entry.incarnation != incarnation);
    })
}

/// Notes that the next look at one life of a name is due at `due_ms`, unless an earlier one is noted.
pub(in crate::service) fn expect<E: Env>(
    core: &Core<E>,
    hash: &NameHash,
    leaf: u32,
    incarnation: Incarnation,
    due_ms: u64,
    progress: &mut SharedCreation,
) -> Result<Updated<()>, Fault> {
    edit_leaf(core, &leaf_slot(core, hash, leaf), progress, |entries| {
        let mut entries = entries.iter_mut();
        if let Some(entry) = entries.find(|entry| entry.incarnation == incarnation) {
            entry.due_ms = Some(entry.due_ms.map_or(due_ms, |noted| noted.min(due_ms)));
        }
    })
}

/// Changes the entries of a leaf.
pub(in crate::service) fn edit_leaf<E: Env>(
    core: &Core<E>,
    slot: &Slot,
    progress: &mut SharedCreation,
    change: impl Fn(&mut Vec<Entry>),
) -> Result<Updated<()>, Fault> {
    update::update(core, slot, progress, |body| {
        let mut leaf = decode_leaf(slot, body)?;
        let before = leaf.entries.clone();
        change(&mut leaf.entries);
        match leaf.entries == before {
            true => Ok(Edit::Keep(())),
            false => Ok(Edit::Write(encode(&leaf), ())),
        }
    })
}

/// The leaf of `shard` for this `round`, with its slot. Rounds visit the leaves in turn.
pub(in crate::service) fn leaf_in_turn<E: Env>(
    core: &Core<E>,
    shard: u8,
    round: u64,
) -> Result<Option<(Slot, Leaf)>, Fault> {
    let first = core.keys.leaf(shard, 0);
    let Some((_, envelope)) = heads::read(core, &first)? else {
        return Ok(None);
    };
    let root = decode_leaf(&first, &envelope.body)?;
    let turn = round
        .checked_rem(u64::from(root.leaves))
        .unwrap_or_default();
    let turn = u32::try_from(turn).unwrap_or_default();
    if turn == 0 {
        return Ok(Some((first, root)));
    }
    let slot = core.keys.leaf(shard, turn);
    match heads::read(core, &slot)? {
        Some((_, envelope)) => {
            let leaf = decode_leaf(&slot, &envelope.body)?;
            Ok(Some((slot, leaf)))
        }
        None => Ok(None),
    }
}

/// Leaf 0 of a shard, which records the number of leaves; `None` if the shard does not exist yet.
pub(in crate::service) fn first_leaf<E: Env>(
    core: &Core<E>,
    shard: u8,
) -> Result<Option<Leaf>, Fault> {
    let slot = core.keys.leaf(shard, 0);
    let found = heads::read(core, &slot)?;
    found
        .map(|(_, envelope)| decode_leaf(&slot, &envelope.body))
        .transpose()
}

/// A leaf; empty if no name was entered yet.
pub(in crate::service) fn leaf_of<E: Env>(
    core: &Core<E>,
    shard: u8,
    leaf: u32,
) -> Result<Leaf, Fault> {
    let slot = core.keys.leaf(shard, leaf);
    let body = heads::read(core, &slot)?.map(|(_, envelope)| envelope.body);
    decode_leaf(&slot, &body.unwrap_or_default())
}
