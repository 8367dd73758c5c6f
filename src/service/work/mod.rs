//! Work behind requests: removal of the data of ended lives, and the end of lives that expired
//! unseen.
//!
//! Each call looks for something to do, in at most `ENTRIES` entries of each to-do shard. It does
//! one step of it, with at most about `limits::WORK_OPERATIONS` store operations. Only the wake of
//! a subscription takes more. It reads the heads of the subscription's streams, which
//! `limits::SUBSCRIPTION_LINKS` bounds, to find a pending one. For a webhook it reads them again to
//! name all. It notifies the subscriptions linked to its wake stream, at most `limits::WAKES`, and
//! may wake each of them. Everything here is idempotent, so several workers may do the same entry.
//!
//! `piece` picks the work, `collect` removes the data of a life, `join` completes forks, `registry`
//! checks names.

mod collect;
mod join;
mod left;
mod piece;
mod registry;

pub(super) use piece::{work, work_todo};
