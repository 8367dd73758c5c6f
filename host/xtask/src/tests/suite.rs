//! Suites in processes of their own, whose output has the counts.

use super::Options;
use super::tally::{CargoOutput, Tally};
use crate::failure::Failure;
use crate::host;
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

/// Runs tests of the whole workspace, so that every tier builds each dependency with the same features.
pub(super) fn cargo_test(
    description: &str,
    options: &Options,
    targets: &[&str],
    environment: &[(&str, &str)],
) -> Result<(bool, Tally), Failure> {
    cargo_test_with(description, options, targets, environment, &[])
}

/// Like [`cargo_test`], with flags for the test program.
pub(super) fn cargo_test_with(
    description: &str,
    options: &Options,
    targets: &[&str],
    environment: &[(&str, &str)],
    flags: &[&str],
) -> Result<(bool, Tally), Failure> {
    let mut cargo = host::cargo("test");
    cargo.args(["--workspace", "--no-fail-fast"]).args(targets);
    // Tests that pass print skips and measured figures.
    cargo.args(["--", "--show-output"]).args(flags);
    cargo.args(&options.filter);
    cargo.envs(environment.iter().copied());
    let mut output = CargoOutput::default();
    counted(description, &mut cargo, |line| output.read(line))
}
