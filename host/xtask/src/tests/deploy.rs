//! Files with which people run the server elsewhere, and the workflows of GitHub.

use super::Options;
use super::suite::counted;
use super::tally::{Outcome, Tally};
use crate::failure::Failure;
use crate::host;
use crate::node::Scripts;
use crate::paths;
use crate::python;
use std::process::Command;

/// Checks `host/deploy` and `.github/workflows`.
pub(super) fn deploy(options: &Options) -> Outcome {
    let mut outcome = Outcome::default();
    let _ = outcome.needs(host::build())
        && outcome.counted(deployments(options))
        && (options.filter.is_some() || outcome.counted(workflows()));
    outcome
}

/// Renders and validates the files, and starts the host as each of them does.
fn deployments(options: &Options) -> Result<(bool, Tally), Failure> {
    // The script uses the Helm of a package for Node.
    Scripts::install("deploy")?;
    let Some(python) = python::with_packages("deploy", options.install)? else {
        let skipped = Tally {
            skipped: 1,
            ..Tally::default()
        };
        return Ok((true, skipped));
    };
    let mut python = Command::new(python);
    let script = paths::root().join("tests/deploy/run.py");
    python.arg("-B").arg(script).arg(paths::host());
    python.args(&options.filter);
    counted(
        "manifests, the chart, compose files and the unit of systemd",
        &mut python,
        Tally::of_script,
    )
}

fn workflows() -> Result<(bool, Tally), Failure> {
    let mut node = Scripts::install("deploy")?.node("workflows.mjs");
    counted("the workflows of GitHub", &mut node, Tally::of_script)
}
