//! Segments of a stream, their chunks, and the index blocks that list them.

use super::Span;

/// A sealed segment: one immutable chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Random id of the chunk.
    pub id: u64,
    /// Bytes, 1 to `limits::MAX_CHUNK_BYTES`.
    pub length: u32,
    /// Whether its last byte ends a message; always, but for parts of a JSON message larger than a
    /// chunk.
    pub ends_message: bool,
}

/// The bytes of a segment that is about to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Random id.
    pub id: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// An index block that is about to be written: segments that a committed head already named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its number: it covers segments `64 * number` to `64 * number + 63`.
    pub number: u64,
    /// Number of its first segment, later than `64 * number` only in a stream's first block.
    pub first: u64,
    /// The segments.
    pub segments: Vec<Segment>,
    /// Owners of its first segments, where another life than the block's has their chunks.
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
