//! `durable-streams check DIR --salvage OUT`: copies the readable records of a damaged store to a new one.
//!
//! # Which value of a key is taken
//!
//! Of every key the newest value that is known of. A record whose key is damaged may have been a newer
//! one, so any key may have lost its newest value; the report says so.
//!
//! # A stream with a part that can't be read
//!
//! It is copied with all that can be read of it, since leaving it out would lose more. In the place of
//! each chunk and index block that is lost stands a [hole](crate::store::log::Hole): reads of it are
//! answered as those of any damaged value, appends and reads of all else go on, and a check knows that
//! it was named. A stream whose head is lost is left out, with its name free again.
//!
//! # Which records change
//!
//! Nothing that no head leads to is copied, so ended lives owe nothing any more. A source counts the
//! forks that are left, and one that was kept for its forks alone ends with the last of them.

mod command;
mod output;
mod report;
mod space;
mod streams;
#[cfg(test)]
mod tests;

pub use command::salvage;
pub use report::Salvaged;
