//! Types in the interface of the log.

use crate::store::ChangeNumber;
use bytes::Bytes;
use std::path::PathBuf;

/// The longest key.
pub(crate) const MAX_KEY_BYTES: usize = 1024;
/// The longest value. Values of the component are far shorter, and a value is read in one piece.
pub(crate) const MAX_VALUE_BYTES: usize = 16 << 20;
/// The longest batch: keys, values, and a header for each. Offsets in a segment have 32 bits.
pub(crate) const MAX_BATCH_BYTES: u64 = 256 << 20;

/// One change of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// The key that changes.
    pub key: Box<str>,
    /// Its new value, or `None` for a deletion.
    pub value: Option<Bytes>,
    /// The number of this change, above the number of every earlier change of the key.
    pub sequence: ChangeNumber,
}

/// When a commit returns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// When the data is on the disk. It survives a power failure.
    #[default]
    Sync,
    /// When the operating system has the data. It survives only the end of this process.
    Os,
}

/// Settings of a log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// When a commit returns.
    pub durability: Durability,
    /// Length at which a segment ends. One batch may exceed it. Segments of a small store are
    /// smaller.
    pub segment_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::Sync,
            segment_bytes: 64 << 20,
        }
    }
}

/// Whether a read may wait for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Waits until the value is read.
    ForDisk,
    /// Does not wait. A value that is not in memory is [`Found::NotResident`]. If the system can't
    /// report which values are in memory, the read waits nevertheless.
    Never,
}

/// Result of a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// There is no such key.
    Absent,
    /// The key is present, but its value would have to come from the disk.
    NotResident,
    /// The key and its value.
    Value {
        /// The value.
        value: Bytes,
        /// The number of the change that wrote it.
        sequence: ChangeNumber,
    },
}

/// Report about the opening of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// Number of keys with a value.
    pub keys: u64,
    /// Number of segments read.
    pub segments: u64,
    /// Keys with a damaged value in the newest segment. Reads of such a value fail.
    pub damaged: Vec<Box<str>>,
    /// There was no room for a reserve. Until there is, the log takes only changes that free room.
    pub lacks_reserve: bool,
    /// Writes that a crash left unfinished. There is at most one, unless the log was kept with
    /// [`Durability::Os`].
    pub cuts: Vec<Cut>,
}

/// An unfinished write that was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The segment.
    pub file: PathBuf,
    /// The end of the segment now.
    pub offset: u64,
    /// Number of bytes from there to the old end of the file.
    pub bytes: u64,
}
