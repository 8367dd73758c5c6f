//! The store in an instance's view: the footprint of its steps, and the limits of its writes.

use super::footprint::Footprint;
use crate::store::{ChangeNumber, Seen, Store, StoreError, SwapError};
use bytes::Bytes;
use durable_streams_edge::seam::NOT_RESIDENT;
use std::sync::Arc;

/// Store wrapper between an instance and its host.
pub(crate) struct StoreView {
    store: Arc<dyn Store>,
    /// The store's loss count when the instance began. The instance may hold data that was lost
    /// later.
    losses: u64,
    footprint: Footprint,
    /// Whether reads fail instead of waiting for values that are not in memory.
    hurried: bool,
    /// Calls so far.
    calls: u64,
    /// Calls before the step.
    begun: u64,
}

impl StoreView {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            losses: store.losses(),
            store,
            footprint: Footprint::default(),
            hurried: false,
            calls: 0,
            begun: 0,
        }
    }

    /// Calls, steps and other interactions so far: an instance that makes them is not stuck.
    #[must_use]
    pub(crate) const fn calls(&self) -> u64 {
        self.calls
    }

    /// Whether all labels are one bucket.
    pub(crate) fn ignores_labels(&self) -> bool {
        self.store.ignores_labels()
    }

    /// Begins a step. A hurried step [misses](Footprint::missed) values that are not in memory
    /// instead of waiting for them, until its first write.
    pub(crate) fn begin(&mut self, hurried: bool) {
        self.footprint = Footprint::default();
        self.hurried = hurried;
        self.note_call();
        self.begun = self.calls;
    }

    /// Counts a call.
    pub(crate) const fn note_call(&mut self) {
        self.calls = self.calls.wrapping_add(1);
    }

    /// Ends the step and returns its footprint.
    pub(crate) fn end(&mut self) -> Footprint {
        self.footprint.lost = self.is_stale();
        self.footprint.calls = self.calls.wrapping_sub(self.begun);
        std::mem::take(&mut self.footprint)
    }

    fn is_stale(&self) -> bool {
        self.store.losses() != self.losses
    }

    fn check(&mut self) -> Result<(), StoreError> {
        self.note_call();
        if self.is_stale() {
            return Err(StoreError::lost());
        }
        Ok(())
    }

    fn check_write(&mut self) -> Result<(), StoreError> {
        self.check()?;
        if !self.footprint.missed.is_empty() {
            return Err(not_resident());
        }
        self.hurried = false;
        Ok(())
    }

    /// Change numbers from after a loss would hide the loss of earlier changes.
    fn meet(&mut self, change: ChangeNumber) {
        if !self.is_stale() {
            self.footprint.change = self.footprint.change.max(change);
        }
    }

    /// Records the result of a write. A failed write may have been applied all the same.
    fn meet_write(&mut self, written: Result<ChangeNumber, StoreError>) -> Result<(), StoreError> {
        match written {
            // This instance had seen no loss, so the write came before any loss that its number
            // could hide.
            Ok(change) => self.footprint.change = self.footprint.change.max(change),
            Err(_) => self.meet(self.store.latest_change()),
        }
        written.map(|_| ())
    }

    /// Reads the key for a swap.
    pub(crate) fn get(&mut self, key: &str) -> Result<Seen, StoreError> {
        self.look(key, |store| store.get(key))
    }

    /// Reads the key for a caller that does not swap.
    pub(crate) fn read(&mut self, key: &str) -> Result<Seen, StoreError> {
        self.look(key, |store| store.read(key))
    }

    fn look(
        &mut self,
        key: &str,
        look: impl FnOnce(&dyn Store) -> Result<Seen, StoreError>,
    ) -> Result<Seen, StoreError> {
        self.check()?;
        let seen = match self.hurried {
            false => look(&*self.store)?,
            true => match self.store.get_now(key)? {
                Some(seen) => seen,
                None => {
                    self.footprint.missed.push(key.into());
                    return Err(not_resident());
                }
            },
        };
        self.meet(seen.changed);
        Ok(seen)
    }

    pub(crate) fn exists(&mut self, key: &str) -> Result<bool, StoreError> {
        self.check()?;
        let (exists, changed) = self.store.exists(key)?;
        self.meet(changed);
        Ok(exists)
    }

    pub(crate) fn set(&mut self, key: &str, value: Bytes) -> Result<(), StoreError> {
        self.check_write()?;
        let written = self.store.write_since(self.losses, key, Some(value));
        self.meet_write(written)
    }

    pub(crate) fn delete(&mut self, key: &str) -> Result<(), StoreError> {
        self.check_write()?;
        let written = self.store.write_since(self.losses, key, None);
        self.meet_write(written)
    }

    pub(crate) fn increment(&mut self, key: &str, delta: i64) -> Result<i64, StoreError> {
        self.check_write()?;
        let written = self.store.increment(key, delta);
        let (sum, written) = match written {
            Ok((sum, change)) => (sum, Ok(change)),
            Err(error) => (0, Err(error)),
        };
        self.meet_write(written).map(|()| sum)
    }

    pub(crate) fn swap(
        &mut self,
        key: &str,
        seen: Option<&Seen>,
        value: Bytes,
    ) -> Result<(), SwapError> {
        self.check_write()?;
        let swapped = match seen {
            Some(seen) => self.store.swap_since(self.losses, key, seen, value),
            None => self.store.swap_unseen(key, value),
        };
        let written = match swapped {
            // A failed swap also reveals the state of the key.
            Err(SwapError::Conflict) => {
                self.meet(self.store.last_change(key));
                return Err(SwapError::Conflict);
            }
            Err(SwapError::Store(error)) => Err(error),
            Ok(change) => {
                self.footprint.swapped.get_or_insert(change);
                Ok(change)
            }
        };
        Ok(self.meet_write(written)?)
    }
}

