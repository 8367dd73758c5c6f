//! Position of a walk over the name registry, and its counts.
//!
//! The walk visits the shards in turn, the leaves of a shard in turn, and the streams of a leaf in any
//! order. The record of a stream names its leaf, so each stream has one place. Swaps go on meanwhile:
//!
//! - A stream that the walk has passed: the difference of a swap is added to the walk's counts.
//! - A stream that is ahead of the walk: the walk will read the record as it is then.
//!
//! A leaf is first *opened* and then read. The names of streams that change between the two are
//! collected, since a stream that begins then may not be in the leaf as it was read.

use super::table::Table;
use durable_streams_edge::seam::streams::StreamHash;
use std::collections::HashSet;

/// A walk under way.
#[derive(Debug)]
pub(super) struct Walk {
    /// Counts of the streams that the walk has passed.
    pub(super) table: Table,
    shard: u8,
    leaf: u32,
    /// Whether the current leaf stands for itself and all later leaves of the shard.
    is_last: bool,
    /// Whether the leaf is not read yet.
    is_open: bool,
    /// Streams of the leaf that the walk has not visited. While the leaf is open, streams that changed.
    ahead: HashSet<StreamHash>,
}

impl Walk {
    /// A walk that opens the first leaf of the first shard.
    pub(super) fn new(table: Table) -> Self {
        Self {
            table,
            shard: 0,
            leaf: 0,
            is_last: false,
            is_open: true,
            ahead: HashSet::new(),
        }
    }

    /// The current leaf: its shard and its number.
    pub(super) const fn leaf(&self) -> (u8, u32) {
        (self.shard, self.leaf)
    }

    /// Whether the current leaf is not read yet.
    pub(super) const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether a stream in this leaf of its shard belongs to the current leaf.
    fn is_here(&self, hash: &StreamHash, leaf: u32) -> bool {
        hash.shard() == self.shard && (leaf == self.leaf || (self.is_last && leaf >= self.leaf))
    }

    /// Whether the walk has passed a stream with its record in this leaf, so that a swap of the record
    /// has to be added to the walk's counts.
    pub(super) fn has_passed(&mut self, hash: &StreamHash, leaf: u32) -> bool {
        if self.is_open {
            if hash.shard() == self.shard && leaf >= self.leaf {
                self.ahead.insert(*hash);
                return false;
            }
        } else if self.is_here(hash, leaf) {
            return !self.ahead.contains(hash);
        }
        (hash.shard(), leaf) < (self.shard, self.leaf)
    }

    /// Takes the names of the opened leaf. With `is_last` there is no such leaf in the shard.
    pub(super) fn read(&mut self, streams: impl IntoIterator<Item = StreamHash>, is_last: bool) {
        self.ahead.extend(streams);
        self.is_open = false;
        self.is_last = is_last;
    }

    /// A stream of the leaf that the walk has not visited.
    pub(super) fn next(&self) -> Option<StreamHash> {
        self.ahead.iter().next().copied()
    }

    /// Passes a stream. Returns whether a record in this leaf has to be counted.
    pub(super) fn pass(&mut self, hash: &StreamHash, leaf: Option<u32>) -> bool {
        self.ahead.remove(hash);
        leaf.is_some_and(|leaf| self.is_here(hash, leaf))
    }

    /// Opens the next leaf. Returns false behind the last of `shards`.
    pub(super) fn advance(&mut self, shards: u8) -> bool {
        (self.shard, self.leaf) = match self.is_last {
            true => (self.shard.saturating_add(1), 0),
            false => (self.shard, self.leaf.saturating_add(1)),
        };
        self.is_last = false;
        self.is_open = true;
        self.ahead.clear();
        self.shard < shards
    }
}

#[cfg(test)]
mod tests;
