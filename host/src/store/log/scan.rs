//! Reads a segment from its beginning to its end.

use super::files::LogFile;
use super::format::{
    BATCH_HEADER, BATCH_MAGIC, BatchHeader, Kind, PatchHead, RECORD_HEADER, Range, RecordHeader,
    SegmentNumber, StoreId,
};
use crate::store::ChangeNumber;
use std::io;

/// Bytes to read ahead: the first where records follow closely, the second where large values are
/// skipped.
const NEAR_BYTES: u64 = 256 << 10;
const FAR_BYTES: u64 = 4 << 10;
/// Length of a skipped value from which reading ahead would be wasted.
const FAR_VALUE: u32 = 16 << 10;

/// Depth of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Verifies every header, key and tombstone, and the head of every patch.
    Headers,
    /// Verifies every value, too.
    Values,
}

/// Record found in a segment.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) key: Box<str>,
    pub(super) sequence: ChangeNumber,
    pub(super) offset: u32,
    /// Bytes after the key.
    pub(super) length: u32,
    pub(super) content: Content,
    /// Whether the value is damaged; only checked with [`Depth::Values`].
    pub(super) damaged: bool,
    /// Whether the record is a hole.
    pub(super) is_hole: bool,
}

/// Content of a record, as far as it is known without reading the value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content {
    Value,
    Patch(PatchHead),
    /// Range of segments with records that the tombstone supersedes.
    Tombstone(Range),
}

/// Finding at one place of a segment.
pub(super) enum Piece {
    /// A batch that ends at `end`. Its values may be damaged.
    Batch { records: Vec<Scanned>, end: u64 },
    /// Nothing, or zeros up to the end.
    End,
    /// Invalid bytes.
    Invalid,
}

/// Reads one segment through a buffer.
pub(super) struct Scanner<'a> {
    file: &'a dyn LogFile,
    id: StoreId,
    segment: SegmentNumber,
    len: u64,
    buffer: Vec<u8>,
    /// Offset of the buffer in the segment.
    start: u64,
    ahead: u64,
}

impl<'a> Scanner<'a> {
    /// Creates a scanner for the bytes before `len`.
    pub(super) fn new(
        file: &'a dyn LogFile,
        id: StoreId,
        segment: SegmentNumber,
        len: u64,
    ) -> Self {
        Self {
            file,
            id,
            segment,
            len,
            buffer: Vec::new(),
            start: 0,
            ahead: NEAR_BYTES,
        }
    }

    /// Returns bytes of the segment; `None` where the segment ends before.
    pub(super) fn bytes(&mut self, offset: u64, length: u64) -> io::Result<Option<&[u8]>> {
        let end = offset.saturating_add(length);
        if end > self.len {
            return Ok(None);
        }
        let held = self.start.saturating_add(self.buffer.len() as u64);
        if offset < self.start || end > held {
            let wanted = length.max(self.ahead).min(self.len.saturating_sub(offset));
            self.buffer.resize(wanted as usize, 0);
            self.start = offset;
            if let Err(error) = self.file.read_at(&mut self.buffer, offset) {
                self.buffer.clear();
                return Err(error);
            }
        }
        let from = offset.saturating_sub(self.start) as usize;
        Ok(self.buffer.get(from..from.saturating_add(length as usize)))
    }

    /// Reads the piece at an offset where a batch may begin.
    pub(super) fn piece(&mut self, offset: u64, depth: Depth) -> io::Result<Piece> {
        if offset >= self.len {
            return Ok(Piece::End);
        }
        if let Some(header) = self.batch_header(offset)?
            && let Some(piece) = self.batch(header, offset, depth)?
        {
            return Ok(piece);
        }
        let blank = self.is_blank_from(offset)?;
        Ok(if blank { Piece::End } else { Piece::Invalid })
    }

    /// Reads a batch header that names this segment and offset.
    fn batch_header(&mut self, offset: u64) -> io::Result<Option<BatchHeader>> {
        let (id, segment) = (self.id, self.segment);
        let bytes = self.bytes(offset, BATCH_HEADER as u64)?;
        let header = bytes.and_then(|bytes| BatchHeader::decode(bytes, id));
        Ok(header.filter(|header| header.segment == segment && u64::from(header.offset) == offset))
    }

