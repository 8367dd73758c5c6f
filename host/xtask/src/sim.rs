//! `cargo xtask sim`: runs the simulation, and builds it first if needed.

use crate::failure::Failure;
use crate::host;
use std::process::Command;

/// The simulation with these arguments.
pub(crate) fn program(args: &[String]) -> Command {
    let mut cargo = host::cargo("run");
    cargo.args([
        "--quiet",
        "--package",
        "durable-streams-sim",
        "--bin",
        "sim",
    ]);
    cargo.arg("--").args(args);
    cargo
}

/// `cargo xtask sim [--seeds N] [--from S] [--show SEED]`.
pub(crate) fn command(args: &[String]) -> Result<(), Failure> {
    match program(args).status()?.success() {
        true => Ok(()),
        false => Err(Failure::new("the simulation failed")),
    }
}
