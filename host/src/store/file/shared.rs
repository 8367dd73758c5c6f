//! State shared between the callers of the store and its threads.

use super::full::FullDisk;
use super::overlay::{Overlay, Shard};
use super::queue::Queue;
use crate::store::log::{Change, Found, Log, ReadError, Wait};
use crate::store::{ChangeNumber, Figures, Seen, Settling, StoreError, Watchers};
use bytes::Bytes;
use metrics::Histogram;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// With this much room on the disk, the disk is not full any more: a segment of a small store,
/// which a batch may have to begin.
const ROOM: u64 = 4 << 20;

pub(super) struct Shared {
    pub(super) log: Log,
    pub(super) overlay: Overlay,
    pub(super) queue: Queue,
    pub(super) settling: Settling,
    pub(super) watchers: Watchers,
    pub(super) opened: Instant,
    pub(super) full: FullDisk,
    /// Recognizes the keys of records that are written in order to free room.
    pub(super) is_upkeep: fn(&str) -> bool,
    /// Bytes a second of old segments to read again; 0 turns this off.
    pub(super) scrub_rate: u64,
    /// Damaged records that the scrub found.
    pub(super) damages: AtomicU64,
    /// Times of batches.
    pub(super) commit_time: OnceLock<Histogram>,
}

fn unreadable(error: &ReadError) -> StoreError {
    match error {
        ReadError::Io { .. } => StoreError::Unavailable(error.to_string()),
        ReadError::Damaged { .. } => StoreError::Damaged(error.to_string()),
    }
}

fn growth(
    held: Option<u64>,
    value: Option<&Bytes>,
    is_upkeep: impl FnOnce() -> bool,
) -> Option<u64> {
    let length = value.map_or(0, |value| value.len() as u64);
    let more = length.saturating_sub(held.unwrap_or(0));
    let frees = value.is_none() || (held.is_some() && more == 0) || is_upkeep();
    frees.then_some(more)
}

impl Shared {
    /// Figures of this moment.
    pub(super) fn figures(&self) -> Figures {
        let (log, cache) = (self.log.figures(), self.overlay.cache.figures());
        Figures {
            queued: self.queue.len() as u64,
            is_full: self.is_full(),
            damages: self.damages.load(Ordering::Relaxed),
            cache_bytes: cache.cache_bytes,
            cache_hits: cache.cache_hits,
            cache_misses: cache.cache_misses,
            ..log
        }
    }

    /// Whether only changes that free room are accepted.
    fn is_full(&self) -> bool {
        self.log.is_on_reserve()
            || self.full.refuses(|| self.opened.elapsed()) && self.log.room() < ROOM
    }

    /// Returns the present state of the key; `None` if that takes a wait that `wait` does not
    /// allow.
    pub(super) fn see(&self, key: &str, wait: Wait) -> Result<Option<Seen>, StoreError> {
        let (absent, floor) = {
            let shard = self.overlay.shard(key);
            if let Some(seen) = shard.seen(key) {
                return Ok(Some(seen));
            }
            (shard.absent(), shard.floor)
        };
        // A change is in the log before it leaves the overlay.
        if let Some(sequence) = self.log.lookup(key)
            && let Some(value) = self.overlay.cache.get(key, sequence)
        {
            let changed = sequence.max(floor);
            let value = Some(value);
            return Ok(Some(Seen { value, changed }));
        }
        let found = self.log.get(key, wait);
        Ok(match found.map_err(|error| unreadable(&error))? {
            Found::NotResident => None,
            Found::Absent => Some(Seen {
                value: None,
                changed: absent,
            }),
            Found::Value { value, sequence } => {
                self.overlay.cache.keep(key, sequence, &value);
                Some(Seen {
                    value: Some(value),
                    changed: sequence.max(floor),
                })
            }
        })
    }

    /// Number of the last change of a key; the caller holds the lock of the key's shard.
    pub(super) fn last_change(&self, shard: &Shard, key: &str) -> ChangeNumber {
        shard.last_change(key).unwrap_or_else(|| {
            let sequence = self.log.lookup(key);
            sequence.map_or_else(|| shard.absent(), |sequence| sequence.max(shard.floor))
        })
    }

    /// Bytes by which a change that frees room makes a value grow; `None` for any other change.
    /// Three kinds of changes free room: deletions, values no longer than the replaced value, and
    /// records of data to remove.
    fn growth(&self, shard: &Shard, key: &str, value: Option<&Bytes>) -> Option<u64> {
        let held = match shard.seen(key) {
            Some(seen) => seen.value.map(|value| value.len() as u64),
            None => self.log.value_length(key),
        };
        growth(held, value, || (self.is_upkeep)(key))
    }

    /// Growth of a batch, compared with the log's contents.
    pub(super) fn growth_of(&self, changes: &[Change]) -> Option<u64> {
        let growths = changes.iter().map(|change| {
            let held = self.log.value_length(&change.key);
            growth(held, change.value.as_ref(), || {
                (self.is_upkeep)(&change.key)
            })
        });
        growths.sum()
    }

    /// Changes a key, unless `refuse` rejects the change on the basis of the key's last change.
    pub(super) fn change<E: From<StoreError>>(
        &self,
        key: &str,
        value: Option<Bytes>,
        refuse: impl FnOnce(ChangeNumber) -> Result<(), E>,
    ) -> Result<ChangeNumber, E> {
        if self.log.refuses_writes() {
            let why = "an earlier write could not be made durable; restart the server to continue";
            return Err(StoreError::Refused(why.to_owned()).into());
        }
        let full = self.is_full();
        let mut shard = self.overlay.shard(key);
        if full && self.growth(&shard, key, value.as_ref()).is_none() {
            return Err(StoreError::Full("the disk is full".to_owned()).into());
        }
        refuse(self.last_change(&shard, key))?;
        // The number is taken while the shard is locked. A caller that noted a number earlier, and
        // then reads the old value, must later find a higher number on the key.
        let changed = self.queue.push(key, value.clone())?;
        shard.write(key, value, changed);
        drop(shard);
        self.watchers.notify(key);
        Ok(changed)
    }
}
