//! Deletion (section 5.4).

use crate::limits::BLOCK_SEGMENTS;

use super::{Head, Incarnation};

/// What remains of a deleted name: enough that no version and no offset is ever used twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// The name.
    pub name: String,
    /// The life that ended.
    pub incarnation: Incarnation,
    /// Goes on from the head's.
    pub version: u64,
    /// The first segment number not used yet.
    pub next_segment: u64,
    /// What that life still has in the store; none once it is collected or moved to a debt record.
    pub owes: Option<Owed>,
}

/// Chunks and index blocks of an ended life.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Owed {
    /// Number of its first index block.
    pub first_block: u64,
    /// Number of the index block after its last.
    pub end_block: u64,
    /// Ids of chunks that no index block names.
    pub chunks: Vec<u64>,
}

impl Owed {
    /// Whether there is nothing to collect.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first_block == self.end_block && self.chunks.is_empty()
    }
}

/// The tombstone of a stream that ends here.
#[must_use]
pub fn tombstone(head: &Head) -> Tombstone {
    let owed = Owed {
        first_block: head.first / BLOCK_SEGMENTS,
        // Every group that is complete may have its block: it is written before the swap that
        // takes its segments out of the head, and that swap may never have come.
        end_block: head.open_segment() / BLOCK_SEGMENTS,
        chunks: head.recent.iter().map(|segment| segment.id).collect(),
    };
    Tombstone {
        name: head.name.clone(),
        incarnation: head.incarnation,
        version: head.version.saturating_add(1),
        next_segment: head.open_segment().saturating_add(1),
        owes: (!owed.is_empty()).then_some(owed),
    }
}
