//! Backups of a store in files, and restores.
//!
//! ```text
//!  command -> remote (HTTP) -> answer -> open -> snapshot of the log
//!       \---> disk: the directory of a backup
//! ```
//!
//! The client asks the server for the list of the segments of one moment, reads each segment, and
//! ends the backup. The server only keeps the segments readable: it pins them until the client ends
//! the backup, stays silent for a minute, or the disk of the store is nearly full.

mod answer;
mod command;
pub(crate) mod disk;
mod open;
mod remote;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use answer::{answer, is_backup};
pub use command::{BackupSource, backup, restore};
pub use disk::BackupError;
pub(crate) use open::Backups;
