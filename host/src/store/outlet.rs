//! Output gate for instances that can't report which changes they met.

use super::backend::Store;
use super::settle::{Lost, Settle};
use std::sync::Arc;

/// Output gate of a request with an instance that can't report which changes it met. The output
/// waits for all changes of the store.
pub(crate) struct Outlet {
    store: Arc<dyn Store>,
    losses: u64,
}

impl Outlet {
    /// Opens the gate of a request that begins now.
    #[must_use]
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        let losses = store.losses();
        Self { store, losses }
    }

    /// Waits for every change that the instance may know by now.
    pub(crate) fn settle(&self) -> Settle {
        self.store.settle(self.store.latest_change())
    }

    /// Checks whether output may leave after [`settle`](Self::settle) returned this result. The
    /// instance may know of values that were lost since the request began.
    ///
    /// # Errors
    ///
    /// [`Lost::NotConfirmed`] for every kind of loss, since the lost change may belong to another
    /// request.
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

    /// A durable append got a 507, which says that nothing was applied, because another request's
    /// change found no room.
    #[test]
    fn after_a_full_wait_no_loss_counts_as_nothing_done() {
        let store = Arc::new(HeldStore::default());
        let outlet = Outlet::new(Arc::clone(&store) as Arc<dyn Store>);
        assert_eq!(outlet.check(Ok(())), Ok(()));
        for lost in [Lost::NoSpace, Lost::NotWritten] {
            assert_eq!(outlet.check(Err(lost)), Err(Lost::NotConfirmed));
        }
    }
}
