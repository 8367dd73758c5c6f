//! Store in a directory.

use super::full::FullDisk;
use super::overlay::Overlay;
use super::queue::Queue;
use super::scrub;
use super::shared::Shared;
use super::timeline;
use super::writer;
use crate::store::log::{Durability, Files, Log, OpenError, Options, Recovered, Snapshots, Wait};
use crate::store::{
    ChangeNumber, Figures, Seen, Settle, Settling, Store, StoreError, SwapError, Watch, Watchers,
    counter,
};
use crate::vital;
use bytes::Bytes;
use metrics::Histogram;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Instant;

/// Keys and values in a directory.
pub(crate) struct FileStore {
    /// Description for the server's operator.
    description: String,
    pub(super) shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    timeline: u64,
}

impl FileStore {
    /// Opens a directory, or creates it. `is_upkeep` recognizes the keys of records that are
    /// written in order to free room: the store accepts them on a full disk, too, up to half of the
    /// reserve. To find damage, the store reads `scrub_rate` bytes of old segments a second; 0
    /// turns this off.
    ///
    /// # Errors
    ///
    /// [`OpenError`], with a one-line text that names a remedy.
    pub(crate) fn open(
        directory: &Path,
        files: Arc<dyn Files>,
        options: Options,
        is_upkeep: fn(&str) -> bool,
        scrub_rate: u64,
    ) -> Result<(Self, Recovered), OpenError> {
        let (log, recovered) = Log::open(directory, Arc::clone(&files), options)?;
        let timeline = timeline::read(directory, &*files).map_err(|source| OpenError::Io {
            path: directory.to_owned(),
            source,
        })?;
        let settled = log.highest_sequence();
        let shared = Arc::new(Shared {
            log,
            overlay: Overlay::default(),
            queue: Queue::new(settled),
            settling: Settling::new(settled),
            watchers: Watchers::default(),
            opened: Instant::now(),
            full: FullDisk::default(),
            is_upkeep,
            scrub_rate,
            damages: AtomicU64::new(0),
            commit_time: OnceLock::new(),
        });
        let thread = |name: &str, run: fn(&Shared)| {
            let (shared, description) = (Arc::clone(&shared), format!("the thread {name}"));
            std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || vital::thread(&description, || run(&shared)))
                .map_err(|source| OpenError::Io {
                    path: directory.to_owned(),
                    source,
                })
        };
        let threads = vec![
            thread("store-writer", writer::write)?,
            thread("store-compact", writer::compact)?,
            thread("store-scrub", scrub::scrub)?,
        ];
        let acknowledged = match options.durability {
            Durability::Sync => "synced to the disk",
            Durability::Os => "with the operating system, and a power failure may lose them",
        };
        let store = Self {
            description: format!(
                "{}: acknowledged writes are {acknowledged}",
                directory.display()
            ),
            shared,
            threads,
            timeline,
        };
        Ok((store, recovered))
    }
}

impl Drop for FileStore {
    /// Writes all queued changes before it returns.
    fn drop(&mut self) {
        self.shared.queue.close();
        for thread in self.threads.drain(..) {
            // The thread reported its error before it ended.
            let _ = thread.join();
        }
    }
}

impl Store for FileStore {
    fn kind(&self) -> &'static str {
        "file"
    }

    fn guards_creation(&self) -> bool {
        true
    }

    fn is_sure_of_conflicts(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        self.description.clone()
    }

    fn get(&self, key: &str) -> Result<Seen, StoreError> {
        let seen = self.shared.see(key, Wait::ForDisk)?;
        seen.ok_or_else(|| StoreError::Unavailable("the disk did not return the value".to_owned()))
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
            // There is nothing to remove, and nothing is written: a later writer of the key may
            // know of a loss that the caller does not know of.
            return no_more().map(|()| changed);
        }
        // `no_more` runs while the key's shard is locked; a loss locks every shard.
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

    fn figures(&self) -> Option<Figures> {
        Some(self.shared.figures())
    }

    fn measure(&self, commits: Histogram, syncs: Histogram) {
        self.shared.log.measure(syncs);
        // A second server over this store records nothing.
        let _ = self.shared.commit_time.set(commits);
    }

    fn timeline(&self) -> u64 {
        self.timeline
    }

    fn snapshots(&self) -> Option<Snapshots> {
        let shared = Arc::clone(&self.shared);
        Some(Snapshots::new(move || shared.log.snapshot()))
    }
}
