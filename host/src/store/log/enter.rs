//! Entry of records into the index, both after a write and during recovery.

use super::format::record_length;
use super::index::{Index, Location, PatchPlace};
use super::scan::Content;
use super::segments::{Segment, Segments};
use crate::store::ChangeNumber;

/// A record in a segment.
pub(super) struct Entered<'a> {
    pub(super) key: &'a str,
    pub(super) sequence: ChangeNumber,
    pub(super) offset: u32,
    /// Number of bytes after the key.
    pub(super) length: u32,
    pub(super) content: Content,
}

/// Enters a record and frees the record that it replaces. The caller enters the records of a key in
/// log order. Returns false, and changes nothing, if the record is a patch of the wrong base. The
/// base must be the key's current whole value, or the base of its current patch.
#[must_use]
pub(super) fn enter(
    index: &Index,
    segments: &Segments,
    segment: &Segment,
    record: &Entered<'_>,
) -> bool {
    let key = record.key;
    let value_length = match record.content {
        Content::Value => record.length,
        Content::Patch(head) => head.length,
        Content::Tombstone(range) => {
            segment.add_tombstone(range, record_length(key.len(), record.length.into()));
            free(segments, index.remove(key, record.sequence), None, key);
            return true;
        }
    };
    let patch = if let Content::Patch(head) = record.content {
        let known = index.get(key);
        let known = known.filter(|known| known.sequence < record.sequence);
        let base_length = known.and_then(|known| known.base_length(segment.number, head.base));
        let Some(base_length) = base_length else {
            return false;
        };
        Some(PatchPlace {
            length: record.length,
            base: head.base,
            base_length,
        })
    } else {
        None
    };
    let place = Location {
        sequence: record.sequence,
        segment: segment.number,
        offset: record.offset,
        value_length,
        first: segment.number,
        patch,
    };
    segment.add_live(place.record_length(key));
    free(segments, index.put(key, place), Some(place), key);
    true
}

fn free(segments: &Segments, older: Option<Location>, newer: Option<Location>, key: &str) {
    if let Some(older) = older
        && let Some(segment) = segments.get(older.segment)
    {
        segment.remove_live(older.freed_by(newer, key));
    }
}
