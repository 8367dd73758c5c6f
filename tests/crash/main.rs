//! What is acknowledged survives: the host is killed under load, and its disk is filled. And what
//! keeping it costs.
//!
//! `cargo xtask test crash` runs this, on Linux; the full disk takes root, and is skipped without.

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
