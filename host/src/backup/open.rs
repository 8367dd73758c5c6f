//! The backups that clients are taking from this server.

use super::disk::{Measured, Moment};
use crate::limits::{BACKUP_IDLE, BACKUP_SILENCE, BACKUPS};
use crate::store::{Snapshots, Store};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Times without a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// After this time a backup ends.
    pub idle: Duration,
    /// After this time a backup makes room for another one.
    pub silence: Duration,
}

impl Patience {
    const DEFAULT: Self = Self {
        idle: BACKUP_IDLE,
        silence: BACKUP_SILENCE,
    };
}

/// The backups of a store.
pub(crate) struct Backups {
    /// Access to the store. `None` if the store is not in files.
    snapshots: Option<Snapshots>,
    timeline: u64,
    patience: Patience,
    open: Mutex<HashMap<String, Arc<Backup>>>,
}

/// A backup that a client is taking.
pub(super) struct Backup {
    pub(super) measured: Measured,
    used: Mutex<Instant>,
}

impl Backup {
    /// Notes that the client still takes this backup.
    pub(super) fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Time of the last request.
    fn last_used(&self) -> Instant {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ends_at(&self, idle: Duration) -> Instant {
        let used = self.last_used();
        used.checked_add(idle).unwrap_or(used)
    }
}

impl Backups {
    /// The backups of this store.
    pub(crate) fn new(store: &dyn Store) -> Arc<Self> {
        // A store in files keeps its timeline while it is open.
        Self::of(store.snapshots(), store.timeline(), Patience::DEFAULT)
    }

    /// The backups of a store with these snapshots on this timeline.
    pub(super) fn of(snapshots: Option<Snapshots>, timeline: u64, patience: Patience) -> Arc<Self> {
        Arc::new(Self {
            snapshots,
            timeline,
            patience,
            open: Mutex::default(),
        })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, Arc<Backup>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Access to the store's snapshots. `None` if the store is not in files.
    pub(super) fn snapshots(&self) -> Option<Snapshots> {
        self.snapshots.clone()
    }

    /// Whether there is room for another backup.
    pub(super) fn has_room(&self) -> bool {
        let open = self.open();
        open.len() < BACKUPS || self.silent(&open).is_some()
    }

    /// Returns the backup without a request for the longest time, if that is long enough.
    fn silent(&self, open: &HashMap<String, Arc<Backup>>) -> Option<String> {
        let (id, backup) = open.iter().min_by_key(|(_, backup)| backup.last_used())?;
        let silent = backup.last_used().elapsed() >= self.patience.silence;
        silent.then(|| id.clone())
    }

    /// Takes a snapshot and keeps it for a client. Returns its identity and moment. `None` if there
    /// are too many backups or no random numbers. Waits for a batch that is being written.
    pub(super) fn begin(&self, snapshots: &Snapshots) -> Option<(String, Moment)> {
        let id = format!("{:016x}", getrandom::u64().ok()?);
        let snapshot = snapshots.take();
        let moment = Moment::of(&snapshot, self.timeline);
        let backup = Arc::new(Backup {
            measured: Measured::new(snapshot),
            used: Mutex::new(Instant::now()),
        });
        let mut open = self.open();
        if open.len() >= BACKUPS {
            let silent = self.silent(&open)?;
            open.remove(&silent);
        }
        open.insert(id.clone(), backup);
        Some((id, moment))
    }

    /// Number of backups.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.open().len()
    }

    /// Returns a backup, and notes that it is in use.
    pub(super) fn find(&self, id: &str) -> Option<Arc<Backup>> {
        let backup = self.open().get(id).cloned()?;
        backup.touch();
        Some(backup)
    }

    /// Ends a backup. Returns whether there was one.
    pub(super) fn end(&self, id: &str) -> bool {
        let ended = self.open().remove(id);
        ended.is_some()
    }
}

/// Ends a backup once its client was silent for too long.
pub(super) async fn expire(backups: Weak<Backups>, id: String) {
    loop {
        let ends_at = {
            let Some(backups) = backups.upgrade() else {
                return;
            };
            let mut open = backups.open();
            let ends_at = open
                .get(&id)
                .map(|backup| backup.ends_at(backups.patience.idle));
            let Some(ends_at) = ends_at else { return };
            if ends_at <= Instant::now() {
                open.remove(&id);
                return;
            }
            ends_at
        };
        sleep_until(ends_at).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::log::faults::FaultyFiles;
    use crate::store::log::{Log, Options};
    use std::path::Path;

    #[test]
    fn every_use_puts_the_end_off() {
        let files = Arc::new(FaultyFiles::default());
        let log = Log::open(Path::new("/store"), files, Options::default());
        let log = log.expect("opens").0;
        let backups = Backups::of(
            Some(Snapshots::new(move || log.snapshot())),
            0,
            Patience::DEFAULT,
        );
        let snapshots = backups.snapshots().expect("it is in files");
        let (id, _) = backups.begin(&snapshots).expect("there is room");
        let backup = backups.find(&id).expect("it is there");
        let mut ends_at = backup.ends_at(BACKUP_IDLE);
        for _ in 0..3 {
            while Instant::now() + BACKUP_IDLE <= ends_at {
                std::thread::yield_now();
            }
            backups.find(&id).expect("it is there");
            assert!(backup.ends_at(BACKUP_IDLE) > ends_at);
            ends_at = backup.ends_at(BACKUP_IDLE);
        }
    }
}
