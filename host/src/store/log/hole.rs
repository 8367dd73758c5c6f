//! Holes: a salvage writes one in the place of each lost value.
//!
//! Reading a hole fails like reading any damaged value. A hole's checksum is the complement of the
//! right one. Damage does not produce that checksum in a record with a valid header, so a check can
//! tell a hole from new damage.

use super::append::{append, make_room};
use super::batch::{Body, Record};
use super::error::CommitError;
use super::state::State;
use crate::store::ChangeNumber;
use bytes::Bytes;

/// Key of a lost value.
#[derive(Debug, Clone)]
pub(crate) struct Hole {
    /// The key.
    pub key: Box<str>,
    /// Length of the lost value.
    pub length: u32,
    /// Number of this change.
    pub sequence: ChangeNumber,
}

/// Appends holes; see [`Log::commit_holes`](super::Log::commit_holes).
pub(super) fn commit_holes(state: &State, holes: &[Hole]) -> Result<(), CommitError> {
    let records: Vec<Record<'_>> = holes
        .iter()
        .map(|hole| Record {
            key: &hole.key,
            sequence: hole.sequence,
            replaces: false,
            body: Body::Hole(Bytes::from(vec![0; hole.length as usize])),
        })
        .collect();
    if records.is_empty() {
        return Ok(());
    }
    let mut writer = state.writer();
    make_room(state, &mut writer, records.iter().map(Record::length).sum())?;
    append(state, &mut writer, &records)
}
