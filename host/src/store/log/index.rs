//! Where the newest record of each key is.

use super::Sequence;
use super::format::{SegmentNumber, record_length};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Locks that unrelated keys seldom share. More would make growing one less of a stop.
const SHARDS: usize = 64;

type Shard = HashMap<Box<str>, Place>;

/// Where a record is. Small, as there is one for each key.
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
    /// Bytes of the record.
    pub(super) fn record_length(self, key: &str) -> u64 {
        record_length(key.len(), self.value_length.into())
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

    fn shard(&self, key: &str) -> &RwLock<Shard> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }

    fn read(&self, key: &str) -> RwLockReadGuard<'_, Shard> {
        let shard = self.shard(key).read();
        shard.unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, key: &str) -> RwLockWriteGuard<'_, Shard> {
        let shard = self.shard(key).write();
        shard.unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: &str) -> Option<Place> {
        self.read(key).get(key).copied()
    }

    /// Enters a value. Returns the place that is outweighed: the older one, or this very one
    /// where a newer is known. Of equals, which compaction leaves, the one entered later stays.
    pub(super) fn put(&self, key: &str, mut place: Place) -> Option<Place> {
        let mut shard = self.write(key);
        let Some(known) = shard.get_mut(key) else {
            shard.insert(key.into(), place);
            return None;
        };
        place.first = place.first.min(known.first);
        if known.sequence > place.sequence {
            known.first = place.first;
            return Some(place);
        }
        Some(std::mem::replace(known, place))
    }

    /// Enters a tombstone. Returns the place that it outweighs.
    pub(super) fn remove(&self, key: &str, sequence: Sequence) -> Option<Place> {
        let mut shard = self.write(key);
        match shard.get(key) {
            Some(known) if known.sequence < sequence => shard.remove(key),
            _ => None,
        }
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
            for (key, place) in &*shard {
                visit(key, *place);
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
    fn a_place_takes_24_bytes() {
        assert_eq!(size_of::<Place>(), 24);
    }
}
