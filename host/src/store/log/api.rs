//! What users of the log say to it and hear from it.

use crate::store::ChangeNumber;
use bytes::Bytes;
use std::path::PathBuf;

/// The longest key.
pub(crate) const MAX_KEY_BYTES: usize = 1024;
/// The longest value: what the component writes is far below, and one value is one read.
pub(crate) const MAX_VALUE_BYTES: usize = 16 << 20;
/// The longest batch: keys, values, and a header for each. Offsets in a segment have 32 bits.
pub(crate) const MAX_BATCH_BYTES: u64 = 256 << 20;

/// One change of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// The key that changes.
    pub key: Box<str>,
    /// Its new value, or none where it is deleted.
    pub value: Option<Bytes>,
    /// The number of this change: above that of every earlier change of the key.
    pub sequence: ChangeNumber,
}

/// When a commit returns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// When the disk has it: it survives a power failure.
    #[default]
    Sync,
    /// When the operating system has it: it survives the end of this process only.
    Os,
}

/// How a log is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// When a commit returns.
    pub durability: Durability,
    /// Where a segment ends at the latest; one batch may pass it. Those of a small store are
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
    /// Until the value is here.
    ForDisk,
    /// No: what is not in memory is [`Found::NotResident`]. Where the system can't say what is in
    /// memory, it waits all the same.
    Never,
}

/// What a read found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// There is no such key.
    Absent,
    /// The key is there; its value would have to come from the disk.
    NotResident,
    /// The key and its value.
    Value {
        /// The value.
        value: Bytes,
        /// The number of the change that wrote it.
        sequence: ChangeNumber,
    },
}

/// What opening a log found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// Keys that have a value.
    pub keys: u64,
    /// Segments that were read.
    pub segments: u64,
    /// Keys of values in the newest segment that are not as they were written: reading one fails.
    pub damaged: Vec<Box<str>>,
    /// There was no room for a reserve: only what frees room is taken until there is.
    pub lacks_reserve: bool,
    /// What a crash had left unfinished; at most one, unless the log was kept with
    /// [`Durability::Os`].
    pub cuts: Vec<Cut>,
}

/// An unfinished write that was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The segment.
    pub file: PathBuf,
    /// Where it ends now.
    pub offset: u64,
    /// What was there up to the old end of the file.
    pub bytes: u64,
}
