//! The name registry: every stream's name is entered before its head is written, and leaves it in
//! the work of its deletion. An entry is for one life of the name, so that a late removal for one
//! life can't take the entry of the next.

use super::core::{Core, Fault};
use super::env::Env;
use super::update::{Edit, SharedCreation, Updated};
use crate::keys::registry::{Entry, Leaf, decode, encode};
use crate::keys::{NameHash, Slot};
use crate::limits::LEAF_BYTES;
use crate::stream::Incarnation;

impl<E: Env> Core<'_, E> {
    fn leaf_slot(&self, hash: &NameHash, leaf: u32) -> Slot {
        self.keys.leaf(hash.shard(), leaf)
    }

    fn decode_leaf(slot: &Slot, body: &[u8]) -> Result<Leaf, Fault> {
        decode(body).map_err(|_| Fault::Corrupt { key: slot.key(0) })
    }

    /// Enters `entry`; returns the leaf that has it.
    pub(super) fn enter_name(
        &self,
        hash: &NameHash,
        entry: &Entry,
        progress: &mut SharedCreation,
    ) -> Result<Updated<u32>, Fault> {
        // Leaf 0 says which one is open; where that is full the next takes over, and a new one
        // only when that is full too, so that leaves that emptied are used again.
        for _ in 0..4 {
            let first = self.leaf_slot(hash, 0);
            let root = self
                .read(&first)?
                .map(|(_, envelope)| envelope.body)
                .unwrap_or_default();
            let root = Self::decode_leaf(&first, &root)?;
            let slot = self.leaf_slot(hash, root.open);
            let added = self.update(&slot, progress, |body| {
                let mut leaf = Self::decode_leaf(&slot, body)?;
                let is_there = |present: &Entry| present.incarnation == entry.incarnation;
                if leaf.entries.iter().any(is_there) {
                    return Ok(Edit::Keep(true));
                }
                leaf.entries.push(entry.clone());
                let bytes = encode(&leaf);
                match bytes.len() <= LEAF_BYTES || leaf.entries.len() == 1 {
                    true => Ok(Edit::Write(bytes, true)),
                    false => Ok(Edit::Keep(false)),
                }
            })?;
            match added {
                Updated::Done(true) => return Ok(Updated::Done(root.open)),
                Updated::Done(false) => {}
                Updated::Wait(ms) => return Ok(Updated::Wait(ms)),
            }
            if let Updated::Wait(ms) = self.open_next_leaf(hash, root.open, progress)? {
                return Ok(Updated::Wait(ms));
            }
        }
        Ok(Updated::Wait(self.pause_ms(3)))
    }

    /// Makes another leaf than `full` the open one: the next, if it has room, else a new one.
    fn open_next_leaf(
        &self,
        hash: &NameHash,
        full: u32,
        progress: &mut SharedCreation,
    ) -> Result<Updated<()>, Fault> {
        let first = self.leaf_slot(hash, 0);
        self.update(&first, progress, |body| {
            let mut root = Self::decode_leaf(&first, body)?;
            if root.open != full {
                return Ok(Edit::Keep(()));
            }
            let next = full
                .saturating_add(1)
                .checked_rem(root.leaves)
                .unwrap_or_default();
            let slot = self.leaf_slot(hash, next);
            let used = match next {
                0 => body.len(),
                _ => self
                    .read(&slot)?
                    .map_or(0, |(_, envelope)| envelope.body.len()),
            };
            root.open = match next != full && used <= LEAF_BYTES / 2 {
                true => next,
                false => {
                    root.leaves = root.leaves.saturating_add(1);
                    root.leaves.saturating_sub(1)
                }
            };
            Ok(Edit::Write(encode(&root), ()))
        })
    }

    /// Removes the entry of one life from its leaf.
    pub(super) fn remove_name(
        &self,
        hash: &NameHash,
        leaf: u32,
        incarnation: Incarnation,
        progress: &mut SharedCreation,
    ) -> Result<Updated<()>, Fault> {
        self.edit_leaf(&self.leaf_slot(hash, leaf), progress, |entries| {
            entries.retain(|entry| entry.incarnation != incarnation);
        })
    }

    /// Changes the entries of a leaf.
    pub(super) fn edit_leaf(
        &self,
        slot: &Slot,
        progress: &mut SharedCreation,
        change: impl Fn(&mut Vec<Entry>),
    ) -> Result<Updated<()>, Fault> {
        self.update(slot, progress, |body| {
            let mut leaf = Self::decode_leaf(slot, body)?;
            let before = leaf.entries.clone();
            change(&mut leaf.entries);
            match leaf.entries == before {
                true => Ok(Edit::Keep(())),
                false => Ok(Edit::Write(encode(&leaf), ())),
            }
        })
    }

    /// The leaf `round` steps on in `shard`, with its slot. Leaves are visited in turn.
    pub(super) fn leaf_in_turn(
        &self,
        shard: u8,
        round: u64,
    ) -> Result<Option<(Slot, Leaf)>, Fault> {
        let first = self.keys.leaf(shard, 0);
        let Some((_, envelope)) = self.read(&first)? else {
            return Ok(None);
        };
        let root = Self::decode_leaf(&first, &envelope.body)?;
        let turn = round
            .checked_rem(u64::from(root.leaves))
            .unwrap_or_default();
        let turn = u32::try_from(turn).unwrap_or_default();
        if turn == 0 {
            return Ok(Some((first, root)));
        }
        let slot = self.keys.leaf(shard, turn);
        match self.read(&slot)? {
            Some((_, envelope)) => {
                let leaf = Self::decode_leaf(&slot, &envelope.body)?;
                Ok(Some((slot, leaf)))
            }
            None => Ok(None),
        }
    }

    /// Leaf 0 of a shard, which says how many there are; nothing, where there is no shard yet.
    pub(super) fn first_leaf(&self, shard: u8) -> Result<Option<Leaf>, Fault> {
        let slot = self.keys.leaf(shard, 0);
        let found = self.read(&slot)?;
        found
            .map(|(_, envelope)| Self::decode_leaf(&slot, &envelope.body))
            .transpose()
    }

    /// A leaf; an empty one, where nothing was entered yet.
    pub(super) fn leaf_of(&self, shard: u8, leaf: u32) -> Result<Leaf, Fault> {
        let slot = self.keys.leaf(shard, leaf);
        let body = self.read(&slot)?.map(|(_, envelope)| envelope.body);
        Self::decode_leaf(&slot, &body.unwrap_or_default())
    }
}
