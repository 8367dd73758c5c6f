//! `cargo xtask bench`.

use crate::failure::Failure;
use crate::host;
use crate::run;

/// Builds what is missing and runs the host's benches with the arguments given.
pub(crate) fn command(args: &[String]) -> Result<(), Failure> {
    host::build()?;
    let mut cargo = host::cargo("bench");
    cargo.args(["--package", "durable-streams-host", "--benches", "--"]);
    run::run("bench", cargo.args(args))
}
