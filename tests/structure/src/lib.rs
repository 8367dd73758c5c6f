//! The arrows between the source files of a crate, and the rules that they keep.
//!
//! A file has an arrow to another file when it names one of its items, in a `use` or in a path. A
//! call of a method that the other file adds to a shared type is an arrow, too. A shared type has
//! inherent methods in more than one file. Test modules do not count. A `pub use` is no arrow: a
//! name that comes through it counts for the file that defines it.

mod arrows;
mod circles;
mod crates;
mod files;
pub mod floors;
mod modules;
mod prose;
mod shared;

pub use arrows::{Arrow, Reason};
pub use circles::{circles, largest};
pub use crates::{Source, Tree};
pub use files::files;
pub use prose::Prose;
