//! A Python with the packages of a directory of tests, in a virtual environment below `target`.

use crate::debian;
use crate::failure::Failure;
use crate::paths;
use crate::run;
use crate::services::is_ci;
use std::path::PathBuf;
use std::process::Command;

/// Returns a Python with the packages of `tests/NAME/requirements.txt`. Returns none if Python or its
/// `venv` is missing and `install` does not allow installing it.
///
/// # Errors
///
/// Packages can't be installed.
pub(crate) fn with_packages(name: &str, install: bool) -> Result<Option<PathBuf>, Failure> {
    let requirements = paths::root()
        .join("tests")
        .join(name)
        .join("requirements.txt");
    let wanted = std::fs::read(&requirements)?;
    let environment = paths::target().join(format!("python-{name}"));
    let python = environment.join("bin/python");
    let stamp = environment.join("installed-requirements.txt");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(Some(python));
    }
    let by_hand = "install Python 3 with venv (on Debian, as root: apt-get update && apt-get install \
                   --no-install-recommends python3-venv), then repeat the command.";
    if !has_venv() {
        if !install && !is_ci() {
            println!("    skipped: the Python examples need Python 3 with venv: {by_hand}");
            return Ok(None);
        }
        debian::install(
            &["python3-venv"],
            "There is no Python 3 with venv.",
            by_hand,
        )?;
    }
    let mut create = Command::new("python3");
    create.args(["-m", "venv"]).arg(&environment);
    run::run("make a virtual environment for Python", &mut create)?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--requirement"]);
    pip.arg(&requirements);
    run::run(&format!("pip install for tests/{name}"), &mut pip)
        .map_err(|failure| failure.by_hand(by_hand))?;
    std::fs::write(stamp, wanted)?;
    Ok(Some(python))
}

fn has_venv() -> bool {
    let mut python = Command::new("python3");
    let out = python.args(["-c", "import venv, ensurepip"]).output();
    out.is_ok_and(|out| out.status.success())
}