    fn batch(
        &mut self,
        header: BatchHeader,
        start: u64,
        depth: Depth,
    ) -> io::Result<Option<Piece>> {
        let mut offset = start.saturating_add(BATCH_HEADER as u64);
        let end = offset.saturating_add(header.length.into());
        if end > self.len {
            return Ok(None);
        }
        // The count is verified, so it is at most the number of records that fit into the length.
        let mut records = Vec::with_capacity(header.records as usize);
        let mut sums = Vec::with_capacity((header.records as usize).saturating_mul(4));
        for _ in 0..header.records {
            let Some((record, sum)) = self.record(offset, end, depth)? else {
                return Ok(None);
            };
            sums.extend(sum.checksum.to_le_bytes());
            offset = offset.saturating_add(sum.record_length());
            records.push(record);
        }
        let whole = offset == end && header.digest == self.id.checksum(&sums);
        Ok(whole.then_some(Piece::Batch { records, end }))
    }

    pub(super) fn record(
        &mut self,
        offset: u64,
        end: u64,
        depth: Depth,
    ) -> io::Result<Option<(Scanned, RecordHeader)>> {
        let id = self.id;
        let head = RECORD_HEADER as u64;
        let header = self.bytes(offset, head)?.and_then(RecordHeader::decode);
        let Some(header) = header else {
            return Ok(None);
        };
        if offset.saturating_add(header.record_length()) > end {
            return Ok(None);
        }
        let length = head.saturating_add(header.named_length() as u64);
        let bytes = self.bytes(offset, length)?.unwrap_or_default();
        let (raw, named) = bytes.split_at_checked(RECORD_HEADER).unwrap_or_default();
        let (key, patch) = named
            .split_at_checked(header.key_length.into())
            .unwrap_or_default();
        if !header.verify(raw, named, id) {
            return Ok(None);
        }
        let Ok(key) = std::str::from_utf8(key) else {
            return Ok(None);
        };
        let key = Box::from(key);
        let mut content = match header.kind {
            Kind::Patch => PatchHead::decode(patch).map(Content::Patch),
            Kind::Value => Some(Content::Value),
            Kind::Tombstone => None,
        };
        let (mut damaged, mut is_hole) = (false, false);
        if depth == Depth::Values || header.kind == Kind::Tombstone {
            let at = offset.saturating_add(length);
            let value = header.record_length().saturating_sub(length);
            let value = self.bytes(at, value)?.unwrap_or_default();
            damaged = id.checksum(value) != header.value_checksum;
            is_hole = damaged && id.checksum_of_hole(value) == header.value_checksum;
            if header.kind == Kind::Tombstone && !damaged {
                content = Range::decode(value).map(Content::Tombstone);
            }
        } else {
            let far = header.value_length >= FAR_VALUE;
            self.ahead = if far { FAR_BYTES } else { NEAR_BYTES };
        }
        let record = content.map(|content| Scanned {
            key,
            sequence: header.sequence,
            offset: offset as u32,
            length: header.value_length,
            content,
            damaged,
            is_hole,
        });
        Ok(record.map(|record| (record, header)))
    }

    /// Whether only zeros follow this offset.
    fn is_blank_from(&mut self, mut offset: u64) -> io::Result<bool> {
        while offset < self.len {
            let length = NEAR_BYTES.min(self.len.saturating_sub(offset));
            let bytes = self.bytes(offset, length)?.unwrap_or_default();
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            offset = offset.saturating_add(length);
        }
        Ok(true)
    }

    /// Whether a batch after this offset proves that the bytes at this offset were synced.
    pub(super) fn is_proof_after(&mut self, mut offset: u64) -> io::Result<bool> {
        while let Some((next, proof)) = self.next_header(offset)? {
            if proof {
                return Ok(true);
            }
            offset = next;
        }
        Ok(false)
    }

    /// Finds the next batch header after this offset. Returns its offset, and whether the batch
    /// proves that all bytes before it were synced.
    pub(super) fn next_header(&mut self, after: u64) -> io::Result<Option<(u64, bool)>> {
        let mut offset = after.saturating_add(1);
        let head = BATCH_HEADER as u64;
        while offset.saturating_add(head) <= self.len {
            let length = NEAR_BYTES.min(self.len.saturating_sub(offset));
            let bytes = self.bytes(offset, length)?.unwrap_or_default();
            let hits: Vec<u64> = bytes
                .windows(BATCH_MAGIC.len())
                .zip(0..)
                .filter_map(|(window, at)| (window == BATCH_MAGIC).then_some(at))
                .collect();
            for at in hits {
                let at = offset.saturating_add(at);
                if let Some(header) = self.batch_header(at)? {
                    return Ok(Some((at, header.proof)));
                }
            }
            // A magic number may begin in these bytes and end in the next ones.
            let overlap = BATCH_MAGIC.len() as u64 - 1;
            offset = offset.saturating_add(length.saturating_sub(overlap).max(1));
        }
        Ok(None)
    }
}
