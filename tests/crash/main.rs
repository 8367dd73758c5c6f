//! Acknowledged appends survive: the tests kill the host under load, and fill its disk. They also
//! measure the cost of large stores.
//!
//! `cargo xtask test crash` runs this, on Linux. The full disk needs root, and is skipped without
//! it.

mod client;
mod disk_full;
mod kill;
mod load;
mod server;
mod size;
mod wakes;

use test_support::Host;

/// The program under test.
const HOST: Host = Host::at(env!("CARGO_BIN_EXE_durable-streams"));
