//! A suite in a process of its own, whose output has the counts.

use super::tally::Tally;
use crate::failure::Failure;
use crate::run::{self, Step};
use std::process::Command;

/// Runs a suite. `read` returns the counts that a line of its output states.
pub(super) fn counted(
    description: &str,
    command: &mut Command,
    mut read: impl FnMut(&str) -> Option<Tally>,
) -> Result<(bool, Tally), Failure> {
    let step = Step::begin(description);
    let mut tally = Tally::default();
    let well = run::watch(description, command, |line| {
        if let Some(counts) = read(line) {
            tally += counts;
        }
    })?;
    step.done();
    Ok((well, tally))
}
