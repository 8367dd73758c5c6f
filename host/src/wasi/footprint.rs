//! Footprint of a step in the store.

use crate::store::{ChangeNumber, Lost, Store};

/// Reads and writes of one step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Footprint {
    /// Highest number of a change that the step read or wrote. No output of the step may leave the
    /// host before that change has settled.
    pub change: ChangeNumber,
    /// Lowest number of a swap of the step. If that swap is durable, the step had an effect, even
    /// if the rest was lost.
    pub swapped: Option<ChangeNumber>,
    /// StoreView to load. If there are any, the step changed nothing, and the host repeats it instead of
    /// using its output.
    pub missed: Vec<Box<str>>,
    /// Whether changes were lost since the instance began. The step may depend on lost changes even
    /// if `change` settles: it may have read a lost change and then a later durable one.
    pub lost: bool,
    /// Store calls: a measure of the step's length that does not depend on the machine.
    pub calls: u64,
}

impl Footprint {
    /// Judges the step after the changes up to [`change`](Self::change) settled with this result.
    ///
    /// # Errors
    ///
    /// [`Lost::NotConfirmed`] if a part of the step may have been applied, else the reason why none
    /// was.
    pub(crate) fn judge(&self, store: &dyn Store, settled: Result<(), Lost>) -> Result<(), Lost> {
        // A loss settles all changes before it.
        let is_kept = |change| !matches!(store.settle(change).known(), Some(Err(_)));
        match settled {
            Ok(()) if self.lost => Err(Lost::NotConfirmed),
            Err(_) if self.swapped.is_some_and(is_kept) => Err(Lost::NotConfirmed),
            settled => settled,
        }
    }
}
