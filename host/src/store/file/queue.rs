//! Changes on their way to the log.

use crate::store::log::Change;
use crate::store::{ChangeNumber, StoreError};
use bytes::Bytes;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes that may wait for the disk. Past this limit the store refuses writes.
const MAX_QUEUED: usize = 256 << 20;
/// Bytes of one batch. The limit keeps the first change of many from waiting for all.
const MAX_BATCH: usize = 16 << 20;
/// Bytes that a change costs besides its key and value.
const CHANGE_BYTES: usize = 64;

/// A batch to be written. All of its changes are newer than the log.
pub(super) struct Batch {
    /// The changes in order.
    pub(super) changes: Vec<Change>,
    /// The number of the last change.
    pub(super) last: ChangeNumber,
}

/// The changes in their order, each with its number.
pub(super) struct Queue {
    pending: Mutex<Pending>,
    /// Notified when there is something to write, and when the queue is closed.
    bell: Condvar,
    /// Notified when the queue is closed, for threads that do not wait for changes.
    closing: Condvar,
    /// The number of the last change, for callers without the lock.
    latest: AtomicU64,
}

struct Pending {
    changes: Vec<Change>,
    bytes: usize,
    /// Number of changes at which `bell` is notified.
    wanted: usize,
    latest: ChangeNumber,
    closed: bool,
}

fn size(change: &Change) -> usize {
    CHANGE_BYTES + change.key.len() + change.value.as_ref().map_or(0, Bytes::len)
}

impl Queue {
    /// An empty queue. The next change gets the number after `latest`.
    pub(super) fn new(latest: ChangeNumber) -> Self {
        Self {
            pending: Mutex::new(Pending {
                changes: Vec::new(),
                bytes: 0,
                wanted: 1,
                latest,
                closed: false,
            }),
            bell: Condvar::new(),
            closing: Condvar::new(),
            latest: AtomicU64::new(latest.get()),
        }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_number(&self, pending: &mut Pending) -> ChangeNumber {
        let number = pending.latest.get().saturating_add(1);
        pending.latest = ChangeNumber::new(number);
        self.latest.store(number, Ordering::SeqCst);
        pending.latest
    }

    /// The number of the last change.
    pub(super) fn latest(&self) -> ChangeNumber {
        ChangeNumber::new(self.latest.load(Ordering::SeqCst))
    }

    /// Adds a change and returns its number.
    pub(super) fn push(&self, key: &str, value: Option<Bytes>) -> Result<ChangeNumber, StoreError> {
        let mut pending = self.pending();
        if pending.bytes > MAX_QUEUED {
            let why = "too many bytes wait for the disk".to_owned();
            return Err(StoreError::Refused(why));
        }
        let number = self.next_number(&mut pending);
        let change = Change {
            key: key.into(),
            value,
            sequence: number,
        };
        pending.bytes = pending.bytes.saturating_add(size(&change));
        pending.changes.push(change);
        let enough = pending.changes.len() == pending.wanted;
        drop(pending);
        if enough {
            self.bell.notify_one();
        }
        Ok(number)
    }

    /// Number of waiting changes.
    pub(super) fn len(&self) -> usize {
        self.pending().changes.len()
    }

    /// Waits for changes and takes a batch of them. Returns `None` once the queue is closed and
    /// empty. After the first change it waits for `wanted` changes, but not longer than `patience`.
    pub(super) fn take(&self, wanted: usize, patience: Duration) -> Option<Batch> {
        let mut pending = self.pending();
        while pending.changes.is_empty() {
            if pending.closed {
                return None;
            }
            pending.wanted = 1;
            let woken = self.bell.wait(pending);
            pending = woken.unwrap_or_else(PoisonError::into_inner);
        }
        pending.wanted = wanted;
        let woken = self.bell.wait_timeout_while(pending, patience, |pending| {
            !pending.closed && pending.changes.len() < wanted
        });
        (pending, _) = woken.unwrap_or_else(PoisonError::into_inner);
        let mut bytes: usize = 0;
        let fits = pending.changes.iter().take_while(|change| {
            bytes = bytes.saturating_add(size(change));
            bytes <= MAX_BATCH
        });
        let count = fits.count().max(1);
        let rest = pending.changes.split_off(count);
        let changes = std::mem::replace(&mut pending.changes, rest);
        let taken: usize = changes.iter().map(size).sum();
        pending.bytes = pending.bytes.saturating_sub(taken);
        drop(pending);
        let last = changes.last().map(|change| change.sequence)?;
        Some(Batch { changes, last })
    }

    /// Drops all waiting changes, and takes a further number. Returns the last number taken before,
    /// and the new one.
    pub(super) fn clear(&self) -> (ChangeNumber, ChangeNumber) {
        let mut pending = self.pending();
        let last = pending.latest;
        pending.changes = Vec::new();
        pending.bytes = 0;
        (last, self.next_number(&mut pending))
    }

    /// Closes the queue, so that the threads end. The writer first writes the waiting changes.
    pub(super) fn close(&self) {
        self.pending().closed = true;
        self.bell.notify_all();
        self.closing.notify_all();
    }

    /// Waits for a while. Returns whether the queue is still open.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let pending = self.pending();
        let woken = self
            .closing
            .wait_timeout_while(pending, time, |pending| !pending.closed);
        let (pending, _) = woken.unwrap_or_else(PoisonError::into_inner);
        !pending.closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_is_too_long_refuses_until_some_of_it_was_taken() -> Result<(), StoreError> {
        let queue = Queue::new(ChangeNumber::ZERO);
        let value = Some(Bytes::from(vec![0; 1 << 20]));
        let pushed = (0..10_000).find(|_| queue.push("key", value.clone()).is_err());
        assert!(pushed.is_some_and(|pushed| pushed < 300), "{pushed:?}");
        let batch = queue.take(1, Duration::ZERO).expect("there are changes");
        assert_eq!(batch.last.get(), 15, "16 MiB at most");
        queue.push("key", value)?;
        Ok(())
    }

    #[test]
    fn a_batch_waits_for_as_many_as_are_wanted_and_no_longer() -> Result<(), StoreError> {
        let queue = Queue::new(ChangeNumber::ZERO);
        queue.push("a", None)?;
        let batch = queue.take(2, Duration::ZERO).expect("there is one");
        assert_eq!(batch.changes.len(), 1, "no patience");
        queue.push("a", None)?;
        std::thread::scope(|scope| {
            let taker = scope.spawn(|| queue.take(3, Duration::from_secs(600)));
            while !taker.is_finished() {
                queue.push(&queue.latest().get().to_string(), None)?;
                std::thread::yield_now();
            }
            let batch = taker.join().expect("no panic").expect("there are some");
            assert!(batch.changes.len() >= 3);
            Ok(())
        })
    }

    #[test]
    fn a_queue_that_was_closed_ends_when_it_is_empty() -> Result<(), StoreError> {
        let queue = Queue::new(ChangeNumber::ZERO);
        queue.push("key", None)?;
        queue.close();
        assert!(queue.take(1, Duration::ZERO).is_some());
        assert!(queue.take(1, Duration::ZERO).is_none());
        assert!(!queue.pause(Duration::from_secs(600)));
        Ok(())
    }
}
