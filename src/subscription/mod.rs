//! The state machine of one subscription (sections 6 and 7): pure transitions over its record.
//!
//! A subscription is idle, waking or held. Pending work wakes an idle one, which begins a new
//! generation; a worker that claims it, or a webhook that takes it, has it for as long as its lease;
//! an ack that is done, a release or the lease's end make it idle. Everything a worker says has to
//! name the generation and the wake it is about, so that one who was too slow changes nothing.
//!
//! One file and one error type for each family. Nothing here does I/O, reads a clock or draws
//! random bits.

mod ack;
mod claim;
mod clock;
mod config;
mod glob;
pub mod id;
mod links;
mod record;
mod retry;
pub mod url;
mod wake;

pub use ack::{AckError, Acked};
pub use claim::ClaimError;
pub(crate) use config::config_hash;
pub use config::{Config, Delivery};
pub use glob::{Glob, GlobError};
pub use links::{Kind, Link, Links, TooManyLinks};
pub use record::{Fence, Fenced, Phase, Subscription};
