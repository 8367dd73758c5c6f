//! Marks chunks and index blocks that a record refers to.

use super::error::CheckError;
use super::report::Report;
use super::space::{Space, value};
use crate::store::log::Log;
use durable_streams_edge::keys::{Keys, index};
use durable_streams_edge::limits::BLOCK_SEGMENTS;
use durable_streams_edge::stream::{Block, Head, Incarnation, Owed, Segment, owner};
use std::collections::HashSet;

pub(super) struct Marks<'a> {
    log: &'a Log,
    space: &'a Space,
    names: &'a Keys,
    chunks: HashSet<(Incarnation, u64)>,
    blocks: HashSet<(Incarnation, u64)>,
    /// Blocks with all their chunks present; cached because forks share blocks.
    whole: HashSet<(Incarnation, u64)>,
}

impl<'a> Marks<'a> {
    pub(super) fn new(log: &'a Log, space: &'a Space, names: &'a Keys) -> Self {
        Self {
            log,
            space,
            names,
            chunks: HashSet::new(),
            blocks: HashSet::new(),
            whole: HashSet::new(),
        }
    }

    /// Marks the chunks and blocks of a stream, and reports those that are missing.
    pub(super) fn head(&mut self, head: &Head, report: &mut Report) -> Result<(), CheckError> {
        let life = head.incarnation;
        let missing = |report: &mut Report, part: &str| {
            report.problem(format!("stream {}: {part} is missing", head.name));
        };
        if head.first < head.recent_first {
            for number in head.first / BLOCK_SEGMENTS..head.recent_first / BLOCK_SEGMENTS {
                let life = head.block_owner(number);
                if self.whole.contains(&(life, number)) {
                    continue;
                }
                let Some(block) = self.block(life, number, report)? else {
                    if !report.is_hole(&self.names.block(life, number)) {
                        missing(report, &format!("index block {number}"));
                    }
                    continue;
                };
                let mut whole = true;
                for (number, segment) in (block.first..).zip(&block.segments) {
                    let owner = owner(&block.owners, number).unwrap_or(life);
                    whole &= self.segment(owner, segment, owner != life);
                }
                match whole {
                    true => drop(self.whole.insert((life, number))),
                    false => missing(report, &format!("a chunk of index block {number}")),
                }
            }
        }
        for (number, segment) in (head.recent_first..).zip(&head.recent) {
            let owner = head.owner(number);
            if !self.segment(owner, segment, owner != life) {
                missing(report, "a recent chunk");
            }
        }
        // The block of a complete group is written before the head drops the group's segments.
        let next = head.open_segment() / BLOCK_SEGMENTS;
        self.blocks.insert((life, next.saturating_sub(1)));
        report.counts.bytes += head.bytes;
        Ok(())
    }

    /// Marks the chunks that an ended incarnation still owns. Some may already be removed.
    pub(super) fn owed(
        &mut self,
        life: Incarnation,
        owed: &Owed,
        report: &mut Report,
    ) -> Result<(), CheckError> {
        self.chunks.extend(owed.chunks.iter().map(|id| (life, *id)));
        for number in owed.first_block..owed.end_block {
            if let Some(block) = self.block(life, number, report)? {
                self.chunks.extend(block.own_chunks().map(|id| (life, id)));
            }
        }
        Ok(())
    }

    fn block(
        &mut self,
        life: Incarnation,
        number: u64,
        report: &mut Report,
    ) -> Result<Option<Block>, CheckError> {
        if !self.space.blocks.contains(&(life, number)) {
            return Ok(None);
        }
        self.blocks.insert((life, number));
        let key = self.names.block(life, number);
        let Some(bytes) = value(self.log, &key, report)? else {
            return Ok(None);
        };
        let block = index::decode(&bytes, number);
        if let Err(error) = &block {
            report.problem(format!("{key}: {error}"));
        }
        Ok(block.ok())
    }

    /// Marks a chunk. Returns whether it exists with the right length. A fork may have only the
    /// first part of a chunk that it shares.
    fn segment(&mut self, life: Incarnation, segment: &Segment, shared: bool) -> bool {
        self.chunks.insert((life, segment.id));
        let length = self.space.chunks.get(&(life, segment.id));
        length
            .is_some_and(|length| *length == segment.length || (shared && *length > segment.length))
    }

    /// Collects the keys without a mark.
    pub(super) fn left_over(self, report: &mut Report, left_over: &mut Vec<String>) {
        for ((life, id), length) in &self.space.chunks {
            if !self.chunks.contains(&(*life, *id)) {
                report.counts.left_over += 1;
                report.counts.left_over_bytes += u64::from(*length);
                left_over.push(self.names.chunk(*life, *id));
            }
        }
        for (life, number) in &self.space.blocks {
            if !self.blocks.contains(&(*life, *number)) {
                report.counts.left_over += 1;
                left_over.push(self.names.block(*life, *number));
            }
        }
    }
}
