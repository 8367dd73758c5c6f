//! Removal of the data that an ended life left.

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

/// Does one step of removing the data of the life in a to-do entry.
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
            // Its deletion is about to swap the head, or never will.
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
    // A slower worker may have written the debt again before it could see this removal. One of the
    // two sees the change of the other.
    if core.env.exists(&core.keys.debt(incarnation))? {
        todo::note_work(core, hash, incarnation, None, &mut shared)?;
    }
    Ok(true)
}

/// Removes the entry of a life with a deletion that stopped before its swap. By the deleter's clock
/// the entry may be young. So the head gets another version before the removal, and a swap under
/// way comes too late. It gets another version after the removal too, since a swap is sent only
/// with an entry.
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
        // The life was deleted after all, or others are changing its head: the next worker looks
        // again.
        todo::add(core, shard, entry, shared)?;
    }
    Ok(())
}

/// Ensures that a deletion of this life that is under way comes too late. False if it may have been
/// applied already.
fn outrun_deletion<E: Env>(core: &Core<E>, life: Link) -> Result<bool, Fault> {
    match heads::life(core, life)? {
        Life::Head(cas, head) => heads::put(core, cas, head),
        Life::Tombstone(..) => Ok(false),
        Life::None => Ok(true),
    }
}
