//! A Python with the packages of a directory, in a virtual environment below `target`.

use crate::debian;
use crate::failure::Failure;
use crate::paths;
use crate::run;
use crate::services::is_ci;
use std::path::PathBuf;
use std::process::Command;

/// Instruction for a machine without Python or its `venv`.
pub(crate) const BY_HAND: &str = "install Python 3 with venv (on Debian, as root: apt-get update && apt-get install \
     --no-install-recommends python3-venv), then repeat the command.";

/// Returns a Python with the packages of `tests/NAME/requirements.txt`. Returns none, and prints the
/// reason, if Python or its `venv` is missing and `install` does not allow installing it.
///
/// # Errors
///
/// Packages can't be installed.
pub(crate) fn with_packages(name: &str, install: bool) -> Result<Option<PathBuf>, Failure> {
    let python = with_requirements(&format!("tests/{name}"), install)?;
    if python.is_none() {
        println!("    skipped: tests/{name} needs Python 3 with venv: {BY_HAND}");
    }
    Ok(python)
}

/// Returns a Python with the packages of `DIRECTORY/requirements.txt`, in an environment of its own.
/// Returns none if Python or its `venv` is missing and `install` does not allow installing it.
///
/// # Errors
///
/// Packages can't be installed.
pub(crate) fn with_requirements(
    directory: &str,
    install: bool,
) -> Result<Option<PathBuf>, Failure> {
    let requirements = paths::root().join(directory).join("requirements.txt");
    let wanted = std::fs::read(&requirements)?;
    let name = directory.rsplit('/').next().unwrap_or(directory);
    let environment = paths::target().join(format!("python-{name}"));
    let python = environment.join("bin/python");
    let stamp = environment.join("installed-requirements.txt");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(Some(python));
    }
    if !provide_venv(install)? {
        return Ok(None);
    }
    let mut create = Command::new("python3");
    create.args(["-m", "venv"]).arg(&environment);
    run::run("make a virtual environment for Python", &mut create)?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--requirement"]);
    pip.arg(&requirements);
    run::run(&format!("pip install for {directory}"), &mut pip)
        .map_err(|failure| failure.by_hand(BY_HAND))?;
    std::fs::write(stamp, wanted)?;
    Ok(Some(python))
}

/// Makes sure that there is a Python with `venv`. Returns false if it is missing and `install` does not
/// allow installing it.
///
/// # Errors
///
/// Debian's package can't be installed.
pub(crate) fn provide_venv(install: bool) -> Result<bool, Failure> {
    if has_venv() {
        return Ok(true);
    }
    if !install && !is_ci() {
        return Ok(false);
    }
    debian::install(
        &["python3-venv"],
        "There is no Python 3 with venv.",
        BY_HAND,
    )?;
    Ok(true)
}

fn has_venv() -> bool {
    let mut python = Command::new("python3");
    let out = python.args(["-c", "import venv, ensurepip"]).output();
    out.is_ok_and(|out| out.status.success())
}
