//! The room that all connections share.

use crate::limits::UNCOUNTED;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Bytes for each permit.
const UNIT: usize = 1024;

/// A number of bytes, granted in the order of the requests.
#[derive(Debug)]
pub(crate) struct Pool {
    permits: Arc<Semaphore>,
    whole: u32,
    pressure: Arc<Pressure>,
}

/// Reads that wait for room in a pool or in one of its parts.
#[derive(Debug, Default)]
struct Pressure {
    waiting: AtomicUsize,
    begun: Notify,
}

/// Reserved bytes of a pool, released on drop.
pub(super) type Taken = OwnedSemaphorePermit;

/// Bytes that several responses share, and their room.
struct Shared {
    bytes: Bytes,
    /// None if there was no room: bytes read for a group are sent without a reservation.
    _room: Option<Taken>,
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Counts a waiting read until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    /// A pool of the given size, in whole KiB.
    pub(crate) fn new(bytes: usize) -> Arc<Self> {
        let whole = units(bytes);
        Arc::new(Self {
            permits: Arc::new(Semaphore::new(whole as usize)),
            whole,
            pressure: Arc::default(),
        })
    }

    /// A part of this pool, with its own limit. Callers reserve bytes in both.
    pub(super) fn part(&self, bytes: usize) -> Arc<Self> {
        let whole = units(bytes).min(self.whole);
        Arc::new(Self {
            permits: Arc::new(Semaphore::new(whole as usize)),
            whole,
            pressure: Arc::clone(&self.pressure),
        })
    }

    /// Reserves the bytes, or the whole pool if they are more.
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

    /// Reserves the bytes if they are free now.
    pub(super) fn try_take(&self, bytes: usize) -> Option<Taken> {
        let permits = Arc::clone(&self.permits);
        let taken = permits.try_acquire_many_owned(units(bytes).min(self.whole));
        taken.ok()
    }

    /// Changes the size of `taken`. Returns false, and leaves `taken` unchanged, if the pool has
    /// too little room.
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

    /// The same bytes with one reservation for all responses that send them.
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

    /// Whether a read waits for room, or no room is left.
    pub(super) fn is_pressed(&self) -> bool {
        self.pressure.waiting.load(Ordering::Relaxed) > 0 || self.permits.available_permits() == 0
    }

    /// Returns once [`is_pressed`](Self::is_pressed) may hold.
    pub(super) async fn pressed(&self) {
        self.pressure.begun.notified().await;
    }

    /// Size of the pool, in whole KiB.
    pub(crate) const fn size(&self) -> usize {
        (self.whole as usize).saturating_mul(UNIT)
    }

    /// Free bytes, in whole KiB.
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
    fn a_request_larger_than_the_pool_takes_everything_and_waits_its_turn() {
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
