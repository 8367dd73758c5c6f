//! The state machine of one subscription (sections 6 and 7): pure transitions over its record.
//!
//! A subscription is idle, waking or held. Pending work wakes an idle subscription, which begins a
//! new generation. A worker that claims it, or a webhook that accepts the wake, holds it until the
//! lease ends. An ack with `done`, a release or the end of the lease makes it idle. Every call of a
//! worker names its generation and wake, so a worker that was too slow changes nothing.
//!
//! Each family of operations has one file and one error type. Nothing here does I/O, reads a clock
//! or draws random bits.

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
