//! Places of the newest records of all keys.

use super::format::{SegmentNumber, record_length};
use crate::store::ChangeNumber;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Slot;
use std::hash::{BuildHasher, RandomState};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Number of locks. Unrelated keys seldom share one. With more shards, the pause while one grows
/// would be shorter.
const SHARDS: usize = 64;

type Shard = HashTable<Entry>;

/// Location of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) sequence: ChangeNumber,
    pub(super) segment: SegmentNumber,
    pub(super) offset: u32,
    /// Length of the whole value.
    pub(super) value_length: u32,
    /// No earlier segment holds a record of the key, apart from records that a tombstone
    /// supersedes.
    pub(super) first: SegmentNumber,
    /// Location of the patch, if the record is one.
    pub(super) patch: Option<PatchPlace>,
}

/// Length and base of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PatchPlace {
    /// Bytes of the record after its key.
    pub(super) length: u32,
    /// Offset of the base's record, in the same segment.
    pub(super) base: u32,
    /// Length of the base's value.
    pub(super) base_length: u32,
}

impl Location {
    /// Number of bytes of the record.
    pub(super) fn record_length(self, key: &str) -> u64 {
        let value = self.patch.map_or(self.value_length, |patch| patch.length);
        record_length(key.len(), value.into())
    }

    /// Offset and length of the whole value: of this record, or of the base of this patch.
    fn whole(self) -> (u32, u32) {
        self.patch
            .map_or((self.offset, self.value_length), |patch| {
                (patch.base, patch.base_length)
            })
    }

    /// Length of the value at `base` in a segment, if this is that record or a patch of it. A newer
    /// record may then be a patch of it, too.
    pub(super) fn base_length(self, segment: SegmentNumber, base: u32) -> Option<u32> {
        let (offset, length) = self.whole();
        (self.segment == segment && offset == base).then_some(length)
    }

    /// Bytes of records that are no longer needed after `newer` replaces this one, or after a
    /// deletion.
    pub(super) fn freed_by(self, newer: Option<Self>, key: &str) -> u64 {
        let (base, length) = self.whole();
        let patch = newer.and_then(|newer| newer.patch.map(|patch| (newer.segment, patch.base)));
        let whole = if patch == Some((self.segment, base)) {
            0
        } else {
            record_length(key.len(), length.into())
        };
        match self.patch {
            Some(_) => whole.saturating_add(self.record_length(key)),
            None => whole,
        }
    }
}

/// A place and a key in one allocation per key. Free slots of the hash table then cost 16 bytes
/// each instead of 60. A place takes the same room with and without a patch, so a change overwrites
/// it. With a new allocation for each change, the entries of keys that stay would end up scattered
/// over otherwise free memory.
struct Entry(Box<[u8]>);

impl Entry {
    /// Bytes of an encoded place.
    const PLACE: usize = 36;
    /// Flag in the field of the value's length, which needs only 25 bits.
    const IS_PATCH: u32 = 1 << 31;

    fn new(key: &str, place: Location) -> Self {
        let place = Self::encode(place);
        Self([&place, key.as_bytes()].concat().into())
    }

    /// Replaces the place of the key.
    fn set(&mut self, place: Location) {
        if let Some(bytes) = self.0.first_chunk_mut() {
            *bytes = Self::encode(place);
        }
    }

    fn encode(place: Location) -> [u8; Self::PLACE] {
        let sequence = place.sequence.get();
        let is_patch = place.patch.map_or(0, |_| Self::IS_PATCH);
        let patch = place.patch.unwrap_or(PatchPlace {
            length: 0,
            base: 0,
            base_length: 0,
        });
        let fields = [
            sequence as u32,
            (sequence >> 32) as u32,
            place.segment,
            place.offset,
            place.value_length | is_patch,
            place.first,
            patch.length,
            patch.base,
            patch.base_length,
        ];
        let mut bytes = [0; Self::PLACE];
        for (bytes, field) in bytes.as_chunks_mut().0.iter_mut().zip(fields) {
            *bytes = field.to_le_bytes();
        }
        bytes
    }

