//! Work behind requests: removal of what ended lives left, and the end of lives that expired unseen.
//!
//! Each call looks for something to do, in at most `ENTRIES` entries of each to-do shard, and does one
//! step of it, at most about `limits::WORK_OPERATIONS` store operations. Only the wake of a
//! subscription takes more: it reads the heads of its streams, which `limits::SUBSCRIPTION_LINKS`
//! bounds, to find one that is pending, and for a webhook once more to name all; and it notifies the
//! subscriptions linked to its wake stream, `limits::WAKES` at most, and may wake each of them.
//! Everything here is idempotent, so several workers may do the same entry.
//!
//! `piece` picks the work, `collect` removes what a life left, `join` completes forks, `registry`
//! looks at names.

mod collect;
mod join;
mod left;
mod piece;
mod registry;

pub(super) use piece::{work, work_todo};
