//! What leaves the host on behalf of an instance that can't be asked what it met.

use super::backend::Store;
use super::settle::{Lost, Settle};
use std::sync::Arc;

/// What leaves a request whose instance can't be asked what it met: it waits for everything.
pub(crate) struct Outlet {
    store: Arc<dyn Store>,
    losses: u64,
}

impl Outlet {
    /// For a request that begins now.
    #[must_use]
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        let losses = store.losses();
        Self { store, losses }
    }

    /// Whatever the instance knows by now settles.
    pub(crate) fn settle(&self) -> Settle {
        self.store.settle(self.store.latest_change())
    }

    /// Whether something may leave for which [`settle`](Self::settle) came to this. What was lost
    /// since the request began may be known to its instance.
    ///
    /// # Errors
    ///
    /// [`Lost::NotConfirmed`], whatever was lost: it may have been another request's change.
    pub(crate) fn check(&self, settled: Result<(), Lost>) -> Result<(), Lost> {
        match settled.is_ok() && self.store.losses() == self.losses {
            true => Ok(()),
            false => Err(Lost::NotConfirmed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::held::HeldStore;

    /// A durable append was answered 507, with nothing applied, since another's change found no
    /// room.
    #[test]
    fn of_a_request_that_waits_for_everything_no_loss_says_that_nothing_was_done() {
        let store = Arc::new(HeldStore::default());
        let outlet = Outlet::new(Arc::clone(&store) as Arc<dyn Store>);
        assert_eq!(outlet.check(Ok(())), Ok(()));
        for lost in [Lost::NoSpace, Lost::NotWritten] {
            assert_eq!(outlet.check(Err(lost)), Err(Lost::NotConfirmed));
        }
    }
}