fn not_resident() -> StoreError {
    StoreError::Other(NOT_RESIDENT.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Lost;
    use crate::store::held::HeldStore;

    /// An append was durable, but its step's next write, to the record of a subscription, found no
    /// room. The client's answer said that nothing was applied, and invited a retry.
    #[test]
    fn a_step_whose_first_swap_is_durable_did_something() {
        let store = Arc::new(HeldStore::default());
        let mut keys = StoreView::new(Arc::clone(&store) as Arc<dyn Store>);
        let mut swap = |key| {
            let seen = keys.get(key).expect("memory answers");
            let swapped = keys.swap(key, Some(&seen), Bytes::from_static(b"new"));
            swapped.expect("no other caller writes");
            store.latest_change()
        };
        let (head, subscription) = (swap("head"), swap("subscription"));
        let footprint = keys.end();
        assert_eq!(
            (footprint.swapped, footprint.change),
            (Some(head), subscription)
        );
        let judge = |lost| footprint.judge(&*store, Err(lost));
        store.confirm_to(head);
        store.lose("subscription", "old", Lost::NoSpace);
        assert_eq!(judge(Lost::NoSpace), Err(Lost::NotConfirmed));
    }

    #[test]
    fn a_step_that_lost_its_first_swap_did_nothing() {
        let store = Arc::new(HeldStore::default());
        let mut keys = StoreView::new(Arc::clone(&store) as Arc<dyn Store>);
        let seen = keys.get("head").expect("memory answers");
        let swapped = keys.swap("head", Some(&seen), Bytes::from_static(b"new"));
        swapped.expect("no other caller writes");
        let footprint = keys.end();
        store.lose("head", "old", Lost::NoSpace);
        let judged = footprint.judge(&*store, Err(Lost::NoSpace));
        assert_eq!(judged, Err(Lost::NoSpace));
    }

    /// An append stored its chunk, and the chunk was lost. Then the append lost its swap to a
    /// durable change. The host checked only the higher change number, so the attempt went on. A
    /// head came to refer to a missing chunk.
    #[test]
    fn a_later_change_does_not_hide_a_loss() {
        let store = Arc::new(HeldStore::default());
        let mut keys = StoreView::new(Arc::clone(&store) as Arc<dyn Store>);
        keys.begin(false);
        let seen = keys.get("head").expect("memory answers");
        keys.set("chunk", Bytes::from_static(b"lost"))
            .expect("memory writes");
        let lost = store.latest_change();
        store.lose("head", "durable", Lost::NoSpace);
        let swapped = keys.swap("head", Some(&seen), Bytes::from_static(b"mine"));
        assert!(swapped.is_err(), "it may have seen a lost change");
        let footprint = keys.end();
        assert_eq!((footprint.change, footprint.lost), (lost, true));
        assert_eq!(
            store.settle(footprint.change).known(),
            Some(Err(Lost::NoSpace))
        );
    }
}
