//! A store in a directory: what `serve` keeps streams in unless told otherwise.
//!
//! ```text
//!  steps -> overlay (what is newer than the disk) -> queue -> writer -> log -> disk
//!                                                                |
//!                              settled or lost, to whoever waits with an answer
//! ```
//!
//! # Output commit
//!
//! A change is applied to the overlay and queued, and the call returns at once. One thread takes
//! whatever is queued, writes it to the [`Log`] as one batch and syncs that; the next batch is what
//! came meanwhile. So one sync serves everybody who waits, and the more there are the cheaper it
//! is. Before it writes, the thread waits for a moment for those it has just served: they share the
//! next sync with those who came meanwhile, instead of waiting for each other's by turns. Whoever
//! depends on a change waits with what it has to say ([`Store::settle`]).
//!
//! If a batch can't be kept, it and everything newer is dropped, so that all that is left is what
//! the log holds. Every key then counts as changed: nobody can swap on what was lost, and whoever
//! waits for a change looks again.
//!
//! # Memory
//!
//! The log's index has every key, about a hundred bytes each; values are in the page cache. The
//! log keeps up to 16 MiB of values that are replaced again and again, to write what changes. The
//! overlay holds what is not durable yet, and refuses writes when that is too much. Small values
//! that are read again and again, the heads of busy streams, are kept in a cache of up to 64 MiB
//! from the second time on, and leave it when they were not read for a minute or two.

mod cache;
mod full;
mod overlay;
mod queue;
#[cfg(test)]
mod tests;
mod writer;

use super::log::{Files, Found, Log, OpenError, Options, ReadError, Wait};
use super::{
    ChangeNumber, Seen, Settle, Settling, Store, StoreError, SwapError, Watch, Watchers, counter,
};
use crate::vital;
use bytes::Bytes;
use full::FullDisk;
use overlay::{Overlay, Shard};
use queue::Queue;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

pub use super::log::{Durability, Recovered};

/// With so much room on the disk, it is not full any more: a segment of a small store, which a batch
/// may have to begin.
const ROOM: u64 = 4 << 20;

/// Keys and values in a directory.
pub struct FileStore {
    /// For whoever starts the server.
    description: String,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    log: Log,
    overlay: Overlay,
    queue: Queue,
    settling: Settling,
    watchers: Watchers,
    opened: Instant,
    full: FullDisk,
}

impl FileStore {
    /// Opens a directory, or makes it.
    ///
    /// # Errors
    ///
    /// [`OpenError`], whose text is one line that says what to do.
    pub fn open(
        directory: &Path,
        files: Arc<dyn Files>,
        options: Options,
    ) -> Result<(Self, Recovered), OpenError> {
        let (log, recovered) = Log::open(directory, files, options)?;
        let settled = log.highest_sequence();
        let shared = Arc::new(Shared {
            log,
            overlay: Overlay::default(),
            queue: Queue::new(settled),
            settling: Settling::new(settled),
            watchers: Watchers::default(),
            opened: Instant::now(),
            full: FullDisk::default(),
        });
        let thread = |name: &str, run: fn(&Shared)| {
            let (shared, what) = (Arc::clone(&shared), format!("the thread {name}"));
            std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || vital::thread(&what, || run(&shared)))
                .map_err(|source| OpenError::Io {
                    path: directory.to_owned(),
                    source,
                })
        };
        let threads = vec![
            thread("store-writer", writer::write)?,
            thread("store-compact", writer::compact)?,
        ];
        let acknowledged = match options.durability {
            Durability::Sync => "synced to the disk",
            Durability::Os => "handed to the operating system, which a power failure may lose",
        };
        let store = Self {
            description: format!(
                "{}: what is acknowledged is {acknowledged}",
                directory.display()
            ),
            shared,
            threads,
        };
        Ok((store, recovered))
    }
}

impl Drop for FileStore {
    /// What was queued is written before this returns.
    fn drop(&mut self) {
        self.shared.queue.close();
        for thread in self.threads.drain(..) {
            // It told what went wrong before it ended.
            let _ = thread.join();
        }
    }
}

