//! Shared parts of the command tests: a server, the client command, and a proxy that cuts.

pub(crate) mod command;
pub(crate) mod proxy;
pub(crate) mod server;

pub(crate) use command::Running;
pub(crate) use proxy::{Cuts, Proxy};
pub(crate) use server::Server;
pub(crate) use test_support::Random;

use std::time::{Duration, Instant};
use test_support::Host;

/// The program under test.
pub(crate) const HOST: Host = Host::at(env!("CARGO_BIN_EXE_durable-streams"));

/// Longest time anything here waits before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Calls `ask` until it returns true; fails the test if that takes too long.
#[track_caller]
pub(crate) fn eventually(claim: &str, mut ask: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !ask() {
        assert!(begun.elapsed() < PATIENCE, "this never came true: {claim}");
        // A loop without a pause would take the processor from the server.
        std::thread::park_timeout(Duration::from_millis(2));
    }
}
