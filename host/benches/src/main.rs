//! Load for a Durable Streams server over HTTP/1.1, and what it cost the server.
//!
//! `measure` runs one scenario against the server at an address and says how many requests or
//! deliveries a second it did, what CPU each cost the server's process, and how long they took.
//! `summary` compares what several runs of it wrote. `cargo xtask bench` does both for our host
//! and a peer, in interleaved rounds. `soak` watches a server under a mixed load for a long time.
//!
//! The generator is one thread, so that a server on a machine of two cores has the other one. It
//! still shares the machine: the server's CPU is the figure to compare, rates and latencies are
//! those of server and generator together.

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
