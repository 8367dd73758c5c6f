//! Choice of the toolchain that builds the component.

use crate::cargo;
use crate::debian::{self, Debian};
use crate::failure::Failure;
use crate::run::Step;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// The target of the component.
pub(crate) const TARGET: &str = "wasm32-wasip2";

/// The variable that selects a toolchain.
pub(crate) const CHOICE: &str = "DS_WASM_TOOLCHAIN";

/// How long rustup may try before Debian's packages are used.
const RUSTUP_PATIENCE: Duration = Duration::from_secs(90);

/// A toolchain that can build the component.
#[derive(Debug)]
pub(crate) enum Toolchain {
    /// The toolchain of all native code, with the target installed.
    Rustup,
    /// Debian's compiler, which builds its own standard library for the target.
    Debian(Debian),
}

/// Returns the first that works of these: an installed target, Debian's packages if they were used
/// before, a target added by rustup, Debian's packages.
pub(crate) fn find() -> Result<Toolchain, Failure> {
    match std::env::var(CHOICE).as_deref() {
        Ok("rustup") => return rustup(),
        Ok("debian") => return debian::find_or_install().map(Toolchain::Debian),
        Ok("") | Err(_) => {}
        Ok(other) => {
            return Err(Failure::new(format!(
                "{CHOICE} is {other:?}, expected rustup or debian"
            )));
        }
    }
    if target_is_installed() {
        return Ok(Toolchain::Rustup);
    }
    if debian::was_used()
        && let Some(debian) = debian::find()
    {
        return Ok(Toolchain::Debian(debian));
    }
    rustup().or_else(|failure| {
        println!("    {failure}");
        debian::find_or_install().map(Toolchain::Debian)
    })
}

fn rustup() -> Result<Toolchain, Failure> {
    if target_is_installed() || rustup_adds_target() {
        return Ok(Toolchain::Rustup);
    }
    Err(Failure::new(format!("rustup can't add {TARGET} here")))
}

fn target_is_installed() -> bool {
    cargo::rustc(
        Path::new("rustc"),
        &["--print", "target-libdir", "--target", TARGET],
    )
    .is_some_and(|dir| Path::new(&dir).is_dir())
}

fn rustup_adds_target() -> bool {
    let step = Step::begin(format!("rustup target add {TARGET}"));
    let child = Command::new("rustup")
        .args(["target", "add", TARGET])
        .env("RUSTUP_MAX_RETRIES", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn();
    let added = child.is_ok_and(|child| ends_well_within(child, RUSTUP_PATIENCE));
    if added && target_is_installed() {
        step.done();
        return true;
    }
    false
}

fn ends_well_within(mut child: Child, patience: Duration) -> bool {
    // `Child` has no wait with a timeout, so a thread waits.
    let (sender, receiver) = mpsc::channel();
    let id = child.id();
    let waiter = std::thread::spawn(move || {
        let ended = child.wait().is_ok_and(|status| status.success());
        // The receiver is gone after the timeout.
        let _ = sender.send(ended);
    });
    match receiver.recv_timeout(patience) {
        Ok(ended) => {
            let _ = waiter.join();
            ended
        }
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            let _ = Command::new("kill").arg(id.to_string()).status();
            false
        }
    }
}
