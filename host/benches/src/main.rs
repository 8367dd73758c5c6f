//! Load generator for a Durable Streams server over HTTP/1.1. It also measures the server's cost.
//!
//! `measure` runs one scenario against the server at an address. It reports requests or deliveries
//! a second, the server's CPU for each, and latencies. `summary` compares the results of several
//! runs. `cargo xtask bench` does both for our host and a peer, in interleaved rounds. `soak`
//! watches a server under a mixed load for a long time.
//!
//! The generator is one thread, so on a machine of two cores the server has the other core. Both
//! share the machine: compare the server's CPU, as rates and latencies include the generator's own
//! cost.

mod cli;
mod disk;
mod histogram;
mod http;
mod measurement;
mod process;
mod scenario;
mod soak;
mod sse;
mod summary;
mod table;
mod target;
mod window;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let done = match cli::Cli::parse().command {
        cli::Command::Measure(measure) => scenario::measure(&measure),
        cli::Command::Summary(summary) => summary::summarize(&summary),
        cli::Command::Syncs(syncs) => scenario::measure_syncs(&syncs),
        cli::Command::Soak(args) => soak::soak(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
