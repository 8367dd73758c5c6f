//! PendingWrite of a control call about its own change: a store that failed may still apply the change.
//!
//! A refusal says that the call changed nothing. So a call with a change that was sent, but not
//! confirmed, may be refused only once that change can never land: the record moved on without it.
//! Without this check a worker could get a fenced error for an ack that moved its cursors. The ack
//! arrived late, after the lease had ended by the clock.

use super::records;
use crate::keys::subscription::Stored;
use crate::service::core::Core;
use crate::service::env::Env;
use crate::service::fault::Fault;
use crate::service::progress::PendingWrite;

/// Whether the change in doubt, with this commit id, is applied or may still be.
pub(super) fn may_land<E: Env>(
    core: &Core<E>,
    doubt: &PendingWrite,
    commit: u64,
) -> Result<bool, Fault> {
    Ok(match records::stored(core, &doubt.hash)? {
        Some(Stored::Live(found)) if found.life == doubt.life => {
            found.commits.contains(&commit)
                || found.version <= doubt.base
                || !found.remembers(doubt.base)
        }
        // The record that would show the outcome is gone.
        Some(_) | None => true,
    })
}
