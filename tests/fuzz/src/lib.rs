//! What is fuzzed: functions of bytes that an outsider, or a store, may send. Each holds what it
//! makes of them to some claims, and panics where one is broken.
//!
//! `libfuzzer/` runs them with cargo-fuzz (`cargo xtask fuzz`); `tests/replay.rs` runs them on the
//! corpus and on mutations of it, so that what was found once is found by ordinary tests.

mod content;
mod events;
mod input;
mod json;
mod model;
mod mutate;
mod offsets;
mod operations;
mod records;
mod requests;
mod sse;
mod world;

pub use mutate::Mutator;

/// A target: its name, which is that of its corpus, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("json", json::run),
    ("offsets", offsets::run),
    ("operations", operations::run),
    ("records", records::run),
    ("requests", requests::run),
    ("sse", sse::run),
];

/// Runs the target of this name.
///
/// # Panics
///
/// There is no such target, or a claim is broken.
pub fn run(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, target) = target.expect("a target of that name");
    target(input);
}
