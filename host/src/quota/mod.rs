//! Limits and usage per prefix of stream names.
//!
//! A rule limits the streams, bytes, requests a second and live readers of the names below a prefix. A
//! name counts for the longest prefix that a rule names, else for its first segment, if there is a rule
//! for all others. It counts for one prefix only.
//!
//! # Requests and readers
//!
//! `Checkpoint` judges each request before it is served. Requests a second are a bucket for each prefix
//! (the generic cell rate algorithm). A live reader counts from its request until its response ends.
//! Senders without rights on the name are not counted: the component refuses them, and they must not
//! use up the allowance of others.
//!
//! # Streams and bytes
//!
//! `CountedStore` wraps the store of all instances. The record of a stream has its name and size. Each
//! swap of such a record has the old and the new record, so their difference is added to the prefix.
//! This costs no call of the store, and sees appends, creations, deletions, expiry and background work
//! alike. Memory grows with the number of prefixes, not of streams.
//!
//! A walk over the name registry counts everything anew: at the start, after a loss of changes, after a
//! swap with an unknown outcome, and all the time over a store that other hosts share. Swaps go on
//! meanwhile. A lock for each stream makes a swap and its count one step for the walk, and the walk's
//! position tells which swaps its count does not contain yet.
//!
//! The check before a creation or append reads the counts of this moment. Requests that are under way
//! are not in them. So a limit may be exceeded by the requests under way, and while a walk counts anew.

mod access;
mod buckets;
mod checkpoint;
mod counted;
mod counter;
mod figures;
mod follow;
mod keeper;
mod readers;
mod refusal;
mod rule;
mod rules;
mod table;
mod walk;

pub(crate) use buckets::Buckets;
pub(crate) use checkpoint::Checkpoint;
pub(crate) use keeper::Quota;
pub(crate) use readers::Reader;
pub use rule::{BadRule, Rule};
pub use rules::{Rules, TwoRules};
