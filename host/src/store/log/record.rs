//! Verification of records, and the values that they make.

use super::files::LogFile;
use super::format::{Kind, PatchHead, RECORD_HEADER, RecordHeader, StoreId};
use super::patch::apply;
use bytes::Bytes;
use std::io;

/// Content of a verified record.
pub(super) enum Verified {
    Value(Bytes),
    Patch(PatchHead, Bytes),
}

impl Verified {
    pub(super) fn value(self) -> Option<Bytes> {
        match self {
            Self::Value(value) => Some(value),
            Self::Patch(..) => None,
        }
    }
}

/// Returns the content of an intact record of this key, unless it is a tombstone.
pub(super) fn verify(record: &Bytes, key: &str, id: StoreId) -> Option<Verified> {
    let (raw, rest) = record.split_at_checked(RECORD_HEADER)?;
    let header = RecordHeader::decode(raw)?;
    let (named, value) = rest.split_at_checked(header.named_length())?;
    let (found, patch) = named.split_at_checked(key.len())?;
    let whole = usize::from(header.key_length) == key.len()
        && found == key.as_bytes()
        && header.verify(raw, named, id)
        && header.value_checksum == id.checksum(value);
    if !whole {
        return None;
    }
    let value = record.slice_ref(value);
    match header.kind {
        Kind::Value => Some(Verified::Value(value)),
        Kind::Patch => Some(Verified::Patch(PatchHead::decode(patch)?, value)),
        Kind::Tombstone => None,
    }
}

/// Whether these bytes are a hole of this key as it was written.
pub(super) fn is_hole(record: &[u8], key: &str, id: StoreId) -> bool {
    let Some((raw, rest)) = record.split_at_checked(RECORD_HEADER) else {
        return false;
    };
    let Some((found, value)) = rest.split_at_checked(key.len()) else {
        return false;
    };
    RecordHeader::decode(raw).is_some_and(|header| {
        header.kind == Kind::Value
            && found == key.as_bytes()
            && header.verify(raw, found, id)
            && header.value_checksum == id.checksum_of_hole(value)
    })
}

/// Returns the value that a patch makes of its base, or `None` if the checksum shows another base.
pub(super) fn rebuild(head: PatchHead, runs: &[u8], base: &[u8], id: StoreId) -> Option<Bytes> {
    let value = apply(base, runs, head.length as usize)?;
    (id.checksum(&value) == head.checksum).then(|| Bytes::from(value))
}

/// Whether a patch at an offset of a segment makes the value that it was made for. Reads both
/// records.
pub(super) fn is_rebuilt(
    file: &dyn LogFile,
    offset: u32,
    length: u32,
    head: PatchHead,
    key: &str,
    id: StoreId,
) -> io::Result<bool> {
    let patch = read(file, offset, length, key)?;
    let Some(Verified::Patch(_, runs)) = verify(&patch, key, id) else {
        return Ok(false);
    };
    // The head may hold any base offset, but the base must lie before the patch.
    let mut header = [0; RECORD_HEADER];
    if u64::from(head.base) + (RECORD_HEADER as u64) > offset.into() {
        return Ok(false);
    }
    file.read_at(&mut header, head.base.into())?;
    let base = RecordHeader::decode(&header).filter(|base| {
        let end = base.record_length().saturating_add(head.base.into());
        base.kind == Kind::Value && end <= offset.into()
    });
    let Some(base) = base else {
        return Ok(false);
    };
    let base = read(file, head.base, base.value_length, key)?;
    let base = verify(&base, key, id).and_then(Verified::value);
    let value = base.and_then(|base| rebuild(head, &runs, &base, id));
    Ok(value.is_some())
}

/// Reads a record with a value of this length.
fn read(file: &dyn LogFile, offset: u32, value: u32, key: &str) -> io::Result<Bytes> {
    let length = super::format::record_length(key.len(), value.into());
    let mut record = vec![0; length as usize];
    file.read_at(&mut record, offset.into())?;
    Ok(Bytes::from(record))
}
