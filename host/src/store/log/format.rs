//! Encoding of the log on disk. All integers are little-endian.
//!
//! ```text
//! segment  magic 8  version 4  segment 4  store id 16  highest sequence 8  checksum 4
//! batch    magic 4  flags 4  length 4  records 4  segment 4  offset 4  digest 4  checksum 4
//! record   kind 1  0 1  key length 2  value length 4  sequence 8  value checksum 4  checksum 4
//!          key  value
//! ```
//!
//! The length of a batch does not include its header. The digest covers the checksums of the
//! batch's records, so a mix of records from two attempts at one place is never valid. The checksum
//! of a record covers its header and its key.
//! The value of a tombstone is its range, `first 4  origin 4`.
//!
//! The value of a patch is `base 4  length 4  checksum 4`, then the runs of `patch.rs`. `base` is
//! the offset of the base's record in this segment. `length` and `checksum` describe the value that
//! the patch makes. The checksum of the record also covers these three fields; the value checksum
//! covers only the runs. So everything but the runs can be verified without reading them.
//!
//! A hole is a value of zeros with the complement of its checksum.

mod manifest;

pub(super) use manifest::Names;

use super::api::MAX_VALUE_BYTES;
use crate::store::ChangeNumber;
use std::hash::{BuildHasher, RandomState};

/// Version that this program writes.
pub(super) const VERSION: u32 = 3;
/// First version with a manifest.
pub(super) const MANIFEST_VERSION: u32 = 3;
/// Oldest version that this program reads. It has no patches.
pub(super) const OLDEST_VERSION: u32 = 1;
/// Version in the header of a segment. The header has not changed since.
const SEGMENT_VERSION: u32 = 1;

pub(super) const SEGMENT_HEADER: usize = 44;
pub(super) const BATCH_HEADER: usize = 32;
pub(super) const RECORD_HEADER: usize = 24;
pub(super) const RANGE: usize = 8;
pub(super) const PATCH_HEAD: usize = 12;

const SEGMENT_MAGIC: [u8; 8] = *b"DSLOGSEG";
/// The bytes are rare in text, and invalid in UTF-8.
pub(super) const BATCH_MAGIC: [u8; 4] = [0xD5, 0xF1, 0x0B, 0xA7];

/// Everything before this batch was synced before the batch was written.
const FLAG_PROOF: u32 = 1;

const KIND_VALUE: u8 = 1;
const KIND_TOMBSTONE: u8 = 2;
const KIND_PATCH: u8 = 3;

/// Number of a segment. Later segments have higher numbers, and writes go to the newest.
pub(super) type SegmentNumber = u32;

/// Random identity of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StoreId([u8; 16]);

impl StoreId {
    /// Returns a new identity. The standard library draws its hash keys from the system's
    /// randomness.
    pub(super) fn random() -> Self {
        let keys = RandomState::new();
        let mut id = [0; 16];
        for (place, half) in id.as_chunks_mut::<8>().0.iter_mut().zip(0_u8..) {
            *place = keys.hash_one(half).to_le_bytes();
        }
        Self(id)
    }

    pub(super) fn to_hex(self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }

    pub(super) fn from_hex(text: &str) -> Option<Self> {
        let id = u128::from_str_radix(text, 16).ok()?;
        (text.len() == 32).then_some(Self(id.to_be_bytes()))
    }

    /// Start value of every checksum of this store.
    fn seed(self) -> u32 {
        crc32c::crc32c(&self.0)
    }

    pub(super) fn checksum(self, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(self.seed(), bytes)
    }

    /// The checksum of a hole that is as long as these bytes.
    pub(super) fn checksum_of_hole(self, bytes: &[u8]) -> u32 {
        !self.checksum(bytes)
    }
}

/// Reader of integers from the front of a slice.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

/// Splits a header from the checksum at its end.
fn split_checksum(bytes: &[u8]) -> Option<(&[u8], u32)> {
    let (body, checksum) = bytes.split_last_chunk()?;
    Some((body, u32::from_le_bytes(*checksum)))
}

/// Header of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) segment: SegmentNumber,
    /// The highest change number when the segment was begun. Compaction may have removed its record
    /// since.
    pub(super) highest: ChangeNumber,
}

