//! Segments of a stream, their chunks, and the index blocks that list segments.

use super::Span;

/// A sealed segment: one immutable chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Random id of the chunk.
    pub id: u64,
    /// Number of bytes, 1 to `limits::MAX_CHUNK_BYTES`.
    pub length: u32,
    /// Whether the last byte ends a message. False only inside a JSON message larger than a chunk.
    pub ends_message: bool,
}

/// The bytes of a segment that will be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Random id of the chunk.
    pub id: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// An index block that will be written: segments that a committed head already listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Number of the block. It covers segments `64 * number` to `64 * number + 63`.
    pub number: u64,
    /// Number of the first segment: `64 * number`, or later in a stream's first block.
    pub first: u64,
    /// The segments.
    pub segments: Vec<Segment>,
    /// Owners of the first segments, if another life than the block's owns their chunks.
    pub owners: Vec<Span>,
}

impl Block {
    /// Ids of the chunks that belong to the block's own life.
    pub fn own_chunks(&self) -> impl Iterator<Item = u64> {
        let shared = self.owners.last().map_or(0, |span| span.end);
        let numbered = (self.first..).zip(&self.segments);
        numbered
            .filter(move |(number, _)| *number >= shared)
            .map(|(_, segment)| segment.id)
    }
}
