//! Building the component.

use crate::cargo;
use crate::failure::Failure;
use crate::paths;
use crate::run;
use crate::toolchain::{self, TARGET, Toolchain};
use std::path::Path;

/// Largest release component, in bytes.
pub(crate) const MAX_BYTES: u64 = 1_500_000;

/// `cargo xtask component`.
pub(crate) fn command(args: &[String]) -> Result<(), Failure> {
    if let Some(arg) = args.first() {
        return Err(Failure::new(format!("component takes no argument {arg:?}")));
    }
    build()?;
    let path = paths::component();
    let bytes = path.metadata()?.len();
    println!("{} ({bytes} bytes)", path.display());
    Ok(())
}

/// Builds the component to where `spin.toml` names it. Cargo skips what did not change.
pub(crate) fn build() -> Result<(), Failure> {
    let toolchain = toolchain::find()?;
    let mut cargo = cargo::cargo();
    cargo.args([
        "build",
        "--release",
        "--package",
        "durable-streams-edge",
        "--lib",
    ]);
    cargo.args(["--target", TARGET]);
    let (target_dir, name) = match &toolchain {
        Toolchain::Rustup => {
            let dir = paths::root().join("target");
            cargo.arg("--target-dir").arg(&dir);
            (dir, "the installed target")
        }
        Toolchain::Debian(debian) => (debian.apply(&mut cargo)?, "Debian's compiler"),
    };
    run::run(&format!("build the component ({name})"), &mut cargo)?;
    let built = target_dir
        .join(TARGET)
        .join("release/durable_streams_edge.wasm");
    put(&built, &paths::component())
}

/// Copies a file unless the same bytes are there already: its time tells whether to compile again.
fn put(from: &Path, to: &Path) -> Result<(), Failure> {
    if from == to {
        return Ok(());
    }
    let new = std::fs::read(from)?;
    if std::fs::read(to).is_ok_and(|old| old == new) {
        return Ok(());
    }
    if let Some(dir) = to.parent() {
        std::fs::create_dir_all(dir)?;
    }
    // Renamed into place, so that nobody reads half of it.
    let part = to.with_extension("part");
    std::fs::write(&part, new)?;
    std::fs::rename(part, to)?;
    Ok(())
}
