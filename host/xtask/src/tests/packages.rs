//! The packages, made from the host of the quick build.

use super::Options;
use super::suite::cargo_test_with;
use super::tally::Outcome;
use crate::failure::Failure;
use crate::host;
use crate::paths;
use crate::python;
use crate::run;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Variable with the program to make packages of.
const PROGRAM: &str = "DS_TEST_PROGRAM";

/// Makes all packages, then installs and uses them.
pub(super) fn packages(options: &Options) -> Outcome {
    let mut outcome = Outcome::default();
    let provided = python::provide_venv(options.install).map(drop);
    if !outcome.needs(host::build()) || !outcome.needs(provided) {
        return outcome;
    }
    let program = match stripped() {
        Ok(program) => program,
        Err(failure) => {
            outcome.gate(Err(failure));
            return outcome;
        }
    };
    let program = program.to_string_lossy();
    outcome.counted(cargo_test_with(
        "packages, installed into empty directories and used",
        options,
        &["--test", "packages"],
        &[(PROGRAM, &program)],
        &[],
    ));
    outcome
}

/// The host without its debug information, which would make the packages five times larger.
fn stripped() -> Result<PathBuf, Failure> {
    let directory = paths::target().join("stripped");
    std::fs::create_dir_all(&directory)?;
    let program = directory.join("durable-streams");
    strip(&paths::host(), &program).map_err(|failure| {
        failure.by_hand("install binutils, which comes with a C compiler, then repeat the command.")
    })?;
    Ok(program)
}

fn strip(from: &Path, to: &Path) -> Result<(), Failure> {
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(to).arg(from);
    run::run("strip the host", &mut strip)
}
