//! A backup in a directory.
//!
//! ```text
//! BACKUP                     the list of the segments; written last, so a backup with it is whole
//! 0000000007-0.log           segment 7 of timeline 0, as far as it went at the backup's moment
//! ```
//!
//! Segments only grow. So a later backup continues the segments that an earlier one left, and the
//! earlier one stays whole until the list is replaced. Segments that the new list does not name are
//! removed after that.

mod digest;
mod error;
mod manifest;
mod measured;
mod restore;
mod source;
mod take;
#[cfg(test)]
mod tests;
mod view;

pub use error::BackupError;
pub(crate) use measured::{Measured, Reader};
pub(crate) use restore::restore;
pub(crate) use source::{Local, Moment, Source};
pub(crate) use take::take;
pub(crate) use view::BackupFiles;
