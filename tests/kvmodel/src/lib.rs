//! Model of a key-value store with the quirks and faults of real ones.
//!
//! Real stores differ from each other in two ways. A [quirk](Quirks) holds for every operation: a
//! store that compares values always does so. A [fault](Fault) strikes now and then: a connection
//! breaks, a disk is full. This crate describes both once, and names for each the real store that
//! shows it.
//!
//! | user | trait it serves | takes from here |
//! |---|---|---|
//! | unit tests of the core, `src/service/tests/world.rs` | `Env` | [`Model`], [`Quirks`], [`Rates`], [`LateWrites`] |
//! | simulation, `tests/sim` | `Env` | [`Model`], [`Quirks`], [`Rates`], [`Outage`] |
//! | fuzz targets, `tests/fuzz` | `Env` | [`Model`] |
//! | the host's wrappers, `host/src/store` | `Store` | [`Quirks`], [`Counters`], [`Lag`], [`Rates`], [`LateWrites`] |
//!
//! Each user keeps only the adapter to the trait it serves. All choices follow from a seed: see
//! [`Random`].

mod counters;
mod faults;
mod journal;
mod lag;
mod late;
mod model;
mod quirks;
mod random;

pub use counters::{CounterError, Counters};
pub use faults::{Call, Fault, Outage, Rates};
pub use journal::Settled;
pub use lag::Lag;
pub use late::LateWrites;
pub use model::{Held, Model};
pub use quirks::{Answer, Comparison, Quirks, Seen};
pub use random::Random;
