//! Faults in one call of background work.

use crate::service::core::Core;
use crate::service::env::{Env, StoreError};
use crate::service::fault::Fault;
use crate::service::report;

/// Times in one call that the store may fail before the rest is left to another one: it may take
/// its time to fail.
const FAILURES: u32 = 1;

/// What could not be done in one call, and was left.
#[derive(Default)]
pub(super) struct Left {
    failures: u32,
}

/// Whether something was done. A fault is told, and does not keep the rest from being done: one
/// record that can't be read would end the work on all others.
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
