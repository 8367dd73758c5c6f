//! Limits on the number of concurrent requests to webhooks. One receiver gets only a part of the
//! permits, so a slow receiver does not keep requests to the others waiting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Most concurrent requests.
const ALL: usize = 64;
/// Most concurrent requests to one host and port.
const TO_ONE: usize = 16;

/// The permits for all receivers.
#[derive(Debug)]
pub(crate) struct Permits {
    all: Semaphore,
    /// The receivers that have a permit or wait for one.
    receivers: Mutex<HashMap<Box<str>, Arc<Semaphore>>>,
}

/// A permit, until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    _of_all: Option<SemaphorePermit<'a>>,
    // Dropped before the receiver, as the receiver's drop removes an unused receiver from the map.
    _of_receiver: Option<OwnedSemaphorePermit>,
    _receiver: Receiver<'a>,
}

/// A receiver with a request that has a permit or waits for one.
#[derive(Debug)]
struct Receiver<'a> {
    all: &'a Permits,
    authority: Box<str>,
    permits: Arc<Semaphore>,
}

impl Drop for Receiver<'_> {
    fn drop(&mut self) {
        let mut receivers = self.all.receivers();
        // Two references remain: the map's and this one. More are made only with the map locked.
        if Arc::strong_count(&self.permits) <= 2 {
            receivers.remove(&self.authority);
        }
    }
}

impl Permits {
    pub(crate) fn new() -> Self {
        Self {
            all: Semaphore::new(ALL),
            receivers: Mutex::default(),
        }
    }

    fn receivers(&self) -> MutexGuard<'_, HashMap<Box<str>, Arc<Semaphore>>> {
        self.receivers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn receiver(&self, authority: &str) -> Receiver<'_> {
        let authority = authority.to_ascii_lowercase().into_boxed_str();
        let mut receivers = self.receivers();
        let permits = receivers
            .entry(authority.clone())
            .or_insert_with(|| Arc::new(Semaphore::new(TO_ONE)));
        let permits = Arc::clone(permits);
        drop(receivers);
        Receiver {
            all: self,
            authority,
            permits,
        }
    }

    /// Waits for a permit. A request that waits for its receiver's permit holds no other permit.
    pub(crate) async fn take(&self, authority: &str) -> Permit<'_> {
        let receiver = self.receiver(authority);
        // The semaphores are never closed.
        let of_receiver = Arc::clone(&receiver.permits).acquire_owned().await.ok();
        let of_all = self.all.acquire().await.ok();
        Permit {
            _of_all: of_all,
            _of_receiver: of_receiver,
            _receiver: receiver,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn now<'a>(permits: &'a Permits, authority: &str) -> Option<Permit<'a>> {
        permits.take(authority).now_or_never()
    }

    #[test]
    fn a_slow_receiver_leaves_permits_to_the_others() {
        let permits = Permits::new();
        let mut slow: Vec<_> = (0..ALL)
            .map_while(|_| now(&permits, "slow.example"))
            .collect();
        assert_eq!(slow.len(), TO_ONE);
        assert!(now(&permits, "SLOW.example").is_none());
        assert!(now(&permits, "other.example").is_some());
        slow.pop();
        assert!(now(&permits, "slow.example").is_some());
    }

    #[test]
    fn all_receivers_together_have_no_more_than_all_permits() {
        let permits = Permits::new();
        let taken = (0..).map_while(|host: usize| now(&permits, &format!("{host}.example")));
        assert_eq!(taken.collect::<Vec<_>>().len(), ALL);
    }

    #[test]
    fn unused_receivers_are_forgotten() {
        let permits = Permits::new();
        let taken: Vec<_> = (0..TO_ONE)
            .filter_map(|_| now(&permits, "a.example"))
            .collect();
        // Drops the waiting request.
        assert!(now(&permits, "a.example").is_none());
        assert_eq!(permits.receivers().len(), 1);
        drop(taken);
        assert_eq!(permits.receivers().len(), 0);
    }
}
