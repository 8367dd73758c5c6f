//! Holes: a salvage writes one in the place of each value that is lost.
//!
//! Reading one fails as reading any damaged value does. Its checksum is the complement of the right
//! one, which damage does not make of a record whose header verifies. So a check can tell a hole from
//! new damage.

use super::append::{append, make_room};
use super::batch::{Body, Record};
use super::error::CommitError;
use super::state::State;
use crate::store::ChangeNumber;
use bytes::Bytes;

/// A key whose value is lost.
#[derive(Debug, Clone)]
pub(crate) struct Hole {
    /// The key.
    pub key: Box<str>,
    /// Bytes of the value that was there.
    pub length: u32,
    /// The number of this change.
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
