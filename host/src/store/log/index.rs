//! Where the newest record of each key is.

use super::Sequence;
use super::format::{SegmentNumber, record_length};
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
    pub(super) sequence: Sequence,
    pub(super) segment: SegmentNumber,
    pub(super) offset: u32,
    pub(super) value_length: u32,
    /// No segment before this one holds a record of the key that no tombstone outweighs.
    pub(super) first: SegmentNumber,
}

impl Place {
    const BYTES: usize = 24;

    /// Bytes of the record.
    pub(super) fn record_length(self, key: &str) -> u64 {
        record_length(key.len(), self.value_length.into())
    }

    fn encode(self) -> [u8; Self::BYTES] {
        let words = [
            self.sequence.get(),
            u64::from(self.segment) | u64::from(self.offset) << 32,
            u64::from(self.value_length) | u64::from(self.first) << 32,
        ];
        let mut bytes = [0; Self::BYTES];
        for (place, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        bytes
    }

    fn decode(bytes: [u8; Self::BYTES]) -> Self {
        let word = |number: usize| {
            let words = bytes.as_chunks::<8>().0;
            words
                .get(number)
                .map_or(0, |word| u64::from_le_bytes(*word))
        };
        Self {
            sequence: Sequence::new(word(0)),
            segment: word(1) as u32,
            offset: (word(1) >> 32) as u32,
            value_length: word(2) as u32,
            first: (word(2) >> 32) as u32,
        }
    }
}

/// A key and its place in one allocation, since there is one for each key: so the slots that a
/// hash table keeps free cost 16 bytes each and not 40.
struct Entry(Box<[u8]>);

impl Entry {
    fn new(key: &str, place: Place) -> Self {
        Self([&place.encode(), key.as_bytes()].concat().into())
    }

    fn key(&self) -> &str {
        let key = self.0.get(Place::BYTES..).unwrap_or_default();
        // It was made of one.
        std::str::from_utf8(key).unwrap_or_default()
    }

    fn is_of(&self, key: &str) -> bool {
        self.0.get(Place::BYTES..) == Some(key.as_bytes())
    }

    fn place(&self) -> Place {
        Place::decode(self.0.first_chunk().copied().unwrap_or_default())
    }

    fn set(&mut self, place: Place) {
        if let Some(bytes) = self.0.first_chunk_mut() {
            *bytes = place.encode();
        }
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
    pub(super) fn remove(&self, key: &str, sequence: Sequence) -> Option<Place> {
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
mod tests {
    use super::*;

    fn place(sequence: u64, segment: SegmentNumber) -> Place {
        Place {
            sequence: Sequence::new(sequence),
            segment,
            offset: 44,
            value_length: 5,
            first: segment,
        }
    }

    #[test]
    fn the_highest_sequence_of_a_key_wins_and_the_first_segment_is_kept() {
        let index = Index::new();
        assert_eq!(index.put("k", place(5, 3)), None);
        let superseded = index.put("k", place(7, 4));
        assert_eq!(superseded.map(|place| place.segment), Some(3));
        let stale = index.put("k", place(6, 2));
        assert_eq!(stale.map(|place| place.segment), Some(2));
        let known = index.get("k").expect("there");
        assert_eq!((known.segment, known.first), (4, 2));
        assert_eq!(index.remove("k", Sequence::new(6)), None);
        assert_eq!(index.remove("k", Sequence::new(8)), Some(known));
        assert_eq!(index.len(), 0);
    }

    #[test]
    fn of_two_copies_of_a_record_the_later_one_is_known() {
        let index = Index::new();
        index.put("k", place(5, 3));
        let older = index.put("k", place(5, 9));
        assert_eq!(older.map(|place| place.segment), Some(3));
    }

    #[test]
    fn a_place_is_kept_in_24_bytes() {
        let place = Place {
            sequence: Sequence::new(u64::MAX - 1),
            segment: u32::MAX - 2,
            offset: u32::MAX - 3,
            value_length: u32::MAX - 4,
            first: u32::MAX - 5,
        };
        let mut entry = Entry::new("key", self::place(1, 2));
        assert_eq!((entry.key(), entry.place()), ("key", self::place(1, 2)));
        entry.set(place);
        assert_eq!((entry.key(), entry.place()), ("key", place));
        assert_eq!(entry.0.len(), 24 + 3);
    }
}
