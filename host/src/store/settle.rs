//! What becomes of changes that are not durable yet.

use super::change::ChangeNumber;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::sync::oneshot;

/// Ranges of lost changes that are remembered. Who waits asks within the time of a step; by then
/// not as many further ranges can have been lost, since each takes a write to the disk.
const RANGES: usize = 1024;

/// Why a change is not there any more. Changes that were built on it went with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// There was no room for it. It will not come back.
    #[error("the disk is full")]
    NoSpace,
    /// It could not be written. It will not come back.
    #[error("the disk could not be written")]
    NotWritten,
    /// The disk did not say that it keeps it. It may be there after a restart.
    #[error("the disk did not confirm a write")]
    NotConfirmed,
}

/// Ready when a change is as durable as it gets, or lost.
#[derive(Debug)]
#[must_use = "what is not awaited may not leave the host"]
pub struct Settle(State);

#[derive(Debug)]
enum State {
    Known(Result<(), Lost>),
    Waits(oneshot::Receiver<Result<(), Lost>>),
}

impl Settle {
    /// A change that is durable.
    pub const fn done() -> Self {
        Self(State::Known(Ok(())))
    }

    /// What is known already.
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
                // A store that is gone confirms nothing.
                Poll::Ready(outcome.unwrap_or(Err(Lost::NotConfirmed)))
            }
        }
    }
}

/// How far a store has settled, and who waits for more of it.
#[derive(Debug, Default)]
pub struct Settling {
    /// Everything up to here was durable when none was ever lost.
    durable: AtomicU64,
    /// Times that changes were lost.
    losses: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Everything up to here is durable or lost.
    settled: ChangeNumber,
    /// What was lost, oldest first: after the first number, up to the second.
    lost: VecDeque<(ChangeNumber, ChangeNumber, Lost)>,
    waiters: Vec<(ChangeNumber, oneshot::Sender<Result<(), Lost>>)>,
}

impl Settling {
    /// All changes up to `settled` are durable, nobody waits.
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
        // In this order: who sees that none was lost sees a number that no loss was counted into.
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

    /// Everything up to `change` that was not lost is durable.
    pub fn confirm(&self, change: ChangeNumber) {
        let mut inner = self.inner();
        inner.settled = inner.settled.max(change);
        self.durable.store(inner.settled.get(), Ordering::SeqCst);
        inner.tell(Ok(()));
    }

    /// Everything that was not settled is lost, up to `change`. Called after the values are gone.
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
        inner.tell(Err(lost));
    }

    /// Counts a loss, before its values are dropped: who reads them afterwards may know.
    pub fn count_loss(&self) {
        self.losses.fetch_add(1, Ordering::SeqCst);
    }
}

impl Inner {
    fn tell(&mut self, outcome: Result<(), Lost>) {
        let settled = self.settled;
        let told = self
            .waiters
            .extract_if(.., |(change, _)| *change <= settled);
        let told: Vec<_> = told.collect();
        // The oldest last: who waits for them in their order is woken once, and finds them all.
        for (_, waiter) in told.into_iter().rev() {
            // Clients come and go.
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
