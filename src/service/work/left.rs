//! Faults in one call of background work.

use crate::service::core::Core;
use crate::service::env::{Env, StoreError};
use crate::service::fault::Fault;
use crate::service::report;

/// Failures of the store in one call before the rest is left to another call: each failure may take
/// long.
const FAILURES: u32 = 1;

/// Count of the failures in one call.
#[derive(Default)]
pub(super) struct Left {
    failures: u32,
}

/// Returns whether something was done. A fault is logged, and does not stop the rest of the work:
/// otherwise one unreadable record would end the work on all others.
pub(super) fn leave<E: Env>(
    core: &Core<E>,
    left: &mut Left,
    worked: Result<bool, Fault>,
) -> Result<bool, Fault> {
    let Err(fault) = worked else {
        return worked;
    };
    let of_one_record = matches!(
        fault,
        Fault::Corrupt { .. } | Fault::Missing { .. } | Fault::Store(StoreError::Damaged(_))
    );
    if !of_one_record {
        if left.failures >= FAILURES {
            return Err(fault);
        }
        left.failures = left.failures.saturating_add(1);
    }
    report::note_fault(core, &fault);
    Ok(false)
}
