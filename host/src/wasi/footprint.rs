//! The footprint of a step in the store.

use crate::store::{ChangeNumber, Lost, Store};

/// What one step read and wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Footprint {
    /// The highest number of a change that was read or written: nothing that the step says may
    /// leave the host before that has settled.
    pub change: ChangeNumber,
    /// The lowest number of a swap of the step: if that one is durable, the step did something,
    /// whatever became of the rest.
    pub swapped: Option<ChangeNumber>,
    /// Keys that are to be loaded. If there are any, the step changed nothing, and is to be done
    /// again instead of what it says.
    pub missed: Vec<Box<str>>,
    /// Changes were lost since the instance began. Whatever the number says, the step may have been
    /// built on them: it may have met one of these and then a later one that is durable.
    pub lost: bool,
    /// Calls of the store: a measure of the step's length that does not depend on the machine.
    pub calls: u64,
}

impl Footprint {
    /// What is known of the step, where this became of the changes up to [`change`](Self::change).
    ///
    /// # Errors
    ///
    /// [`Lost::NotConfirmed`] where a part of the step may have been done, else why none was.
    pub(crate) fn judge(&self, store: &dyn Store, settled: Result<(), Lost>) -> Result<(), Lost> {
        // A loss settles all that was before it.
        let is_kept = |change| !matches!(store.settle(change).known(), Some(Err(_)));
        match settled {
            Ok(()) if self.lost => Err(Lost::NotConfirmed),
            Err(_) if self.swapped.is_some_and(is_kept) => Err(Lost::NotConfirmed),
            settled => settled,
        }
    }
}
