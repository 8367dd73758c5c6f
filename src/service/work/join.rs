//! Forks that their creator may have left half made.

use crate::keys::todo::Entry;
use crate::limits::FORK_PATIENCE_MS;
use crate::service::core::Core;
use crate::service::env::Env;
use crate::service::fault::Fault;
use crate::service::fork::{self, Progress};
use crate::service::heads;
use crate::service::records::todo;
use crate::service::records::update;
use crate::service::records::update::Updated;

/// Does one step of a fork's creation that its creator may have left.
pub(super) fn work_join<E: Env>(core: &Core<E>, shard: u8, entry: &Entry) -> Result<bool, Fault> {
    let Entry::Join {
        hash,
        incarnation,
        source,
        since_ms,
    } = entry
    else {
        return Ok(false);
    };
    let mut shared = update::drawn_patience(core);
    let fork = heads::link(hash, *incarnation);
    let age = core.env.now_ms().saturating_sub(*since_ms);
    match fork::advance(core, fork, *source, &mut shared)? {
        Progress::Moved => return Ok(true),
        Progress::Done => match fork::settle_join(core, fork, *source, &mut shared)? {
            Updated::Done(_) => {}
            Updated::Wait(_) => return Ok(false),
        },
        // A bar may have ended the fork, and its worker may have stopped before it changed the
        // source.
        Progress::Over => {
            if let Updated::Wait(_) = fork::outrun(core, fork, *source, &mut shared)? {
                return Ok(false);
            }
        }
        // Its creator is about to write the head, or never will.
        Progress::Absent if age <= FORK_PATIENCE_MS => return Ok(false),
        Progress::Absent => match fork::give_up(core, fork, *source, &mut shared)? {
            Updated::Done(true) => return Ok(true),
            Updated::Done(false) if age > todo::LEFT_OVER_MS => {
                match fork::bar(core, fork, *source, &mut shared)? {
                    Updated::Done(true) => {}
                    Updated::Done(false) => return Ok(true),
                    Updated::Wait(_) => return Ok(false),
                }
            }
            Updated::Done(false) | Updated::Wait(_) => return Ok(false),
        },
    }
    todo::remove(core, shard, entry, &mut shared)?;
    Ok(true)
}
