//! Removal of what an ended life left.

use crate::keys::head::Record;
use crate::keys::todo::Entry;
use crate::service::core::Core;
use crate::service::env::Env;
use crate::service::fault::Fault;
use crate::service::fork;
use crate::service::heads::Life;
use crate::service::progress::SharedCreation;
use crate::service::records::todo;
use crate::service::records::update::Updated;
use crate::service::records::{names, update};
use crate::service::{ending, heads};
use crate::stream::Link;

/// One step of removing what the life of a to-do entry left.
pub(super) fn collect<E: Env>(core: &Core<E>, shard: u8, entry: &Entry) -> Result<bool, Fault> {
    let Entry::Collect {
        hash,
        incarnation,
        leaf,
        source,
        since_ms,
    } = entry
    else {
        return Ok(false);
    };
    let incarnation = *incarnation;
    let this = heads::link(hash, incarnation);
    let mut shared = update::drawn_patience(core);
    match heads::record(core, &core.keys.head(hash))? {
        Some(Record::Live(head)) if head.incarnation == incarnation => {
            // Its deletion is about to swap, or never will.
            if since_ms.saturating_add(todo::LEFT_OVER_MS) < core.env.now_ms() {
                leave_life(core, shard, entry, this, &mut shared)?;
            }
            return Ok(false);
        }
        Some(Record::Tombstone(tombstone)) if tombstone.incarnation == incarnation => {
            if let Some(source) = tombstone.source {
                let released = fork::cascade(core, this, source, &mut shared)?;
                return Ok(released == Updated::Done(()));
            }
            if let Some(owed) = &tombstone.owes {
                if let Updated::Wait(_) =
                    ending::move_debt(core, hash, incarnation, owed, &mut shared)?
                {
                    return Ok(false);
                }
                fork::settle_tombstone(core, this, |tombstone| tombstone.owes.take().is_some())?;
                return Ok(true);
            }
        }
        _ => {}
    }
    if ending::pay(core, hash, incarnation, &mut shared)? {
        return Ok(true);
    }
    if let Some(leaf) = *leaf {
        names::remove(core, hash, leaf, incarnation, &mut shared)?;
    }
    if let Some(source) = *source
        && let Updated::Wait(_) = fork::forget(core, this, source, &mut shared)?
    {
        return Ok(false);
    }
    todo::remove(core, shard, entry, &mut shared)?;
    // A slower worker may have written the debt again before it could see that: one of the two
    // sees what the other did.
    if core.env.exists(&core.keys.debt(incarnation))? {
        todo::note_work(core, hash, incarnation, None, &mut shared)?;
    }
    Ok(true)
}

/// Removes the entry of a life whose deletion stopped before its swap. By its deleter's clock the
/// entry may be young. So the head gets another version before that, for which a swap that is
/// under way comes too late, and after that, since a swap is sent only with an entry.
fn leave_life<E: Env>(
    core: &Core<E>,
    shard: u8,
    entry: &Entry,
    life: Link,
    shared: &mut SharedCreation,
) -> Result<(), Fault> {
    if !outrun_deletion(core, life)? {
        return Ok(());
    }
    todo::remove(core, shard, entry, shared)?;
    if !matches!(outrun_deletion(core, life), Ok(true)) {
        // It was deleted after all, or is changed by others: who comes next looks again.
        todo::add(core, shard, entry, shared)?;
    }
    Ok(())
}

/// Sees to it that a deletion of this life that is under way comes too late. False if it may have
/// come already.
fn outrun_deletion<E: Env>(core: &Core<E>, life: Link) -> Result<bool, Fault> {
    match heads::life(core, life)? {
        Life::Head(cas, head) => heads::put(core, cas, head),
        Life::Tombstone(..) => Ok(false),
        Life::None => Ok(true),
    }
}
