//! Waiters for changes of keys.

use futures::task::AtomicWaker;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasher;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

const SHARDS: usize = 16;

/// The waiters of a store, by key. Keys without waiters take no room.
///
/// A store first makes a change visible and then calls [`notify`](Self::notify). A waiter first
/// registers and then reads the key. So one of the two always sees the other.
#[derive(Clone, Default)]
pub struct Watchers {
    table: Arc<Table>,
}

#[derive(Default)]
struct Table {
    hasher: std::hash::RandomState,
    shards: [Shard; SHARDS],
}

#[derive(Default)]
struct Shard {
    /// Number of entries of `waiters`. A change of a key in a shard without waiters costs one load.
    keys: AtomicUsize,
    waiters: Mutex<HashMap<Box<str>, Vec<Arc<Waiter>>>>,
}

#[derive(Default)]
struct Waiter {
    changed: AtomicBool,
    waker: AtomicWaker,
}

/// Ready once the key has changed after [`Watchers::watch`] returned this.
#[must_use = "a watch does nothing until it is awaited"]
pub struct Watch {
    table: Arc<Table>,
    key: Box<str>,
    waiter: Arc<Waiter>,
}

impl Table {
    fn shard(&self, key: &str) -> &Shard {
        let hash = self.hasher.hash_one(key) as usize;
        // The remainder is always in range. The first shard stands in only to avoid a panic.
        self.shards.get(hash % SHARDS).unwrap_or(&self.shards[0])
    }
}

impl Shard {
    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Vec<Arc<Waiter>>>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watchers {
    /// Wakes every waiter of this key. The caller makes the change visible first.
    pub fn notify(&self, key: &str) {
        let shard = self.table.shard(key);
        // The store's own lock orders this load: a waiter that registered before it read the key
        // either saw the change, or is counted here.
        if shard.keys.load(Ordering::SeqCst) == 0 {
            return;
        }
        let woken = {
            let mut waiters = shard.lock();
            let woken = waiters.remove(key);
            shard.keys.store(waiters.len(), Ordering::SeqCst);
            woken
        };
        for waiter in woken.into_iter().flatten() {
            waiter.changed.store(true, Ordering::Release);
            waiter.waker.wake();
        }
    }

    /// Wakes every waiter, for a store that can't say which keys changed.
    pub fn notify_all(&self) {
        for shard in &self.table.shards {
            let woken = std::mem::take(&mut *shard.lock());
            shard.keys.store(0, Ordering::SeqCst);
            for waiter in woken.into_values().flatten() {
                waiter.changed.store(true, Ordering::Release);
                waiter.waker.wake();
            }
        }
    }

    /// Begins to wait for a key.
    pub fn watch(&self, key: &str) -> Watch {
        let waiter = Arc::new(Waiter::default());
        let shard = self.table.shard(key);
        let mut waiters = shard.lock();
        waiters
            .entry(key.into())
            .or_default()
            .push(Arc::clone(&waiter));
        shard.keys.store(waiters.len(), Ordering::SeqCst);
        drop(waiters);
        Watch {
            table: Arc::clone(&self.table),
            key: key.into(),
            waiter,
        }
    }

    /// Number of keys with waiters.
    #[cfg(test)]
    pub fn watched_keys(&self) -> usize {
        self.table
            .shards
            .iter()
            .map(|shard| shard.lock().len())
            .sum()
    }
}

impl Future for Watch {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.waiter.waker.register(context.waker());
        if self.waiter.changed.load(Ordering::Acquire) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.waiter.changed.load(Ordering::Acquire) {
            return;
        }
        let shard = self.table.shard(&self.key);
        let mut waiters = shard.lock();
        if let Entry::Occupied(mut entry) = waiters.entry(self.key.clone()) {
            entry
                .get_mut()
                .retain(|waiter| !Arc::ptr_eq(waiter, &self.waiter));
            if entry.get().is_empty() {
                entry.remove();
            }
        }
        shard.keys.store(waiters.len(), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn a_watch_is_ready_after_a_change_of_its_key_only() {
        let watchers = Watchers::default();
        let mut watch = watchers.watch("a");
        watchers.notify("b");
        assert_eq!((&mut watch).now_or_never(), None);
        watchers.notify("a");
        assert_eq!((&mut watch).now_or_never(), Some(()));
    }

    #[test]
    fn nothing_is_left_of_watches_that_fired_or_were_dropped() {
        let watchers = Watchers::default();
        let fired = watchers.watch("a");
        let dropped = watchers.watch("b");
        assert_eq!(watchers.watched_keys(), 2);
        watchers.notify("a");
        drop(dropped);
        assert_eq!(watchers.watched_keys(), 0);
        drop(fired);
    }

    #[test]
    fn one_change_wakes_every_reader_that_waits_for_the_key() {
        let watchers = Watchers::default();
        let watches: Vec<Watch> = (0..100).map(|_| watchers.watch("a")).collect();
        watchers.notify_all();
        for watch in watches {
            assert_eq!(watch.now_or_never(), Some(()));
        }
        assert_eq!(watchers.watched_keys(), 0);
    }
}
