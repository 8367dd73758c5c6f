//! A store in a directory: the default store of `serve`.
//!
//! ```text
//!  steps -> overlay (newer than the disk) -> queue -> writer -> log -> disk
//!                                                        |
//!                                      settled or lost, to each waiting answer
//! ```
//!
//! # Output commit
//!
//! A change is applied to the overlay and queued, and the call returns at once. One thread takes
//! all queued changes, writes them to the [`Log`](super::log::Log) as one batch and syncs the
//! batch. The next batch consists of the changes that arrived meanwhile. So one sync serves all
//! waiting callers, and more callers make it cheaper. Before it writes, the thread waits a moment
//! for the callers of the previous batch. They then share the next sync with the new callers,
//! instead of both groups taking turns. An answer that depends on a change waits until the change
//! has settled ([`Store::settle`](super::Store::settle)).
//!
//! If a batch can't be written, the store drops it and everything newer, so that only the log's
//! contents are left. Every key then counts as changed: no caller can swap on a lost value, and
//! every caller that waits for a change reads again.
//!
//! # Damage
//!
//! A thread reads old segments again, slowly, and reports damage before a restart finds it.
//!
//! # Memory
//!
//! The log's index has every key, about a hundred bytes each; values are in the page cache. The log
//! keeps up to 16 MiB of frequently replaced values, so that it can write only the difference. The
//! overlay holds changes that are not durable yet, and refuses writes when it holds too much. Small
//! values that are read repeatedly, the heads of busy streams, are kept in a cache of up to 64 MiB
//! from the second read on. They leave the cache after a minute or two without a read.

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
