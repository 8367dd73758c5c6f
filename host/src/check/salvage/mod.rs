//! `durable-streams check DIR --salvage OUT`: copies the readable records of a damaged store to a new one.
//!
//! # Which value of a key is taken
//!
//! The salvage takes the newest known value of every key. A record with a damaged key may have been
//! newer, so any key may have lost its newest value; the report says so.
//!
//! # A stream with a part that can't be read
//!
//! The salvage copies all readable parts of the stream, since leaving the stream out would lose
//! more. A [hole](crate::store::log::Hole) replaces each lost chunk and index block. Reads of a
//! hole get the answer for a damaged value; all other appends and reads work. A check recognizes
//! holes. A stream with a lost head is left out, and its name is free again.
//!
//! # Which records change
//!
//! Records that no head refers to are not copied, so ended incarnations have no debts any more. A
//! source counts its remaining forks. A source kept only for its forks ends with the last of them.

mod command;
mod output;
mod report;
mod space;
mod streams;
#[cfg(test)]
mod tests;

pub use command::salvage;
pub use report::Salvaged;
