//! Durability of changes: pending, durable or lost.

use super::change::ChangeNumber;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::sync::oneshot;

/// Number of ranges of lost changes kept in memory. A waiter polls within the time of a step. Not
/// as many further ranges can be lost by then, since each takes a write to the disk.
const RANGES: usize = 1024;

/// Reason why a change was lost. Changes built on it are lost with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// There was no room for the change. It will not come back.
    #[error("the disk is full")]
    NoSpace,
    /// The change could not be written. It will not come back.
    #[error("the disk could not be written")]
    NotWritten,
    /// The disk did not confirm the write. The change may be there after a restart.
    #[error("the disk did not confirm a write")]
    NotConfirmed,
}

/// Future that is ready once a change is as durable as the store makes it, or lost.
#[derive(Debug)]
#[must_use = "only an awaited result may leave the host"]
pub struct Settle(State);

#[derive(Debug)]
enum State {
    Known(Result<(), Lost>),
    Waits(oneshot::Receiver<Result<(), Lost>>),
}

impl Settle {
    /// A future for a durable change.
    pub const fn done() -> Self {
        Self(State::Known(Ok(())))
    }

    /// The outcome, if it is known already.
    #[must_use]
    pub const fn known(&self) -> Option<Result<(), Lost>> {
        match &self.0 {
            State::Known(outcome) => Some(*outcome),
            State::Waits(_) => None,
        }
    }
}

impl Future for Settle {
    type Output = Result<(), Lost>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Known(outcome) => Poll::Ready(*outcome),
            State::Waits(waits) => {
                let outcome = ready!(Pin::new(waits).poll(context));
                // A dropped store confirms nothing.
                Poll::Ready(outcome.unwrap_or(Err(Lost::NotConfirmed)))
            }
        }
    }
}

/// Progress of a store's changes towards durability, and the callers that wait for it.
#[derive(Debug, Default)]
pub struct Settling {
    /// All changes up to this number are durable, as long as no loss was ever counted.
    durable: AtomicU64,
    /// Number of losses so far.
    losses: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// All changes up to this number are durable or lost.
    settled: ChangeNumber,
    /// Ranges of lost changes, oldest first: after the first number, up to the second.
    lost: VecDeque<(ChangeNumber, ChangeNumber, Lost)>,
    waiters: Vec<(ChangeNumber, oneshot::Sender<Result<(), Lost>>)>,
}

impl Settling {
    /// Begins with all changes up to `settled` durable, and no waiters.
    #[must_use]
    pub fn new(settled: ChangeNumber) -> Self {
        let settling = Self::default();
        settling.durable.store(settled.get(), Ordering::SeqCst);
        settling.inner().settled = settled;
        settling
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`Store::settle`](super::Store::settle).
    pub fn settle(&self, change: ChangeNumber) -> Settle {
        // The order matters: if `losses` is still 0 after this load, the number includes no lost
        // change.
        let durable = change.get() <= self.durable.load(Ordering::SeqCst);
        if durable && self.losses() == 0 {
            return Settle::done();
        }
        let mut inner = self.inner();
        if change > inner.settled {
            let (sender, waits) = oneshot::channel();
            inner.waiters.push((change, sender));
            return Settle(State::Waits(waits));
        }
        let mut lost = inner.lost.iter().rev();
        let range = lost.find(|(after, to, _)| *after < change && change <= *to);
        Settle(State::Known(match range {
            Some((_, _, lost)) => Err(*lost),
            None => Ok(()),
        }))
    }

    /// See [`Store::losses`](super::Store::losses).
    pub fn losses(&self) -> u64 {
        self.losses.load(Ordering::SeqCst)
    }

    /// Marks every change up to `change` that was not lost as durable.
    pub fn confirm(&self, change: ChangeNumber) {
        let mut inner = self.inner();
        inner.settled = inner.settled.max(change);
        self.durable.store(inner.settled.get(), Ordering::SeqCst);
        inner.notify(Ok(()));
    }

    /// Marks every unsettled change up to `change` as lost. The caller drops the values first.
    pub fn lose(&self, change: ChangeNumber, lost: Lost) {
        let mut inner = self.inner();
        if change <= inner.settled {
            return;
        }
        let after = std::mem::replace(&mut inner.settled, change);
        match inner.lost.back_mut() {
            Some((_, to, why)) if *to == after && *why == lost => *to = change,
            _ => inner.lost.push_back((after, change, lost)),
        }
        if inner.lost.len() > RANGES {
            inner.lost.pop_front();
        }
        self.durable.store(change.get(), Ordering::SeqCst);
        inner.notify(Err(lost));
    }

    /// Counts a loss. The caller counts before it drops the values, so that a later reader can
    /// detect the loss.
    pub fn count_loss(&self) {
        self.losses.fetch_add(1, Ordering::SeqCst);
    }
}

impl Inner {
    fn notify(&mut self, outcome: Result<(), Lost>) {
        let settled = self.settled;
        let ready = self
            .waiters
            .extract_if(.., |(change, _)| *change <= settled);
        let ready: Vec<_> = ready.collect();
        // Notify the oldest waiter last. A task that awaits its changes in order is then woken
        // once, and finds all of them ready.
        for (_, waiter) in ready.into_iter().rev() {
            // The receiver may be gone, since clients come and go.
            let _ = waiter.send(outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    const fn number(number: u64) -> ChangeNumber {
        ChangeNumber::new(number)
    }

    #[test]
    fn a_change_waits_until_it_is_confirmed() {
        let settling = Settling::new(number(5));
        assert_eq!(settling.settle(number(5)).known(), Some(Ok(())));
        let mut six = settling.settle(number(6));
        let mut seven = settling.settle(number(7));
        assert_eq!(six.known(), None);
        settling.confirm(number(6));
        assert_eq!((&mut six).now_or_never(), Some(Ok(())));
        assert_eq!((&mut seven).now_or_never(), None);
        settling.confirm(number(9));
        assert_eq!((&mut seven).now_or_never(), Some(Ok(())));
    }

    #[test]
    fn lost_changes_stay_lost_when_later_ones_are_durable() {
        let settling = Settling::new(number(5));
        let waits = settling.settle(number(8));
        settling.count_loss();
        settling.lose(number(8), Lost::NoSpace);
        settling.confirm(number(10));
        assert_eq!(waits.now_or_never(), Some(Err(Lost::NoSpace)));
        let known = |change| settling.settle(number(change)).known();
        assert_eq!(known(5), Some(Ok(())));
        assert_eq!(known(6), Some(Err(Lost::NoSpace)));
        assert_eq!(known(8), Some(Err(Lost::NoSpace)));
        assert_eq!(known(9), Some(Ok(())));
        assert_eq!(known(11), None);
        assert_eq!(settling.losses(), 1);
    }

    #[test]
    fn a_disk_that_stays_full_takes_no_room() {
        let settling = Settling::default();
        for change in 1..5000 {
            settling.lose(number(change), Lost::NoSpace);
        }
        assert_eq!(settling.inner().lost.len(), 1);
    }

    #[test]
    fn a_store_that_is_gone_confirms_nothing() {
        let settling = Settling::default();
        let waits = settling.settle(number(1));
        drop(settling);
        assert_eq!(waits.now_or_never(), Some(Err(Lost::NotConfirmed)));
    }
}