fn unreadable(error: &ReadError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

impl Shared {
    /// The key as it is now; nothing, where that would wait although it may not.
    fn see(&self, key: &str, wait: Wait) -> Result<Option<Seen>, StoreError> {
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
    fn last_change(&self, shard: &Shard, key: &str) -> ChangeNumber {
        shard.last_change(key).unwrap_or_else(|| {
            let sequence = self.log.lookup(key);
            sequence.map_or_else(|| shard.absent(), |sequence| sequence.max(shard.floor))
        })
    }

    /// Changes a key unless `refuse` has a reason against it, which it decides on the key's last
    /// change.
    fn change<E: From<StoreError>>(
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

impl Store for FileStore {
    fn kind(&self) -> &'static str {
        "file"
    }

    fn describe(&self) -> String {
        self.description.clone()
    }

    fn get(&self, key: &str) -> Result<Seen, StoreError> {
        let seen = self.shared.see(key, Wait::ForDisk)?;
        seen.ok_or_else(|| StoreError::Unavailable("the value did not come".to_owned()))
    }

    fn get_now(&self, key: &str) -> Result<Option<Seen>, StoreError> {
        self.shared.see(key, Wait::Never)
    }

    fn exists(&self, key: &str) -> Result<(bool, ChangeNumber), StoreError> {
        let shard = self.shared.overlay.shard(key);
        let exists = match shard.seen(key) {
            Some(seen) => seen.value.is_some(),
            None => self.shared.log.lookup(key).is_some(),
        };
        Ok((exists, self.shared.last_change(&shard, key)))
    }

    fn set(&self, key: &str, value: Bytes) -> Result<ChangeNumber, StoreError> {
        self.shared.change(key, Some(value), |_| Ok(()))
    }

    fn delete(&self, key: &str) -> Result<ChangeNumber, StoreError> {
        match self.exists(key)? {
            (true, _) => self.shared.change(key, None, |_| Ok(())),
            (false, changed) => Ok(changed),
        }
    }

    fn write_since(
        &self,
        losses: u64,
        key: &str,
        value: Option<Bytes>,
    ) -> Result<ChangeNumber, StoreError> {
        let no_more = || match self.losses() == losses {
            true => Ok(()),
            false => Err(StoreError::lost()),
        };
        if value.is_none()
            && let (false, changed) = self.exists(key)?
        {
            // Nothing to remove, and nothing is: whoever writes the key from now on may know of a
            // loss that the caller does not.
            return no_more().map(|()| changed);
        }
        // Asked while the key's shard is locked, as every shard is during a loss.
        self.shared.change(key, value, |_| no_more())
    }

    fn increment(&self, key: &str, delta: i64) -> Result<(i64, ChangeNumber), StoreError> {
        loop {
            let seen = self.get(key)?;
            let (sum, value) = counter::add(seen.value.as_ref(), delta)?;
            match self.swap(key, &seen, value) {
                Ok(changed) => return Ok((sum, changed)),
                Err(SwapError::Conflict) => {}
                Err(SwapError::Store(error)) => return Err(error),
            }
        }
    }

    fn swap(&self, key: &str, seen: &Seen, value: Bytes) -> Result<ChangeNumber, SwapError> {
        self.shared
            .change(key, Some(value), |last| match last == seen.changed {
                true => Ok(()),
                false => Err(SwapError::Conflict),
            })
    }

    fn latest_change(&self) -> ChangeNumber {
        self.shared.queue.latest()
    }

    fn last_change(&self, key: &str) -> ChangeNumber {
        self.shared
            .last_change(&self.shared.overlay.shard(key), key)
    }

    fn watch(&self, key: &str) -> Watch {
        self.shared.watchers.watch(key)
    }

    fn settle(&self, change: ChangeNumber) -> Settle {
        self.shared.settling.settle(change)
    }

    fn refuses_writes(&self) -> bool {
        self.shared.log.refuses_writes()
    }

    fn losses(&self) -> u64 {
        self.shared.settling.losses()
    }
}
