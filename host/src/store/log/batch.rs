//! Lays out a batch for one vectored write.

use super::bases::Patch;
use super::format::{
    BATCH_HEADER, BatchHeader, Kind, RANGE, Range, RecordHeader, SegmentNumber, StoreId,
    record_length,
};
use super::scan::Content;
use crate::store::ChangeNumber;
use bytes::Bytes;
use std::io::IoSlice;
use std::ops::Range as Span;

/// Largest value for which copying is cheaper than one more slice in the system call.
const COPIED_BYTES: usize = 2048;

/// Record to write.
#[derive(Debug, Clone)]
pub(super) struct Record<'a> {
    pub(super) key: &'a str,
    pub(super) sequence: ChangeNumber,
    /// Whether the key had a value.
    pub(super) replaces: bool,
    pub(super) body: Body,
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    Value(Bytes),
    Patch(Patch),
    Tombstone(Range),
    /// Replacement for a lost value.
    Hole(Bytes),
}

impl Body {
    pub(super) fn content(&self) -> Content {
        match self {
            Self::Value(_) | Self::Hole(_) => Content::Value,
            Self::Patch(patch) => Content::Patch(patch.head),
            Self::Tombstone(range) => Content::Tombstone(*range),
        }
    }
}

impl Record<'_> {
    /// Bytes after the key.
    pub(super) fn value_length(&self) -> usize {
        match &self.body {
            Body::Value(value) | Body::Hole(value) => value.len(),
            Body::Patch(patch) => patch.length(),
            Body::Tombstone(_) => RANGE,
        }
    }

    pub(super) fn length(&self) -> u64 {
        record_length(self.key.len(), self.value_length() as u64)
    }
}

/// Length of the whole batch.
pub(super) fn batch_length(records: &[Record<'_>]) -> u64 {
    let all: u64 = records.iter().map(Record::length).sum();
    all.saturating_add(BATCH_HEADER as u64)
}

/// Position of a batch in the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    pub(super) segment: SegmentNumber,
    pub(super) offset: u32,
    /// Whether all earlier bytes are synced.
    pub(super) proof: bool,
}

/// Batch in its written form: headers, keys and small values in one buffer, large values uncopied.
pub(super) struct Layout {
    buffer: Vec<u8>,
    parts: Vec<Part>,
}

enum Part {
    Buffer(Span<usize>),
    Value(Bytes),
}

impl Layout {
    pub(super) fn new(records: &[Record<'_>], position: Position, id: StoreId) -> Self {
        let mut layout = Self {
            buffer: vec![0; BATCH_HEADER],
            parts: Vec::new(),
        };
        let mut begun = 0;
        let mut sums = Vec::with_capacity(records.len().saturating_mul(4));
        for record in records {
            let (kind, patch, value) = match &record.body {
                Body::Value(value) | Body::Hole(value) => (Kind::Value, None, value.clone()),
                Body::Patch(patch) => (Kind::Patch, Some(patch.head), patch.runs.clone()),
                Body::Tombstone(range) => {
                    let range = Bytes::copy_from_slice(&range.encode());
                    (Kind::Tombstone, None, range)
                }
            };
            let header = RecordHeader {
                kind,
                // Commits refuse longer keys and values.
                key_length: record.key.len() as u16,
                value_length: record.value_length() as u32,
                sequence: record.sequence,
                value_checksum: match record.body {
                    Body::Hole(_) => id.checksum_of_hole(&value),
                    Body::Value(_) | Body::Patch(_) | Body::Tombstone(_) => id.checksum(&value),
                },
                checksum: 0,
            };
            let sum = header.encode(record.key, patch, id, &mut layout.buffer);
            sums.extend(sum.to_le_bytes());
            if value.len() <= COPIED_BYTES {
                layout.buffer.extend_from_slice(&value);
            } else {
                layout.parts.push(Part::Buffer(begun..layout.buffer.len()));
                layout.parts.push(Part::Value(value));
                begun = layout.buffer.len();
            }
        }
        layout.parts.push(Part::Buffer(begun..layout.buffer.len()));
        let header = BatchHeader {
            proof: position.proof,
            length: batch_length(records).saturating_sub(BATCH_HEADER as u64) as u32,
            records: records.len() as u32,
            segment: position.segment,
            offset: position.offset,
            digest: id.checksum(&sums),
        };
        if let Some(place) = layout.buffer.first_chunk_mut() {
            *place = header.encode(id);
        }
        layout
    }

    /// The slices of the batch.
    pub(super) fn slices(&self) -> Vec<IoSlice<'_>> {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Buffer(span) => self.buffer.get(span.clone()).unwrap_or_default(),
                Part::Value(value) => value,
            })
            .map(IoSlice::new)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::faults::FaultyFiles;
    use super::super::files::Files;
    use super::super::scan::{Depth, Piece, Scanner};
    use super::*;
    use std::path::Path;

    fn laid_out(value: &'static [u8], id: StoreId) -> Vec<u8> {
        let record = |key| Record {
            key,
            sequence: ChangeNumber::new(7),
            replaces: false,
            body: Body::Value(Bytes::from_static(value)),
        };
        let position = Position {
            segment: 1,
            offset: 0,
            proof: true,
        };
        let layout = Layout::new(&[record("a"), record("b")], position, id);
        layout
            .slices()
            .iter()
            .flat_map(|slice| slice.to_vec())
            .collect()
    }

    #[test]
    fn records_of_two_attempts_at_one_place_do_not_pass_for_a_batch() {
        let id = StoreId::random();
        let (one, other) = (laid_out(b"one", id), laid_out(b"two", id));
        let middle = BATCH_HEADER + (one.len() - BATCH_HEADER) / 2;
        let mixed = [&one[..middle], &other[middle..]].concat();
        for (bytes, whole) in [(one, true), (other, true), (mixed, false)] {
            let files = FaultyFiles::default();
            let path = Path::new("/segment");
            let len = bytes.len() as u64;
            files.put(path, bytes);
            let file = files.open(path).expect("is there");
            let piece = Scanner::new(&*file, id, 1, len).piece(0, Depth::Values);
            let piece = piece.expect("readable");
            assert_eq!(matches!(piece, Piece::Batch { .. }), whole);
        }
    }
}
