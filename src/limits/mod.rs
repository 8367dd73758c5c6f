//! Every variable and every fixed cap, in one table each: name, default, range, reason.
//!
//! On Spin the variables are in the objects that [`settings`](crate::settings) unpacks; the native
//! host takes them from flags and its environment. All limits that a client can meet are here, but for
//! those of the native host.

mod caps;
mod config;
mod variable;

pub use caps::*;
pub(crate) use config::signing_seeds;
pub use config::{Config, VARIABLES, is_logged};
pub use variable::{Kind, Malformed, Secret, Variable};
