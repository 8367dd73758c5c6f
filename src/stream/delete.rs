//! Deletion (section 5.4).

use crate::limits::BLOCK_SEGMENTS;

use super::{Head, Incarnation, Link};

/// What remains of a deleted name: enough that no version and no offset is ever used twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// The name; empty, if no life of it ever began.
    pub name: String,
    /// The life that ended, or never began.
    pub incarnation: Incarnation,
    /// Goes on from the head's.
    pub version: u64,
    /// The first segment number not used yet.
    pub next_segment: u64,
    /// The newest timeline of that life.
    pub timeline: u64,
    /// What that life still has in the store; none once it is collected or moved to a debt record.
    pub owes: Option<Owed>,
    /// The stream that still counts that life among its forks.
    pub source: Option<Link>,
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
    let own = (head.recent_first..)
        .zip(&head.recent)
        .filter(|(number, _)| head.owner(*number) == head.incarnation);
    let owed = Owed {
        first_block: head.own_block(),
        // Every group that is complete may have its block: it is written before the swap that
        // takes its segments out of the head, and that swap may never have come.
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
        // One that is pending was never counted.
        source: lineage
            .filter(|lineage| !lineage.pending)
            .map(|lineage| lineage.source),
    }
}
