//! A simulation of the real service: many instances, virtual time, one store that fails, and one
//! seed that decides everything. `cargo xtask sim` runs it, `cargo xtask test sim` with planted bugs.
//!
//! ```text
//! seed -> plan -> clients --requests--> driver -> Service<Instance> -> store
//!                    |                    |            (faults, quirks, crashes, losses)
//!                    +----- history <-----+
//!                              |
//!                           checker
//! ```
//!
//! A run draws a plan, and starts clients on instances of the service while faults happen. Then it
//! ends all faults, reads every stream, and passes the history to the checker, which knows nothing
//! else.

mod check;
mod clients;
mod driver;
mod env;
mod faults;
mod forge;
mod history;
mod instance;
mod plan;
mod planted;
mod run;
mod sim;
mod store;
mod tally;
mod tasks;
mod wakes;

pub use check::Violation;
pub use faults::Injected;
pub use planted::Planted;
pub use run::{RunResult, run};
pub use tally::{Tally, catch, run_many};
