//! Encoding of one slot of the manifest.
//!
//! ```text
//! slot  magic 8  version 4  segments 4  store id 16  generation 8  (number 4  length 4)*  checksum 4
//! ```

use super::{Fields, SegmentNumber, StoreId};
use std::collections::BTreeMap;

const MAGIC: [u8; 8] = *b"DSLOGMAN";
const VERSION: u32 = 1;
const HEADER: usize = 40;
const ENTRY: usize = 8;
const CHECKSUM: usize = 4;

/// The segments of a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Names {
    /// Length of each segment up to its last batch. `None` for the segment that takes writes.
    lengths: BTreeMap<SegmentNumber, Option<u32>>,
}

impl Names {
    /// Whether the names include a segment.
    pub(in super::super) fn has(&self, number: SegmentNumber) -> bool {
        self.lengths.contains_key(&number)
    }

    /// The segments in ascending order.
    pub(in super::super) fn numbers(&self) -> impl Iterator<Item = SegmentNumber> {
        self.lengths.keys().copied()
    }

    /// The newest segment, which takes the writes. 0 if there is no segment.
    pub(in super::super) fn newest(&self) -> SegmentNumber {
        self.numbers().last().unwrap_or(0)
    }

    /// Length of a segment that takes no more writes.
    pub(in super::super) fn length(&self, number: SegmentNumber) -> Option<u32> {
        self.lengths.get(&number).copied().flatten()
    }

    /// Adds a segment, or notes the length of a known one.
    pub(in super::super) fn add(&mut self, number: SegmentNumber, length: Option<u32>) {
        self.lengths.insert(number, length);
    }

    /// Removes a segment.
    pub(in super::super) fn remove(&mut self, number: SegmentNumber) {
        self.lengths.remove(&number);
    }

    /// Encodes a slot with these names.
    pub(in super::super) fn encode(&self, generation: u64, id: StoreId) -> Vec<u8> {
        let entries = self.lengths.len().saturating_mul(ENTRY);
        let mut bytes = Vec::with_capacity(HEADER.saturating_add(entries).saturating_add(CHECKSUM));
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((self.lengths.len() as u32).to_le_bytes());
        bytes.extend(id.0);
        bytes.extend(generation.to_le_bytes());
        for (number, length) in &self.lengths {
            bytes.extend(number.to_le_bytes());
            bytes.extend(length.unwrap_or(0).to_le_bytes());
        }
        bytes.extend(id.checksum(&bytes).to_le_bytes());
        bytes
    }

    /// Decodes the names in a slot and their generation. Returns `None` unless the slot is complete
    /// and belongs to this store.
    pub(in super::super) fn decode(slot: &[u8], id: StoreId) -> Option<(u64, Self)> {
        let mut header = Fields(slot.get(..HEADER)?);
        let ours = header.take()? == MAGIC && header.u32()? == VERSION;
        let count = header.u32()? as usize;
        let ours = ours && header.take()? == id.0;
        let generation = header.u64()?;
        let end = count.checked_mul(ENTRY)?.checked_add(HEADER)?;
        let (body, rest) = slot.split_at_checked(end)?;
        let checksum = rest.first_chunk().copied().map(u32::from_le_bytes)?;
        if !ours || checksum != id.checksum(body) {
            return None;
        }
        let mut entries = Fields(body.get(HEADER..)?);
        let mut names = Self::default();
        for _ in 0..count {
            let (number, length) = (entries.u32()?, entries.u32()?);
            names.add(number, (length > 0).then_some(length));
        }
        Some((generation, names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> StoreId {
        StoreId::from_hex(&"5a".repeat(16)).expect("32 digits")
    }

    fn names() -> Names {
        let mut names = Names::default();
        names.add(3, Some(4096));
        names.add(7, Some(44));
        names.add(9, None);
        names
    }

    #[test]
    fn names_are_read_as_they_were_written_and_any_flipped_bit_is_seen() {
        let mut slot = names().encode(5, id());
        assert_eq!(slot.len(), HEADER + 3 * ENTRY + CHECKSUM);
        slot.resize(100, 0);
        assert_eq!(Names::decode(&slot, id()), Some((5, names())));
        assert_eq!(Names::decode(&slot, StoreId::random()), None);
        for bit in 0..(HEADER + 3 * ENTRY + CHECKSUM) * 8 {
            let mut flipped = slot.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Names::decode(&flipped, id()), None, "bit {bit}");
        }
        for length in 0..HEADER + 3 * ENTRY + CHECKSUM {
            assert_eq!(Names::decode(&slot[..length], id()), None);
        }
    }

    /// Every later version must read these bytes of format 3.
    #[test]
    fn a_slot_has_the_bytes_that_the_format_says() {
        let slot = names().encode(5, id());
        let mut expected = b"DSLOGMAN".to_vec();
        expected.extend([1, 0, 0, 0, 3, 0, 0, 0]);
        expected.extend([0x5a; 16]);
        expected.extend([5, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend([3, 0, 0, 0, 0, 0x10, 0, 0, 7, 0, 0, 0, 44, 0, 0, 0]);
        expected.extend([9, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend(id().checksum(&expected).to_le_bytes());
        assert_eq!(slot, expected);
    }
}
