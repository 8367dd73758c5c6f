//! Shared parts of the HTTP tests: a server, a client that can send anything, and readers of
//! responses.

pub(crate) mod client;
pub(crate) mod collector;
pub(crate) mod fleet;
pub(crate) mod receiver;
pub(crate) mod response;
pub(crate) mod secure;
pub(crate) mod server;
pub(crate) mod sse;
pub(crate) mod stream;
pub(crate) mod watch;

pub(crate) use client::{Connection, Request};
pub(crate) use response::Response;
pub(crate) use server::{ServerUnderTest, shared};
pub(crate) use stream::Stream;
pub(crate) use test_support::Random;

use std::time::{Duration, Instant};
use test_support::Host;

/// The program under test.
pub(crate) const HOST: Host = Host::at(env!("CARGO_BIN_EXE_durable-streams"));

/// Longest time anything here waits for the server before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The all-zeros offset: the start of a stream that was never deleted.
pub(crate) const START: &str = "0000000000000000_0000000000000000";

/// Calls `ask` until it returns true; fails the test if that takes too long.
#[track_caller]
pub(crate) fn eventually(claim: &str, mut ask: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !ask() {
        assert!(begun.elapsed() < PATIENCE, "this never came true: {claim}");
        // A loop without a pause would take the processor from the server.
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// Whether this is a long run (`cargo xtask test --full`).
pub(crate) fn full() -> bool {
    std::env::var("DS_TEST_FULL").is_ok_and(|value| value == "1")
}

/// Runs `count` threads at once, each with its number. Returns their results in that order.
pub(crate) fn concurrently<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..count)
            .map(|index| scope.spawn(move || work(index)))
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .map(|result| result.expect("no client panics"))
            .collect()
    })
}
