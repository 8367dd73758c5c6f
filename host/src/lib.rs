//! The native host.

pub mod budget;
pub mod drive;
pub mod engine;
pub mod exchange;
#[cfg(test)]
mod fake;
pub mod guest;
pub mod store;
pub mod telemetry;
pub mod wasi;
pub mod worker;
