//! Entries of a request in the costs and the long writes.

use super::costs::Cost;
use super::writes::LongWrite;

/// Entries of a request in the costs and the long writes. Dropped with the request.
#[derive(Debug, Default)]
pub(crate) struct Ticket {
    pub(super) cost: Option<Cost>,
    #[expect(dead_code, reason = "it counts until the request is dropped")]
    pub(super) write: Option<LongWrite>,
}

impl Ticket {
    /// Records the store calls that a step made for the request.
    pub(crate) fn note(&self, calls: u64) {
        if let Some(cost) = &self.cost {
            cost.note(u32::try_from(calls).unwrap_or(u32::MAX));
        }
    }
}
