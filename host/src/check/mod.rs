//! `durable-streams check`: checks a store on disk, and finds records that a crash left
//! unreferenced.
//!
//! The check first reads every record of the log and verifies its checksums. Then it walks the
//! streams from their heads, tombstones and debts. All chunks and index blocks that these records
//! refer to must exist. Unreferenced chunks and index blocks are left over from an append that was
//! never committed.

mod command;
mod error;
mod forks;
mod marks;
mod report;
mod salvage;
mod space;
#[cfg(test)]
mod tests;
mod walk;

pub use command::check;
pub use error::CheckError;
pub use report::{Counts, Report};
pub use salvage::{Salvaged, salvage};
