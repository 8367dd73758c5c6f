//! Fuzz targets: functions of bytes that a client or a store may send. Each checks claims about the
//! result, and panics if a claim is broken.
//!
//! `libfuzzer/` runs them with cargo-fuzz (`cargo xtask fuzz`). `tests/replay.rs` runs them on the
//! corpus and on mutations of it, so that ordinary tests repeat earlier findings.

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

/// A target: its name, which is also the name of its corpus, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
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
/// If there is no such target, or a claim is broken.
pub fn run(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, target) = target.expect("a target of that name");
    target(input);
}
