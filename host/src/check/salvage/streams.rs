//! Copies the bytes of streams: chunks and index blocks. Parts that forks share are copied once.

use super::output::Output;
use super::report::Stretch;
use crate::check::error::CheckError;
use crate::check::space::Space;
use crate::store::log::{ReadError, Remains};
use bytes::Bytes;
use durable_streams_edge::keys::{Keys, index};
use durable_streams_edge::limits::BLOCK_SEGMENTS;
use durable_streams_edge::stream::{Block, Head, Incarnation, Position, Segment, owner};
use std::collections::HashMap;

/// The streams of one namespace.
pub(super) struct Streams<'a> {
    remains: &'a Remains,
    space: &'a Space,
    names: &'a Keys,
    /// Chunks already read, with the length of each readable one.
    chunks: HashMap<(Incarnation, u64), Option<u32>>,
}

impl<'a> Streams<'a> {
    pub(super) fn new(remains: &'a Remains, space: &'a Space, names: &'a Keys) -> Self {
        Self {
            remains,
            space,
            names,
            chunks: HashMap::new(),
        }
    }

    /// Copies all parts except the head. Returns the unreadable ranges.
    pub(super) fn copy(
        &mut self,
        head: &Head,
        output: &mut Output<'_>,
    ) -> Result<Vec<Stretch>, CheckError> {
        let life = head.incarnation;
        let mut lost = Vec::new();
        if head.first < head.recent_first {
            for number in head.first / BLOCK_SEGMENTS..head.recent_first / BLOCK_SEGMENTS {
                let life = head.block_owner(number);
                let Some(block) = self.block(life, number, output)? else {
                    let first = number.saturating_mul(BLOCK_SEGMENTS);
                    let end = first.saturating_add(BLOCK_SEGMENTS);
                    let from = Position::new(first.max(head.first), 0);
                    add(&mut lost, (from, Position::new(end, 0)));
                    continue;
                };
                for (number, segment) in (block.first..).zip(&block.segments) {
                    let owner = owner(&block.owners, number).unwrap_or(life);
                    if !self.segment(owner, segment, owner != life, output)? {
                        add(&mut lost, stretch(number, segment));
                    }
                }
            }
        }
        for (number, segment) in (head.recent_first..).zip(&head.recent) {
            let owner = head.owner(number);
            if !self.segment(owner, segment, owner != life, output)? {
                add(&mut lost, stretch(number, segment));
            }
        }
        Ok(lost)
    }

    /// Copies an index block. If it can't be read, writes a hole and returns `None`.
    fn block(
        &self,
        life: Incarnation,
        number: u64,
        output: &mut Output<'_>,
    ) -> Result<Option<Block>, CheckError> {
        let key = self.names.block(life, number);
        if let Some(value) = self.value(&key)?
            && let Ok(block) = index::decode(&value, number)
        {
            output.put(&key, value)?;
            return Ok(Some(block));
        }
        output.hole(key, 1);
        Ok(None)
    }

    /// Copies a chunk. Returns whether it could be read. A fork may have only the first part of a
    /// chunk that it shares.
    fn segment(
        &mut self,
        life: Incarnation,
        segment: &Segment,
        shared: bool,
        output: &mut Output<'_>,
    ) -> Result<bool, CheckError> {
        let id = (life, segment.id);
        let length = match self.chunks.get(&id) {
            Some(known) => *known,
            None => {
                let key = self.names.chunk(life, segment.id);
                let value = self.value(&key)?;
                let length = value.as_ref().map(|value| value.len() as u32);
                if let Some(value) = value {
                    output.put(&key, value)?;
                }
                self.chunks.insert(id, length);
                length
            }
        };
        let is_whole = length
            .is_some_and(|length| length == segment.length || (shared && length > segment.length));
        if !is_whole {
            // A check compares lengths, also those of other streams that share the chunk.
            let known = self.space.chunks.get(&id).copied().unwrap_or(0);
            let key = self.names.chunk(life, segment.id);
            output.hole(key, known.max(segment.length));
        }
        Ok(is_whole)
    }

    fn value(&self, key: &str) -> Result<Option<Bytes>, CheckError> {
        match self.remains.get(key) {
            Ok(value) => Ok(value),
            Err(ReadError::Damaged { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Range of a segment's bytes.
fn stretch(number: u64, segment: &Segment) -> Stretch {
    let end = Position::new(number, segment.length.into());
    (Position::new(number, 0), end)
}

/// Appends a range, or extends the last range if the two are adjacent.
fn add(stretches: &mut Vec<Stretch>, (from, to): Stretch) {
    match stretches.last_mut() {
        // The end of a segment and the beginning of the next are the same position.
        Some((_, end)) if from.segment <= end.segment.saturating_add(1) => *end = to,
        _ => stretches.push((from, to)),
    }
}
