//! Cargo, called from a program started by cargo.

use crate::paths;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The quick profile of native code. `serve` and `test` share it, so that Wasmtime is compiled once.
/// No command may set RUSTFLAGS, which would compile Wasmtime again.
pub(crate) const HOST_PROFILE: &str = "host";

/// The profile of the program in packages, and of the measured host.
pub(crate) const DIST_PROFILE: &str = "dist";

/// Cargo in the root of the repository, without the variables that `cargo run` set for this
/// program. Some build scripts read such variables, and would run again.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(paths::root());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(describes_this_package) {
            cargo.env_remove(name);
        }
    }
    cargo.env_remove("CARGO");
    if let Some(dirs) = std::env::var_os("LD_LIBRARY_PATH") {
        match library_dirs_of_others(&dirs) {
            Some(dirs) => cargo.env("LD_LIBRARY_PATH", dirs),
            None => cargo.env_remove("LD_LIBRARY_PATH"),
        };
    }
    cargo
}

fn describes_this_package(variable: &str) -> bool {
    const PREFIXES: [&str; 2] = ["CARGO_PKG_", "CARGO_MANIFEST_"];
    const NAMES: [&str; 3] = [
        "CARGO_BIN_NAME",
        "CARGO_CRATE_NAME",
        "CARGO_PRIMARY_PACKAGE",
    ];
    PREFIXES.iter().any(|prefix| variable.starts_with(prefix)) || NAMES.contains(&variable)
}

/// Removes the directories that `cargo run` added: its own and the toolchain's. Another compiler
/// must not load libraries from there.
fn library_dirs_of_others(dirs: &OsString) -> Option<OsString> {
    let target = paths::target();
    let sysroot = sysroot();
    let others = std::env::split_paths(dirs)
        .filter(|dir| !dir.starts_with(&target))
        .filter(|dir| !sysroot.as_ref().is_some_and(|root| dir.starts_with(root)))
        .collect::<Vec<_>>();
    if others.is_empty() {
        return None;
    }
    std::env::join_paths(others).ok()
}

/// The trimmed standard output of `rustc`, if it succeeds.
pub(crate) fn rustc(rustc: &Path, args: &[&str]) -> Option<String> {
    let out = Command::new(rustc)
        .args(args)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(out.stdout).ok()?;
    out.status.success().then(|| text.trim().to_owned())
}

/// The directory of the toolchain that builds all native code.
pub(crate) fn sysroot() -> Option<PathBuf> {
    rustc(Path::new("rustc"), &["--print", "sysroot"]).map(PathBuf::from)
}
