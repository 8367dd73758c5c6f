//! What a control call does not know of its own change: a store that failed may apply it yet.
//!
//! A call that is refused says that it changed nothing. So one whose change was sent, and not
//! confirmed, may be refused only once that change can never land: the record moved on without it.
//! Of an ack that arrived late, after the lease had ended by the clock, its worker heard that it was
//! fenced, though its cursors were moved.

use super::records;
use crate::keys::subscription::Stored;
use crate::service::core::Core;
use crate::service::env::Env;
use crate::service::fault::Fault;
use crate::service::progress::Doubt;

/// Whether the change in doubt, which has this commit id, is there or may be yet.
pub(super) fn may_land<E: Env>(core: &Core<E>, doubt: &Doubt, commit: u64) -> Result<bool, Fault> {
    Ok(match records::stored(core, &doubt.hash)? {
        Some(Stored::Live(found)) if found.life == doubt.life => {
            found.commits.contains(&commit)
                || found.version <= doubt.base
                || !found.remembers(doubt.base)
        }
        // What would tell is gone.
        Some(_) | None => true,
    })
}
