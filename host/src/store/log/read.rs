//! Reads a key.

use super::api::{Found, Wait};
use super::error::ReadError;
use super::format::{StoreId, record_length};
use super::index::Location;
use super::record::{Verified, rebuild, verify};
use super::segments::Segment;
use super::state::State;
use bytes::Bytes;
use std::io;

/// Reads a key; see [`Log::get`](super::Log::get).
pub(super) fn get(state: &State, key: &str, wait: Wait) -> Result<Found, ReadError> {
    let mut gone = None;
    loop {
        let Some(place) = state.index.get(key) else {
            return Ok(Found::Absent);
        };
        if let Some(segment) = state.segments.get(place.segment) {
            return read(state.directory.id, &segment, place, key, wait);
        }
        // The segment was removed in between. The record was moved before that, so the index has
        // its new place.
        if gone.replace(place) == Some(place) {
            return Err(ReadError::Damaged {
                file: state.directory.segment_path(place.segment),
                offset: place.offset.into(),
            });
        }
    }
}

/// Reads the value at a place of a store's index.
pub(super) fn read(
    id: StoreId,
    segment: &Segment,
    place: Location,
    key: &str,
    wait: Wait,
) -> Result<Found, ReadError> {
    let Some(record) = read_record(segment, place.offset, place.record_length(key), wait)? else {
        return Ok(Found::NotResident);
    };
    let value = match (verify(&record, key, id), place.patch) {
        (Some(Verified::Value(value)), None) => Some(value),
        (Some(Verified::Patch(head, runs)), Some(patch)) if head.base == patch.base => {
            let length = record_length(key.len(), patch.base_length.into());
            let Some(base) = read_record(segment, patch.base, length, wait)? else {
                return Ok(Found::NotResident);
            };
            let base = verify(&base, key, id).and_then(Verified::value);
            base.and_then(|base| rebuild(head, &runs, &base, id))
        }
        _ => None,
    };
    let value = value.ok_or_else(|| segment.damaged(place.offset.into()))?;
    Ok(Found::Value {
        value,
        sequence: place.sequence,
    })
}
/// Reads the bytes of a record; `None` if that takes a wait that `wait` does not allow.
fn read_record(
    segment: &Segment,
    offset: u32,
    length: u64,
    wait: Wait,
) -> Result<Option<Bytes>, ReadError> {
    let offset = u64::from(offset);
    let mut buffer = vec![0; length as usize];
    let read = match wait {
        Wait::ForDisk => segment.file.read_at(&mut buffer, offset).map(|()| true),
        Wait::Never => segment.file.read_resident_at(&mut buffer, offset),
    };
    match read {
        Ok(read) => Ok(read.then(|| Bytes::from(buffer))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(segment.damaged(offset)),
        Err(source) => Err(ReadError::Io {
            file: segment.path.clone(),
            source,
        }),
    }
}
