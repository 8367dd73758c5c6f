//! Finds records behind damage.
//!
//! The header of a damaged batch is not reliable. Each record has its own checksum over its header
//! and key, seeded with the store's id. A record with a valid checksum is intact.

use super::api::MAX_KEY_BYTES;
use super::format::{BATCH_HEADER, RECORD_HEADER, RecordHeader};
use super::scan::{Depth, Scanned, Scanner};
use std::io;

/// Bytes searched at a time.
const WINDOW: u64 = 64 << 10;

impl Scanner<'_> {
    /// Returns the valid records between two offsets, in an invalid batch that begins at the first
    /// offset.
    pub(super) fn records_within(
        &mut self,
        from: u64,
        to: u64,
        depth: Depth,
    ) -> io::Result<Vec<Scanned>> {
        let mut records = Vec::new();
        let mut offset = from.saturating_add(BATCH_HEADER as u64);
        // The first record may begin right behind the batch header.
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

    /// Returns the next offset at which a record header may begin.
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

/// Whether these bytes may be a header. The test is cheap, and most bytes fail it.
fn may_begin(bytes: &[u8]) -> bool {
    let is_some_kind = matches!(bytes, [1..=3, 0, ..]);
    is_some_kind
        && RecordHeader::decode(bytes).is_some_and(|header| {
            // Bytes that imitate headers then cost no more than others.
            usize::from(header.key_length) <= MAX_KEY_BYTES
        })
}