    fn place(&self) -> Location {
        let (fields, _) = self.0.as_chunks();
        let field = |number: usize| {
            let field = fields.get(number);
            field.map_or(0, |field| u32::from_le_bytes(*field))
        };
        let patch = (field(4) & Self::IS_PATCH != 0).then(|| PatchPlace {
            length: field(6),
            base: field(7),
            base_length: field(8),
        });
        Location {
            sequence: ChangeNumber::new(u64::from(field(0)) | u64::from(field(1)) << 32),
            segment: field(2),
            offset: field(3),
            value_length: field(4) & !Self::IS_PATCH,
            first: field(5),
            patch,
        }
    }

    fn key_bytes(&self) -> &[u8] {
        self.0.get(Self::PLACE..).unwrap_or_default()
    }

    fn key(&self) -> &str {
        // The bytes were copied from a string.
        std::str::from_utf8(self.key_bytes()).unwrap_or_default()
    }

    fn is_of(&self, key: &str) -> bool {
        self.key_bytes() == key.as_bytes()
    }
}

/// Index of all keys with a value.
pub(super) struct Index {
    hasher: RandomState,
    shards: Vec<RwLock<Shard>>,
}

impl Index {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
        }
    }

    fn hash(&self, key: &str) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Picks a shard by middle bits, since the hash table uses the lowest and the highest bits.
    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        &self.shards[(hash >> 32) as usize % SHARDS]
    }

    fn read(&self, hash: u64) -> RwLockReadGuard<'_, Shard> {
        let shard = self.shard(hash).read();
        shard.unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, hash: u64) -> RwLockWriteGuard<'_, Shard> {
        let shard = self.shard(hash).write();
        shard.unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: &str) -> Option<Location> {
        let hash = self.hash(key);
        let shard = self.read(hash);
        shard.find(hash, |entry| entry.is_of(key)).map(Entry::place)
    }

    /// Enters a value. Returns the superseded place: the known one, or `place` itself if a newer
    /// one is known. For equal numbers, which compaction leaves, the place entered later wins.
    pub(super) fn put(&self, key: &str, mut place: Location) -> Option<Location> {
        let hash = self.hash(key);
        let mut shard = self.write(hash);
        let rehash = |entry: &Entry| self.hash(entry.key());
        match shard.entry(hash, |entry| entry.is_of(key), rehash) {
            Slot::Vacant(slot) => {
                slot.insert(Entry::new(key, place));
                None
            }
            Slot::Occupied(mut slot) => {
                let known = slot.get().place();
                place.first = place.first.min(known.first);
                if known.sequence > place.sequence {
                    let first = place.first;
                    slot.get_mut().set(Location { first, ..known });
                    return Some(place);
                }
                slot.get_mut().set(place);
                Some(known)
            }
        }
    }

    /// Enters a tombstone. Returns the place that it supersedes.
    pub(super) fn remove(&self, key: &str, sequence: ChangeNumber) -> Option<Location> {
        let hash = self.hash(key);
        let mut shard = self.write(hash);
        let slot = shard.find_entry(hash, |entry| entry.is_of(key)).ok()?;
        let known = slot.get().place();
        (known.sequence < sequence).then(|| {
            slot.remove();
            known
        })
    }

    pub(super) fn len(&self) -> u64 {
        let shards = self.shards.iter();
        shards
            .map(|shard| shard.read().unwrap_or_else(PoisonError::into_inner).len() as u64)
            .sum()
    }

    /// Whether the index has a record in a segment. Visits every key.
    pub(super) fn names(&self, segment: SegmentNumber) -> bool {
        let mut found = false;
        self.for_each(|_, place| found |= place.segment == segment);
        found
    }

    /// Visits every key. Writers of one shard at a time have to wait.
    pub(super) fn for_each(&self, mut visit: impl FnMut(&str, Location)) {
        for shard in &self.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            for entry in &*shard {
                visit(entry.key(), entry.place());
            }
        }
    }
}

#[cfg(test)]
mod tests;