impl SegmentHeader {
    pub(super) fn encode(self, id: StoreId) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SEGMENT_HEADER);
        bytes.extend(SEGMENT_MAGIC);
        bytes.extend(SEGMENT_VERSION.to_le_bytes());
        bytes.extend(self.segment.to_le_bytes());
        bytes.extend(id.0);
        bytes.extend(self.highest.get().to_le_bytes());
        bytes.extend(id.checksum(&bytes).to_le_bytes());
        bytes
    }

    /// Decodes a header. Returns `None` unless it belongs to this store.
    pub(super) fn decode(bytes: &[u8], id: StoreId) -> Option<Self> {
        let (body, checksum) = split_checksum(bytes)?;
        let mut fields = Fields(body);
        let ours = fields.take()? == SEGMENT_MAGIC && fields.u32()? == SEGMENT_VERSION;
        let segment = fields.u32()?;
        let ours = ours && fields.take()? == id.0 && checksum == id.checksum(body);
        let highest = ChangeNumber::new(fields.u64()?);
        ours.then_some(Self { segment, highest })
    }
}

/// Header of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchHeader {
    /// Whether everything before this batch was synced before the batch was written.
    pub(super) proof: bool,
    /// Number of bytes after this header.
    pub(super) length: u32,
    pub(super) records: u32,
    pub(super) segment: SegmentNumber,
    pub(super) offset: u32,
    /// Checksum over the checksums of the records.
    pub(super) digest: u32,
}

impl BatchHeader {
    pub(super) fn encode(self, id: StoreId) -> [u8; BATCH_HEADER] {
        let flags = if self.proof { FLAG_PROOF } else { 0 };
        let fields = [
            u32::from_le_bytes(BATCH_MAGIC),
            flags,
            self.length,
            self.records,
            self.segment,
            self.offset,
            self.digest,
        ];
        let mut bytes = [0; BATCH_HEADER];
        let (places, _) = bytes.as_chunks_mut::<4>();
        for (place, field) in places.iter_mut().zip(fields) {
            *place = field.to_le_bytes();
        }
        let checksum = bytes
            .split_last_chunk::<4>()
            .map_or(0, |(body, _)| id.checksum(body));
        if let Some(last) = bytes.last_chunk_mut() {
            *last = checksum.to_le_bytes();
        }
        bytes
    }

    /// Decodes a header. Returns `None` unless it belongs to this store.
    pub(super) fn decode(bytes: &[u8], id: StoreId) -> Option<Self> {
        let (body, checksum) = split_checksum(bytes)?;
        let mut fields = Fields(body);
        let ours = fields.take()? == BATCH_MAGIC && checksum == id.checksum(body);
        let flags = fields.u32()?;
        let header = Self {
            proof: flags & FLAG_PROOF != 0,
            length: fields.u32()?,
            records: fields.u32()?,
            segment: fields.u32()?,
            offset: fields.u32()?,
            digest: fields.u32()?,
        };
        ours.then_some(header)
    }
}

/// Range of segments that may hold records superseded by a tombstone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Range {
    pub(super) first: SegmentNumber,
    pub(super) origin: SegmentNumber,
}

impl Range {
    pub(super) fn encode(self) -> [u8; RANGE] {
        let mut bytes = [0; RANGE];
        let (places, _) = bytes.as_chunks_mut::<4>();
        for (place, field) in places.iter_mut().zip([self.first, self.origin]) {
            *place = field.to_le_bytes();
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        Some(Self {
            first: fields.u32()?,
            origin: fields.u32()?,
        })
    }
}

/// Head of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PatchHead {
    /// Offset of the base's record in the segment. The base is a whole value of the same key.
    pub(super) base: u32,
    /// Length of the value that the patch makes.
    pub(super) length: u32,
    /// Checksum of the value that the patch makes.
    pub(super) checksum: u32,
}

