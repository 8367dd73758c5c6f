//! Finding records again behind damage.
//!
//! Where a batch is not as it was written, its header says nothing for sure. Each record has a
//! checksum of its own over its header and key, seeded with the store's id: one that verifies is as
//! it was written.

use super::api::MAX_KEY_BYTES;
use super::format::{BATCH_HEADER, RECORD_HEADER, RecordHeader};
use super::scan::{Depth, Scanned, Scanner};
use std::io;

/// Bytes looked at in one go.
const WINDOW: u64 = 64 << 10;

impl Scanner<'_> {
    /// The records that verify between two offsets, in a batch that begins at the first one and does
    /// not.
    pub(super) fn records_within(
        &mut self,
        from: u64,
        to: u64,
        depth: Depth,
    ) -> io::Result<Vec<Scanned>> {
        let mut records = Vec::new();
        let mut offset = from.saturating_add(BATCH_HEADER as u64);
        // Its first record may lie right behind its header.
        while let Some(candidate) = self.next_candidate(offset, to)? {
            offset = match self.record(candidate, to, depth)? {
                Some((record, header)) => {
                    records.push(record);
                    candidate.saturating_add(header.record_length())
                }
                None => candidate.saturating_add(1),
            };
        }
        Ok(records)
    }

    /// The next offset at which the header of a record may begin.
    fn next_candidate(&mut self, mut offset: u64, to: u64) -> io::Result<Option<u64>> {
        let head = RECORD_HEADER as u64;
        while offset.saturating_add(head) <= to {
            let length = WINDOW.min(to.saturating_sub(offset));
            let bytes = self.bytes(offset, length)?.unwrap_or_default();
            let found = bytes.windows(RECORD_HEADER).position(may_begin);
            if let Some(at) = found {
                return Ok(Some(offset.saturating_add(at as u64)));
            }
            // A header may begin in these bytes and end behind them.
            offset = offset.saturating_add(length.saturating_sub(head).saturating_add(1));
        }
        Ok(None)
    }
}

/// Whether these bytes may be a header. Most bytes may not, which costs little to see.
fn may_begin(bytes: &[u8]) -> bool {
    let is_some_kind = matches!(bytes, [1..=3, 0, ..]);
    is_some_kind
        && RecordHeader::decode(bytes).is_some_and(|header| {
            // So that bytes made to look like headers cost no more than others.
            usize::from(header.key_length) <= MAX_KEY_BYTES
        })
}
