//! Figures of a store in files, as they are at a moment.

/// Figures of a store in files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Bytes of the log.
    pub log_bytes: u64,
    /// Bytes of the records in use.
    pub live_bytes: u64,
    /// Number of segments.
    pub segments: u64,
    /// Number of keys with a value.
    pub keys: u64,
    /// Changes that wait for the next batch.
    pub queued: u64,
    /// Free bytes of the disk; 0 where the system can't tell.
    pub room_bytes: u64,
    /// Whether only changes that free room are accepted.
    pub is_full: bool,
    /// Bytes of cached values.
    pub cache_bytes: u64,
    /// Reads of values that the cache had.
    pub cache_hits: u64,
    /// Reads of values that the cache did not have.
    pub cache_misses: u64,
    /// Damaged records that the scrub found since the start.
    pub damages: u64,
}
