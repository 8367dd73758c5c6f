//! `durable-streams check`: whether a store on disk is whole, and what a crash left there that
//! nothing leads to.
//!
//! First every record of the log is read and compared with its checksums. Then the streams are
//! walked from their heads, tombstones and debts: what these name must be there, and chunks and
//! index blocks that none of them names are left over from an append that was never committed.

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
