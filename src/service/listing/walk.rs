//! A walk over the name registry that can stop at any entry and go on later.
//!
//! The walk visits the shards in turn, the leaves of a shard in turn, and the entries of a leaf in the
//! order of their lives. Names come and go between two pages. An entry is never moved, so a name that
//! exists during the whole walk is visited exactly once.

use super::cursor::Bookmark;
use crate::keys::registry::{Entry, Leaf};
use crate::limits::{LIST_LEAVES, SHARDS};
use crate::service::core::Core;
use crate::service::env::Env;
use crate::service::fault::Fault;
use crate::service::records::names;

/// A walk over at most [`LIST_LEAVES`] leaves.
pub(super) struct Walk<'c, E> {
    core: &'c Core<E>,
    /// The current position.
    bookmark: Bookmark,
    /// Leaves that were read.
    reads: usize,
    /// Leaf 0 of the current shard, once it was read.
    root: Option<Leaf>,
}

impl<'c, E: Env> Walk<'c, E> {
    /// A walk that begins at `bookmark`.
    pub(super) const fn new(core: &'c Core<E>, bookmark: Bookmark) -> Self {
        Self {
            core,
            bookmark,
            reads: 0,
            root: None,
        }
    }

    /// The position from which the walk goes on; `None` at the end of the registry.
    pub(super) fn bookmark(&self) -> Option<Bookmark> {
        (self.bookmark.shard < SHARDS).then_some(self.bookmark)
    }

    /// Number of the current leaf in its shard.
    pub(super) const fn leaf(&self) -> u32 {
        self.bookmark.leaf
    }

    /// Marks an entry of the current leaf as visited.
    pub(super) const fn pass(&mut self, entry: &Entry) {
        self.bookmark.after = Some(entry.incarnation);
    }

    /// The entries of the current leaf that `wants` selects and that were not visited, in their
    /// order. `None` if the walk is at the end of the registry, or read as many leaves as it may.
    pub(super) fn entries(
        &mut self,
        wants: impl Fn(&Entry) -> bool,
    ) -> Result<Option<Vec<Entry>>, Fault> {
        loop {
            if self.bookmark().is_none() || self.reads >= LIST_LEAVES {
                return Ok(None);
            }
            let leaf = match self.read()? {
                Some(leaf) => leaf,
                None => {
                    self.next_shard();
                    continue;
                }
            };
            let after = self.bookmark.after.map(|life| life.0);
            let is_new = |entry: &Entry| after.is_none_or(|after| entry.incarnation.0 > after);
            let entries = leaf.entries.into_iter();
            let entries = entries.filter(|entry| is_new(entry) && wants(entry));
            let mut entries: Vec<Entry> = entries.collect();
            entries.sort_unstable_by_key(|entry| entry.incarnation.0);
            return Ok(Some(entries));
        }
    }

    /// Goes on to the next leaf.
    pub(super) fn next_leaf(&mut self) {
        self.bookmark.leaf = self.bookmark.leaf.saturating_add(1);
        self.bookmark.after = None;
        let root = self.root.as_ref();
        if root.is_none_or(|root| self.bookmark.leaf >= root.leaves) {
            self.next_shard();
        }
    }

    fn next_shard(&mut self) {
        self.root = None;
        self.bookmark = Bookmark {
            shard: self.bookmark.shard.saturating_add(1),
            ..Bookmark::default()
        };
    }

    /// Reads the current leaf; `None` if the shard has no more leaves.
    fn read(&mut self) -> Result<Option<Leaf>, Fault> {
        let Bookmark { shard, leaf, .. } = self.bookmark;
        let root = match &self.root {
            Some(root) => root,
            None => {
                self.reads = self.reads.saturating_add(1);
                match names::first_leaf(self.core, shard)? {
                    Some(root) => self.root.insert(root),
                    None => return Ok(None),
                }
            }
        };
        if leaf == 0 || leaf >= root.leaves {
            return Ok((leaf == 0).then(|| root.clone()));
        }
        self.reads = self.reads.saturating_add(1);
        names::leaf_of(self.core, shard, leaf).map(Some)
    }
}
