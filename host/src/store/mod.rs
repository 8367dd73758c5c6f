//! Stores for the keys and values of the host.
//!
//! A store knows keys, values, swaps and changes. It knows nothing of streams. Every backend and
//! every wrapper runs the public suite in `contract`. The feature of that name exports the suite
//! for stores outside this crate.
//!
//! # Atomicity and visibility
//!
//! Each method is atomic and linearizable: once a call has returned, every call that begins later,
//! on any thread, sees its effect. No operation spans two keys.
//!
//! # Changes
//!
//! Every change of a key takes the next [`ChangeNumber`] of the whole store. Changes are a
//! [`set`](Store::set), a [`delete`](Store::delete) of a present key, an
//! [`increment`](Store::increment) and a successful [`swap`](Store::swap).
//!
//! A reader that waits for the next change of a key notes [`latest_change`](Store::latest_change)
//! and reads the key. Then it waits until [`last_change`](Store::last_change) of the key is above
//! the noted number, so it can't miss a change in between. A store may forget the numbers of
//! deleted keys, but must then return a number that is too high. A number that is too high costs a
//! needless read; one that is too low would cost a wake-up.
//!
//! # Durability
//!
//! A change is visible at once and may become durable later. No output that depends on a change may
//! leave the host before the change is durable. Readers and writers therefore hold back their
//! output until the highest number they met has [settled](Store::settle). Changes that can't be
//! made durable are *lost*: the store drops them, and all changes built on them, as if they had
//! never been made.

mod backend;
mod change;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod counter;
mod error;
mod faults;
mod figures;
mod file;
#[cfg(test)]
pub(crate) mod held;
mod latency;
pub(crate) mod log;
mod memory;
mod metered;
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
pub use figures::Figures;
pub(crate) use file::FileStore;
pub(crate) use file::timeline as file_timeline;
pub use latency::LatencyStore;
pub use log::{Snapshot, Snapshots};
pub use memory::MemoryStore;
pub(crate) use metered::MeteredStore;
pub(crate) use outlet::Outlet;
pub use redis::RedisStore;
pub use settle::{Lost, Settle, Settling};
pub use spin::SpinStore;
pub use watch::{Watch, Watchers};

pub(crate) use backend::pass_on;
