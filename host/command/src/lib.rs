//! Commands of the `durable-streams` program for any Durable Streams server.
//!
//! [`Verb`] is a set of `clap` subcommands, which the program adds to its own. [`Verb::run`] runs
//! one of them to its end.

mod archive;
mod connection;
mod failure;
mod generated;
mod input;
mod journal;
mod output;
mod progress;
mod top;
mod verbs;

pub use failure::Exit;
pub use verbs::Verb;

/// Returns bytes as hexadecimal digits in lower case.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns a length as the type of positions.
fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
