//! What the host keeps its keys and values in.
//!
//! A store knows keys, values, swaps and changes, and nothing of streams. Every backend and every
//! wrapper runs the public suite in `contract`; the feature of that name exports it for stores
//! outside this crate.
//!
//! # Atomicity and visibility
//!
//! Each method is atomic and linearizable: once one returned, every method that begins later, on
//! any thread, sees its effect. Nothing spans two keys.
//!
//! # Changes
//!
//! Every change of a key (a [`set`](Store::set), a [`delete`](Store::delete) of a key that was
//! there, an [`increment`](Store::increment), a successful [`swap`](Store::swap)) takes the next
//! [`ChangeNumber`] of the whole store. Who wants to know when a key changes after it was read
//! notes [`latest_change`](Store::latest_change), reads, and then waits until
//! [`last_change`](Store::last_change) of the key is above the number it noted: no change can be
//! missed in between. A store may forget the numbers of keys that are gone, but must then answer
//! with one that is too high: that costs a needless look, where one too low would cost a wake-up.
//!
//! # Durability
//!
//! A change is visible at once and may become durable later. Nothing that depends on one may leave
//! the host before: whoever read or wrote waits with what it has to say until the highest number it
//! met has [settled](Store::settle). Changes that can't be made durable are *lost*: they and all
//! that were built on them are gone as if they had never been made.

mod backend;
mod change;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod counter;
mod error;
mod faults;
mod file;
#[cfg(test)]
pub(crate) mod held;
mod latency;
pub(crate) mod log;
mod memory;
pub mod open;
mod outlet;
pub mod redis;
mod settle;
mod spin;
pub(crate) mod timeline;
mod watch;

pub use backend::Store;
pub use change::{ChangeNumber, Seen};
pub use error::{StoreError, SwapError};
pub use faults::FaultyStore;
pub(crate) use file::FileStore;
pub(crate) use file::timeline as file_timeline;
pub use latency::LatencyStore;
pub use memory::MemoryStore;
pub(crate) use outlet::Outlet;
pub use redis::RedisStore;
pub use settle::{Lost, Settle, Settling};
pub use spin::SpinStore;
pub use watch::{Watch, Watchers};

use backend::pass_on;
