//! Every variable and every fixed cap, in one table each: name, default, range, reason.
//!
//! On Spin the variables are in the objects that [`settings`](crate::settings) unpacks. The native
//! host reads them from flags and its environment. All limits that a client can meet are in this
//! module, except the native host's own limits.

mod caps;
mod config;
mod variable;

pub use caps::*;
pub(crate) use config::signing_seeds;
pub use config::{Config, VARIABLES, is_logged};
pub use variable::{Kind, Malformed, Secret, Variable};
