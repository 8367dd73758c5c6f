//! Where the newest record of each key is.

use super::format::{SegmentNumber, record_length};
use crate::store::ChangeNumber;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Slot;
use std::hash::{BuildHasher, RandomState};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Locks that unrelated keys seldom share. More would make growing one less of a stop.
const SHARDS: usize = 64;

type Shard = HashTable<Entry>;

/// Where a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) sequence: ChangeNumber,
    pub(super) segment: SegmentNumber,
    pub(super) offset: u32,
    /// Of the value, whole.
    pub(super) value_length: u32,
    /// No segment before this one holds a record of the key that no tombstone outweighs.
    pub(super) first: SegmentNumber,
    /// Where the record is a patch.
    pub(super) patch: Option<PatchPlace>,
}

/// What a patch is and rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PatchPlace {
    /// Bytes of the record after its key.
    pub(super) length: u32,
    /// Where the record of the base is, in the same segment.
    pub(super) base: u32,
    /// Bytes of the base's value.
    pub(super) base_length: u32,
}

impl Place {
    /// Bytes of the record.
    pub(super) fn record_length(self, key: &str) -> u64 {
        let value = self.patch.map_or(self.value_length, |patch| patch.length);
        record_length(key.len(), value.into())
    }

    /// Where the whole value is that this is or rests on, and how many bytes it has.
    fn whole(self) -> (u32, u32) {
        self.patch
            .map_or((self.offset, self.value_length), |patch| {
                (patch.base, patch.base_length)
            })
    }

    /// Bytes of the value of the record at `base` in a segment, if this is that record or a patch
    /// of it: then a newer record may be a patch of it, too.
    pub(super) fn base_length(self, segment: SegmentNumber, base: u32) -> Option<u32> {
        let (offset, length) = self.whole();
        (self.segment == segment && offset == base).then_some(length)
    }

    /// Bytes of records that are needed no more where `newer` replaces this, or none does.
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

/// A place and a key in one allocation, since there is one for each key: so the slots that a
/// hash table keeps free cost 16 bytes each and not 60. A place takes as much room without a patch
/// as with one, and is written over: were it allocated anew with each change, those of keys that
/// stay would end up scattered over memory that is otherwise free.
struct Entry(Box<[u8]>);

impl Entry {
    /// Of a place.
    const PLACE: usize = 36;
    /// In the length of the value, which has 25 bits.
    const IS_PATCH: u32 = 1 << 31;

    fn new(key: &str, place: Place) -> Self {
        let place = Self::encode(place);
        Self([&place, key.as_bytes()].concat().into())
    }

    /// The key has another place now.
    fn set(&mut self, place: Place) {
        if let Some(bytes) = self.0.first_chunk_mut() {
            *bytes = Self::encode(place);
        }
    }

    fn encode(place: Place) -> [u8; Self::PLACE] {
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

    fn place(&self) -> Place {
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
        Place {
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
        // It was made of one.
        std::str::from_utf8(self.key_bytes()).unwrap_or_default()
    }

    fn is_of(&self, key: &str) -> bool {
        self.key_bytes() == key.as_bytes()
    }
}

/// All keys that have a value.
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

    /// The table itself goes by the lowest and the highest bits.
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

    pub(super) fn get(&self, key: &str) -> Option<Place> {
        let hash = self.hash(key);
        let shard = self.read(hash);
        shard.find(hash, |entry| entry.is_of(key)).map(Entry::place)
    }

    /// Enters a value. Returns the place that is outweighed: the older one, or this very one
    /// where a newer is known. Of equals, which compaction leaves, the one entered later stays.
    pub(super) fn put(&self, key: &str, mut place: Place) -> Option<Place> {
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
                    slot.get_mut().set(Place { first, ..known });
                    return Some(place);
                }
                slot.get_mut().set(place);
                Some(known)
            }
        }
    }

    /// Enters a tombstone. Returns the place that it outweighs.
    pub(super) fn remove(&self, key: &str, sequence: ChangeNumber) -> Option<Place> {
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

    /// Whether any record is in a segment. Looks at every key.
    pub(super) fn names(&self, segment: SegmentNumber) -> bool {
        let mut found = false;
        self.for_each(|_, place| found |= place.segment == segment);
        found
    }

    /// Shows every key, holding up writers of a part of them at a time.
    pub(super) fn for_each(&self, mut visit: impl FnMut(&str, Place)) {
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
