//! The end of a life: its tombstone, and its debt, the data still to be removed.

use super::core::Core;
use super::env::{Env, SwapError};
use super::fault::Fault;
use super::heads;
use super::progress::SharedCreation;
use super::records::update::Updated;
use super::records::{names, todo};
use crate::keys::debt::{self, Debt};
use crate::keys::head::Record;
use crate::keys::todo::Entry;
use crate::keys::{NameHash, index};
use crate::limits::WORK_OPERATIONS;
use crate::stream::{Head, Incarnation, Owed, Tombstone, tombstone};

/// Result of an attempt to end a life.
pub(super) enum Ended {
    /// It ended.
    Done,
    /// It ended, except for its forks.
    Hidden,
    /// Read the head again: the life may have ended, or the head moved.
    Look,
    /// Retry after this many milliseconds.
    Wait(u64),
}

/// Ends the life of `head` for all but its forks, which need its bytes (section 4.2).
fn hide<E: Env>(core: &Core<E>, cas: E::Cas, head: &Head) -> Result<Ended, Fault> {
    if head.forks.deleted {
        return Ok(Ended::Hidden);
    }
    let mut head = head.clone();
    head.forks.deleted = true;
    match heads::put(core, cas, Box::new(head))? {
        true => Ok(Ended::Hidden),
        false => Ok(Ended::Look),
    }
}

/// Ends the life of `head`, which was read through `cas`, and removes its name from the registry.
/// An error means that the swap of the tombstone was not sent, or was refused.
pub(super) fn end_life<E: Env>(
    core: &Core<E>,
    hash: &NameHash,
    cas: E::Cas,
    head: &Head,
    now_ms: u64,
    shared: &mut SharedCreation,
) -> Result<Ended, Fault> {
    let ended = end_named(core, hash, cas, head, now_ms, shared)?;
    if let (Ended::Done, Some(leaf), false) = (&ended, head.leaf, leaves_work(head)) {
        // If this fails, the walk through the registry finds the name.
        let _ = names::remove(core, hash, leaf, head.incarnation, shared);
    }
    Ok(ended)
}

/// Whether the end of `head` leaves work of several steps: chunks to delete, or a source to update.
/// Such work has a to-do entry, which also removes the name from the registry. The end of a small
/// stream leaves only the name.
pub(super) fn leaves_work(head: &Head) -> bool {
    owes_work(&tombstone(head))
}

const fn owes_work(tombstone: &Tombstone) -> bool {
    tombstone.owes.is_some() || tombstone.source.is_some()
}

/// Ends the life of `head`, which was read through `cas`: notes the work that is left, then swaps
/// in the tombstone. The name stays in the registry. An error means that the swap was not sent, or
/// was refused.
pub(super) fn end_named<E: Env>(
    core: &Core<E>,
    hash: &NameHash,
    cas: E::Cas,
    head: &Head,
    now_ms: u64,
    shared: &mut SharedCreation,
) -> Result<Ended, Fault> {
    if head.forks.need_it() {
        return hide(core, cas, head);
    }
    let tombstone = tombstone(head);
    if owes_work(&tombstone) {
        let entry = Entry::Collect {
            hash: *hash,
            incarnation: head.incarnation,
            leaf: head.leaf,
            source: tombstone.source,
            since_ms: now_ms,
        };
        if let Updated::Wait(ms) = todo::add(core, hash.shard(), &entry, shared)? {
            return Ok(Ended::Wait(ms));
        }
    }
    match core.env.swap(cas, &Record::Tombstone(tombstone).seal()) {
        Ok(()) => Ok(Ended::Done),
        Err(SwapError::Store(error)) if error.refuses() => Err(error.into()),
        Err(SwapError::Failed(_) | SwapError::Store(_)) => Ok(Ended::Look),
    }
}

/// Writes the debt of a tombstone into a record of its own, so that the tombstone may be replaced.
/// All writers of this record write the same bytes.
pub(super) fn move_debt<E: Env>(
    core: &Core<E>,
    hash: &NameHash,
    incarnation: Incarnation,
    owed: &Owed,
    shared: &mut SharedCreation,
) -> Result<Updated<()>, Fault> {
    if let Updated::Wait(ms) = todo::note_work(core, hash, incarnation, None, shared)? {
        return Ok(Updated::Wait(ms));
    }
    let key = core.keys.debt(incarnation);
    if core.env.exists(&key)? {
        return Ok(Updated::Done(()));
    }
    let debt = Debt {
        owed: owed.clone(),
        in_block: false,
    };
    core.env.set(&key, &debt::encode(&debt))?;
    todo::note_work(core, hash, incarnation, None, shared)
}

/// Removes some of the debt of a life. False if nothing is left.
pub(super) fn pay<E: Env>(
    core: &Core<E>,
    hash: &NameHash,
    incarnation: Incarnation,
    shared: &mut SharedCreation,
) -> Result<bool, Fault> {
    let key = core.keys.debt(incarnation);
    let Some(bytes) = core.env.get(&key)? else {
        return Ok(false);
    };
    let mut debt = debt::decode(&bytes).map_err(|_| Fault::Corrupt { key: key.clone() })?;
    let mut left = WORK_OPERATIONS.saturating_sub(8);
    while left > 0 {
        if let Some(id) = debt.owed.chunks.pop() {
            core.env.delete(&core.keys.chunk(incarnation, id))?;
            left = left.saturating_sub(1);
            continue;
        }
        if debt.owed.first_block >= debt.owed.end_block {
            core.env.delete(&key)?;
            return Ok(true);
        }
        let block = core.keys.block(incarnation, debt.owed.first_block);
        left = left.saturating_sub(1);
        if debt.in_block {
            core.env.delete(&block)?;
            debt.in_block = false;
            debt.owed.first_block = debt.owed.first_block.saturating_add(1);
            continue;
        }
        debt.in_block = true;
        if let Some(bytes) = core.env.get(&block)? {
            let block = index::decode(&bytes, debt.owed.first_block)
                .map_err(|_| Fault::Corrupt { key: block })?;
            debt.owed.chunks = block.own_chunks().collect();
        }
        // This step notes the chunks of the block before any is removed, so that the next step need
        // not find the remaining ones.
        break;
    }
    core.env.set(&key, &debt::encode(&debt))?;
    // If another worker ended the work meanwhile, this step wrote a debt that is already paid.
    todo::note_work(core, hash, incarnation, None, shared)?;
    Ok(true)
}