impl PatchHead {
    pub(super) fn encode(self) -> [u8; PATCH_HEAD] {
        let mut bytes = [0; PATCH_HEAD];
        let (places, _) = bytes.as_chunks_mut::<4>();
        let fields = [self.base, self.length, self.checksum];
        for (place, field) in places.iter_mut().zip(fields) {
            *place = field.to_le_bytes();
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let head = Self {
            base: fields.u32()?,
            length: fields.u32()?,
            checksum: fields.u32()?,
        };
        (head.length as usize <= MAX_VALUE_BYTES).then_some(head)
    }
}

/// Kind of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Value,
    Tombstone,
    Patch,
}

/// Header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) kind: Kind,
    pub(super) key_length: u16,
    pub(super) value_length: u32,
    pub(super) sequence: ChangeNumber,
    pub(super) value_checksum: u32,
    /// Checksum over the rest of this header, the key and the head of a patch.
    pub(super) checksum: u32,
}

impl RecordHeader {
    /// Appends the header, the key and the head of a patch. Returns the checksum.
    pub(super) fn encode(
        self,
        key: &str,
        patch: Option<PatchHead>,
        id: StoreId,
        bytes: &mut Vec<u8>,
    ) -> u32 {
        let mut header = [0; RECORD_HEADER];
        let kind = match self.kind {
            Kind::Value => KIND_VALUE,
            Kind::Tombstone => KIND_TOMBSTONE,
            Kind::Patch => KIND_PATCH,
        };
        let words = [
            u64::from(kind) | u64::from(self.key_length) << 16 | u64::from(self.value_length) << 32,
            self.sequence.get(),
            u64::from(self.value_checksum),
        ];
        let (places, _) = header.as_chunks_mut::<8>();
        for (place, word) in places.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        let patch = patch.map(PatchHead::encode);
        let patch = patch.as_ref().map_or(&[][..], |head| head);
        let checksum = crc32c::crc32c_append(Self::sum(&header, key.as_bytes(), id), patch);
        if let Some(last) = header.last_chunk_mut() {
            *last = checksum.to_le_bytes();
        }
        bytes.extend(header);
        bytes.extend(key.as_bytes());
        bytes.extend(patch);
        checksum
    }

    /// Decodes a header. Returns `None` if its fields are invalid. The checksum also covers the
    /// key, so [`verify`](Self::verify) checks it.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let [kind, zero] = fields.take()?;
        let header = Self {
            kind: match kind {
                KIND_VALUE => Kind::Value,
                KIND_TOMBSTONE => Kind::Tombstone,
                KIND_PATCH => Kind::Patch,
                _ => return None,
            },
            key_length: fields.take().map(u16::from_le_bytes)?,
            value_length: fields.u32()?,
            sequence: ChangeNumber::new(fields.u64()?),
            value_checksum: fields.u32()?,
            checksum: fields.u32()?,
        };
        let length = header.value_length as usize;
        let makes_sense = match header.kind {
            Kind::Value => true,
            Kind::Tombstone => length == RANGE,
            Kind::Patch => length >= PATCH_HEAD,
        };
        (zero == 0 && makes_sense).then_some(header)
    }

    /// Whether a header and the bytes of its [`named_length`](Self::named_length) match the
    /// checksum.
    pub(super) fn verify(self, header: &[u8], named: &[u8], id: StoreId) -> bool {
        self.checksum == Self::sum(header, named, id)
    }

    fn sum(header: &[u8], named: &[u8], id: StoreId) -> u32 {
        let body = header
            .split_last_chunk::<4>()
            .map_or(header, |(body, _)| body);
        crc32c::crc32c_append(id.checksum(body), named)
    }

    /// Number of bytes after the header that its checksum covers: the key and the head of a patch.
    pub(super) const fn named_length(self) -> usize {
        let patch = match self.kind {
            Kind::Value | Kind::Tombstone => 0,
            Kind::Patch => PATCH_HEAD,
        };
        patch.saturating_add(self.key_length as usize)
    }

    /// Number of bytes of header, key and value.
    pub(super) fn record_length(self) -> u64 {
        record_length(self.key_length.into(), self.value_length.into())
    }
}

/// Number of bytes of a record with this key and value.
pub(super) const fn record_length(key: usize, value: u64) -> u64 {
    value
        .saturating_add(RECORD_HEADER as u64)
        .saturating_add(key as u64)
}

#[cfg(test)]
mod tests;
