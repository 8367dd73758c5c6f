//! `cargo xtask serve`.

use crate::failure::Failure;
use crate::host;
use crate::paths;
use std::process::Command;

/// Builds missing parts and replaces this process by the host, with the given flags. For `--help`
/// any existing host will do.
pub(crate) fn command(flags: &[String]) -> Result<(), Failure> {
    let asks = flags.iter().any(|flag| matches!(&**flag, "--help" | "-h"));
    if !(asks && paths::host().is_file()) {
        host::build()?;
    }
    let mut command = host::program();
    command.arg("serve").args(flags);
    Err(become_process(&mut command))
}

/// Signals then go to the host itself. Returns only on failure.
#[cfg(unix)]
fn become_process(command: &mut Command) -> Failure {
    std::os::unix::process::CommandExt::exec(command).into()
}

#[cfg(not(unix))]
fn become_process(command: &mut Command) -> Failure {
    match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => error.into(),
    }
}
