//! To-do shards: an entry is added before work of several steps begins and removed after its last
//! step, so that whoever comes by ends what a crash left.

use super::core::{Core, Fault};
use super::env::Env;
use super::update::{Edit, SharedCreation, Updated};
use crate::keys::Slot;
use crate::keys::todo::{Entry, decode, encode};
use crate::limits::MAX_VALUE_BYTES;

/// Age up to which an entry need not be brought up to date.
const FRESH_MS: u64 = 60_000;

impl<E: Env> Core<'_, E> {
    fn decode_todo(slot: &Slot, body: &[u8]) -> Result<Vec<Entry>, Fault> {
        decode(body).map_err(|_| Fault::Corrupt { key: slot.key(0) })
    }

    /// The entries of a shard.
    pub(super) fn todo(&self, shard: u8) -> Result<Vec<Entry>, Fault> {
        let slot = self.keys.todo(shard);
        match self.read(&slot)? {
            Some((_, envelope)) => Self::decode_todo(&slot, &envelope.body),
            None => Ok(Vec::new()),
        }
    }

    /// Adds an entry, or brings the one for the same work up to date.
    pub(super) fn add_todo(
        &self,
        shard: u8,
        entry: &Entry,
        progress: &mut SharedCreation,
    ) -> Result<Updated<()>, Fault> {
        self.edit_todo(shard, progress, |entries| {
            let same = |other: &&mut Entry| other.is_same_work(entry);
            match entries.iter_mut().find(same) {
                // A repeated edit finds what it wrote itself.
                Some(other)
                    if entry.adds_nothing_to(other)
                        && entry.since_ms() < other.since_ms().saturating_add(FRESH_MS) => {}
                Some(other) => *other = entry.with(other),
                None => entries.push(entry.clone()),
            }
        })
    }

    /// Removes the entry as it was seen. One that was wanted again meanwhile stays.
    pub(super) fn remove_todo(
        &self,
        shard: u8,
        entry: &Entry,
        progress: &mut SharedCreation,
    ) -> Result<Updated<()>, Fault> {
        self.edit_todo(shard, progress, |entries| {
            entries.retain(|other| other != entry);
        })
    }

    /// Changes the entries of a shard. A shard that is full takes no more.
    fn edit_todo(
        &self,
        shard: u8,
        progress: &mut SharedCreation,
        change: impl Fn(&mut Vec<Entry>),
    ) -> Result<Updated<()>, Fault> {
        let slot = self.keys.todo(shard);
        self.update(&slot, progress, |body| {
            let before = Self::decode_todo(&slot, body)?;
            let mut entries = before.clone();
            change(&mut entries);
            if entries == before {
                return Ok(Edit::Keep(()));
            }
            let bytes = encode(&entries);
            match entries.len() < before.len() || bytes.len() <= MAX_VALUE_BYTES / 2 {
                true => Ok(Edit::Write(bytes, ())),
                false => Err(Fault::Deadline("too much work is to be done already")),
            }
        })
    }
}
