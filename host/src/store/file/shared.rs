//! What the callers of the store and its threads share.

use super::full::FullDisk;
use super::overlay::{Overlay, Shard};
use super::queue::Queue;
use crate::store::log::{Found, Log, ReadError, Wait};
use crate::store::{ChangeNumber, Seen, Settling, StoreError, Watchers};
use bytes::Bytes;
use std::time::Instant;

/// With so much room on the disk, it is not full any more: a segment of a small store, which a batch
/// may have to begin.
const ROOM: u64 = 4 << 20;

pub(super) struct Shared {
    pub(super) log: Log,
    pub(super) overlay: Overlay,
    pub(super) queue: Queue,
    pub(super) settling: Settling,
    pub(super) watchers: Watchers,
    pub(super) opened: Instant,
    pub(super) full: FullDisk,
}

fn unreadable(error: &ReadError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

impl Shared {
    /// The key as it is now; nothing, where that would wait although it may not.
    pub(super) fn see(&self, key: &str, wait: Wait) -> Result<Option<Seen>, StoreError> {
        let (absent, floor) = {
            let shard = self.overlay.shard(key);
            if let Some(seen) = shard.seen(key) {
                return Ok(Some(seen));
            }
            (shard.absent(), shard.floor)
        };
        // Whatever leaves the overlay now is in the log before it does.
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

    /// The number of the last change of a key whose shard is locked.
    pub(super) fn last_change(&self, shard: &Shard, key: &str) -> ChangeNumber {
        shard.last_change(key).unwrap_or_else(|| {
            let sequence = self.log.lookup(key);
            sequence.map_or_else(|| shard.absent(), |sequence| sequence.max(shard.floor))
        })
    }

    /// Changes a key unless `refuse` has a reason against it, which it decides on the key's last
    /// change.
    pub(super) fn change<E: From<StoreError>>(
        &self,
        key: &str,
        value: Option<Bytes>,
        refuse: impl FnOnce(ChangeNumber) -> Result<(), E>,
    ) -> Result<ChangeNumber, E> {
        if self.log.refuses_writes() {
            let why = "a write could not be made durable; restart to go on";
            return Err(StoreError::Refused(why.to_owned()).into());
        }
        if self.full.refuses(|| self.opened.elapsed()) && self.log.room() < ROOM {
            return Err(StoreError::Full("the disk is full".to_owned()).into());
        }
        let mut shard = self.overlay.shard(key);
        refuse(self.last_change(&shard, key))?;
        // The number is taken while the shard is locked: whoever noted a number before and reads
        // the old value afterwards must find a higher one on the key later.
        let changed = self.queue.push(key, value.clone())?;
        shard.write(key, value, changed);
        drop(shard);
        self.watchers.notify(key);
        Ok(changed)
    }
}
