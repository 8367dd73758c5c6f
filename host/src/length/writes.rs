//! Long writes in progress.
//!
//! Other writes to the same path follow them to the instances for long requests. Otherwise each
//! short append would win against the long one, and the long one would start over every time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Number of long writes in progress, by the hash of their path.
#[derive(Debug, Default)]
pub(super) struct LongWrites {
    by_path: Mutex<HashMap<u64, usize>>,
    /// Total number. It is zero most of the time, and then no lock is taken.
    count: AtomicUsize,
}

/// Long write, in progress until this is dropped.
#[derive(Debug)]
pub(super) struct LongWrite {
    writes: Arc<LongWrites>,
    path: u64,
}

impl LongWrites {
    fn by_path(&self) -> MutexGuard<'_, HashMap<u64, usize>> {
        self.by_path.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a long write to this path is in progress.
    pub(super) fn are_under_way(&self, path: u64) -> bool {
        self.count.load(Ordering::Acquire) > 0 && self.by_path().contains_key(&path)
    }

    /// Begins a long write.
    pub(super) fn begin(self: &Arc<Self>, path: u64) -> LongWrite {
        let mut by_path = self.by_path();
        let count = by_path.entry(path).or_default();
        *count = count.saturating_add(1);
        self.count.fetch_add(1, Ordering::AcqRel);
        LongWrite {
            writes: Arc::clone(self),
            path,
        }
    }
}

impl Drop for LongWrite {
    fn drop(&mut self) {
        let mut by_path = self.writes.by_path();
        self.writes.count.fetch_sub(1, Ordering::AcqRel);
        if let Some(count) = by_path.get_mut(&self.path) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                by_path.remove(&self.path);
            }
        }
    }
}
