//! A store in a directory: what `serve` keeps streams in unless told otherwise.
//!
//! ```text
//!  steps -> overlay (what is newer than the disk) -> queue -> writer -> log -> disk
//!                                                                |
//!                              settled or lost, to whoever waits with an answer
//! ```
//!
//! # Output commit
//!
//! A change is applied to the overlay and queued, and the call returns at once. One thread takes
//! whatever is queued, writes it to the [`Log`](super::log::Log) as one batch and syncs that; the next batch is what
//! came meanwhile. So one sync serves everybody who waits, and the more there are the cheaper it
//! is. Before it writes, the thread waits for a moment for those it has just served: they share the
//! next sync with those who came meanwhile, instead of waiting for each other's by turns. Whoever
//! depends on a change waits with what it has to say ([`Store::settle`](super::Store::settle)).
//!
//! If a batch can't be kept, it and everything newer is dropped, so that all that is left is what
//! the log holds. Every key then counts as changed: nobody can swap on what was lost, and whoever
//! waits for a change looks again.
//!
//! # Damage
//!
//! A thread reads old segments again, slowly: damage is told before a restart finds it.
//!
//! # Memory
//!
//! The log's index has every key, about a hundred bytes each; values are in the page cache. The
//! log keeps up to 16 MiB of values that are replaced again and again, to write what changes. The
//! overlay holds what is not durable yet, and refuses writes when that is too much. Small values
//! that are read again and again, the heads of busy streams, are kept in a cache of up to 64 MiB
//! from the second time on, and leave it when they were not read for a minute or two.

mod cache;
mod full;
mod overlay;
mod queue;
mod scrub;
mod shared;
mod store;
#[cfg(test)]
mod tests;
pub(crate) mod timeline;
mod writer;

pub(crate) use store::FileStore;
