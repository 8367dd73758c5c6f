//! The room that all connections share.

use crate::limits::UNCOUNTED;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Bytes that one permit stands for.
const UNIT: usize = 1024;

/// A number of bytes, taken in the order in which it was asked for.
#[derive(Debug)]
pub(crate) struct Pool {
    permits: Arc<Semaphore>,
    whole: u32,
    pressure: Arc<Pressure>,
}

/// Reads that wait for room in a pool, or in another that is part of it.
#[derive(Debug, Default)]
struct Pressure {
    waiting: AtomicUsize,
    begun: Notify,
}

/// Bytes of a pool, given back when this is dropped.
pub(super) type Taken = OwnedSemaphorePermit;

/// Bytes that several responses share, and their room.
struct Shared {
    bytes: Bytes,
    /// None where there was no room: bytes that were read for a group are sent all the same.
    _room: Option<Taken>,
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Counts a waiting read for as long as it lives.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    /// A pool of so many bytes, in whole KiB.
    pub(crate) fn new(bytes: usize) -> Arc<Self> {
        let whole = units(bytes);
        Arc::new(Self {
            permits: Arc::new(Semaphore::new(whole as usize)),
            whole,
            pressure: Arc::default(),
        })
    }

    /// A pool of so many bytes that are also taken from this one.
    pub(super) fn part(&self, bytes: usize) -> Arc<Self> {
        let whole = units(bytes).min(self.whole);
        Arc::new(Self {
            permits: Arc::new(Semaphore::new(whole as usize)),
            whole,
            pressure: Arc::clone(&self.pressure),
        })
    }

    /// Takes room for so many bytes, or all the room there is if they are more.
    pub(super) async fn take(&self, bytes: usize) -> Taken {
        if let Some(taken) = self.try_take(bytes) {
            return taken;
        }
        self.pressure.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.pressure.waiting);
        self.pressure.begun.notify_one();
        let wanted = units(bytes).min(self.whole);
        match Arc::clone(&self.permits).acquire_many_owned(wanted).await {
            Ok(taken) => taken,
            // This semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// Takes room for so many bytes if it is there now.
    pub(super) fn try_take(&self, bytes: usize) -> Option<Taken> {
        let permits = Arc::clone(&self.permits);
        let taken = permits.try_acquire_many_owned(units(bytes).min(self.whole));
        taken.ok()
    }

    /// Makes `taken` the room of so many bytes. Returns false, and leaves it as it is, where that
    /// takes more than there is.
    pub(super) fn resize(&self, taken: &mut Taken, bytes: usize) -> bool {
        let (have, wanted) = (taken.num_permits(), units(bytes).min(self.whole) as usize);
        if wanted <= have {
            drop(taken.split(have.saturating_sub(wanted)));
            return true;
        }
        let missing = wanted.saturating_sub(have).saturating_mul(UNIT);
        match self.try_take(missing) {
            Some(more) => {
                taken.merge(more);
                true
            }
            None => false,
        }
    }

    /// The same bytes, which take room once however many responses have them.
    pub(crate) fn share(&self, bytes: Bytes) -> Bytes {
        if bytes.len() <= UNCOUNTED {
            return bytes;
        }
        let room = self.try_take(bytes.len());
        if room.is_none() {
            self.pressure.begun.notify_one();
        }
        Bytes::from_owner(Shared { bytes, _room: room })
    }

    /// Whether a read waits for room, or none is left.
    pub(super) fn is_pressed(&self) -> bool {
        self.pressure.waiting.load(Ordering::Relaxed) > 0 || self.permits.available_permits() == 0
    }

    /// Returns once [`is_pressed`](Self::is_pressed) may hold.
    pub(super) async fn pressed(&self) {
        self.pressure.begun.notified().await;
    }

    /// Bytes that are left, in whole KiB.
    #[cfg(test)]
    pub(crate) fn left(&self) -> usize {
        self.permits.available_permits().saturating_mul(UNIT)
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    const KIB: usize = 1024;

    #[test]
    fn shared_bytes_count_once_and_until_the_last_of_them_is_dropped() {
        let pool = Pool::new(100 * KIB);
        let first = pool.share(Bytes::from(vec![0; 10 * KIB]));
        let mut second = first.clone();
        assert_eq!(pool.left(), 90 * KIB);
        drop(first);
        let end = second.split_off(9 * KIB);
        drop(second);
        assert_eq!(pool.left(), 90 * KIB);
        drop(end);
        assert_eq!(pool.left(), 100 * KIB);
    }

    #[test]
    fn shared_bytes_are_sent_where_there_is_no_room_and_small_ones_are_not_counted() {
        let pool = Pool::new(10 * KIB);
        let taken = pool.try_take(9 * KIB).expect("there is room");
        let large = pool.share(Bytes::from(vec![1; 2 * KIB]));
        let small = pool.share(Bytes::from_static(b"small"));
        assert_eq!((large.len(), small.len(), pool.left()), (2 * KIB, 5, KIB));
        drop((taken, large, small));
        assert_eq!(pool.left(), 10 * KIB);
    }

    #[test]
    fn more_than_there_is_takes_everything_and_waits_its_turn() {
        let pool = Pool::new(10 * KIB);
        let all = pool.take(KIB * KIB).now_or_never().expect("it is free");
        assert!(!pool.is_pressed() || pool.left() == 0);
        let mut next = Box::pin(pool.take(KIB));
        assert!((&mut next).now_or_never().is_none());
        assert!(pool.is_pressed());
        drop(all);
        assert!(next.now_or_never().is_some());
        assert!(!pool.is_pressed());
    }
}
