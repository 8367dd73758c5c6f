//! Deletion (section 5.4).

use crate::limits::BLOCK_SEGMENTS;

use super::{Head, Incarnation, Link};

/// The remainder of a deleted name, which ensures that no version and no offset is ever used twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// The name; empty if no life of the name ever began.
    pub name: String,
    /// The life that ended, or never began.
    pub incarnation: Incarnation,
    /// Continues the version of the head.
    pub version: u64,
    /// The first segment number not used yet.
    pub next_segment: u64,
    /// The newest timeline of that life.
    pub timeline: u64,
    /// Chunks and blocks that the life still owns in the store; `None` once they are removed or
    /// moved to a debt record.
    pub owes: Option<Owed>,
    /// The stream that still counts the life as a fork.
    pub source: Option<Link>,
}

/// Chunks and index blocks of an ended life.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Owed {
    /// Number of the life's first index block.
    pub first_block: u64,
    /// Number after the life's last index block.
    pub end_block: u64,
    /// Ids of chunks that no index block names.
    pub chunks: Vec<u64>,
}

impl Owed {
    /// Whether there is nothing to remove.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first_block == self.end_block && self.chunks.is_empty()
    }
}

/// Returns the tombstone for a stream that ends now.
#[must_use]
pub fn tombstone(head: &Head) -> Tombstone {
    let own = (head.recent_first..)
        .zip(&head.recent)
        .filter(|(number, _)| head.owner(*number) == head.incarnation);
    let owed = Owed {
        first_block: head.own_block(),
        // Every complete group may have a block: the block is written before the swap that removes
        // its segments from the head, and that swap may have failed.
        end_block: head.open_segment() / BLOCK_SEGMENTS,
        chunks: own.map(|(_, segment)| segment.id).collect(),
    };
    let next = head.open_segment().saturating_add(1);
    let lineage = head.lineage.as_ref();
    Tombstone {
        name: head.name.clone(),
        incarnation: head.incarnation,
        version: head.version.saturating_add(1),
        next_segment: next.max(lineage.map_or(0, |lineage| lineage.floor)),
        timeline: head.timelines.last(),
        owes: (!owed.is_empty()).then_some(owed),
        // A pending fork was never counted.
        source: lineage
            .filter(|lineage| !lineage.pending)
            .map(|lineage| lineage.source),
    }
}
