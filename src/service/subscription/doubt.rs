//! What a control call does not know of its own change: a store that failed may apply it yet.
//!
//! A call that is refused says that it changed nothing. So one whose change was sent, and not
//! confirmed, may be refused only once that change can never land: the record moved on without it.
//! Of an ack that arrived late, after the lease had ended by the clock, its worker heard that it was
//! fenced, though its cursors were moved.

use crate::keys::NameHash;
use crate::keys::subscription::Stored;
use crate::service::core::{Core, Fault};
use crate::service::env::Env;

/// A change of a subscription that was sent, and neither confirmed nor refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::service) struct Doubt {
    /// The subscription, by the hash of its id.
    pub(in crate::service) hash: NameHash,
    pub(in crate::service) life: u64,
    /// The version it was built on.
    pub(in crate::service) base: u64,
}

impl<E: Env> Core<'_, E> {
    /// Whether the change in doubt, which has this commit id, is there or may be yet.
    pub(super) fn may_land(&self, doubt: &Doubt, commit: u64) -> Result<bool, Fault> {
        Ok(match self.stored(&doubt.hash)? {
            Some(Stored::Live(found)) if found.life == doubt.life => {
                found.commits.contains(&commit)
                    || found.version <= doubt.base
                    || !found.remembers(doubt.base)
            }
            // What would tell is gone.
            Some(_) | None => true,
        })
    }
}
