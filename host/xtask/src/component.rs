//! The build of the component.

use crate::cargo;
use crate::failure::Failure;
use crate::paths;
use crate::run;
use crate::toolchain::{self, TARGET, Toolchain};
use std::path::{Path, PathBuf};

/// Size limit of the release component, in bytes.
pub(crate) const MAX_BYTES: u64 = 1_500_000;

/// The builds of the component, selected by features of its package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    /// For `wasi:http` 0.2, which every released Spin supports. `spin.toml` names this build.
    P2,
    /// For `wasi:http` 0.3 and the exchange of our own host.
    P3,
}

impl Build {
    pub(crate) const ALL: [Self; 2] = [Self::P2, Self::P3];

    /// The version of WASI that the build supports.
    pub(crate) const fn wasi(self) -> &'static str {
        match self {
            Self::P2 => "WASI 0.2",
            Self::P3 => "WASI 0.3",
        }
    }

    /// The name of the build's files, without an extension.
    pub(crate) const fn file_name(self) -> &'static str {
        match self {
            Self::P2 => "durable_streams_edge",
            Self::P3 => "durable_streams_edge_p3",
        }
    }

    /// Cargo's arguments for this build.
    pub(crate) const fn features(self) -> &'static [&'static str] {
        match self {
            Self::P2 => &[],
            Self::P3 => &["--no-default-features", "--features", "p3"],
        }
    }

    /// The build's target directory. With a common directory each build would replace the other's
    /// file, and Cargo would rebuild both every time.
    pub(crate) fn target_dir(self) -> PathBuf {
        let target = paths::root().join("target");
        match self {
            Self::P2 => target,
            Self::P3 => target.join("p3"),
        }
    }
}

/// `cargo xtask component`.
pub(crate) fn command(args: &[String]) -> Result<(), Failure> {
    if let Some(arg) = args.first() {
        return Err(Failure::new(format!("component takes no argument {arg:?}")));
    }
    build()?;
    for build in Build::ALL {
        let path = paths::component(build);
        let bytes = path.metadata()?.len();
        println!("{} ({}, {bytes} bytes)", path.display(), build.wasi());
    }
    Ok(())
}

/// Builds both variants of the component, at the paths in the manifests. Cargo skips unchanged
/// ones.
pub(crate) fn build() -> Result<(), Failure> {
    let toolchain = toolchain::find()?;
    Build::ALL
        .into_iter()
        .try_for_each(|build| build_one(build, &toolchain))
}

fn build_one(build: Build, toolchain: &Toolchain) -> Result<(), Failure> {
    let mut cargo = cargo::cargo();
    cargo.args([
        "build",
        "--release",
        "--package",
        "durable-streams-edge",
        "--lib",
    ]);
    cargo.args(build.features()).args(["--target", TARGET]);
    let (target_dir, name) = match toolchain {
        Toolchain::Rustup => (build.target_dir(), "the installed target"),
        Toolchain::Debian(debian) => (debian.apply(&mut cargo, build)?, "Debian's compiler"),
    };
    cargo.arg("--target-dir").arg(&target_dir);
    let description = format!("build the component for {} ({name})", build.wasi());
    run::run(&description, &mut cargo)?;
    let built = target_dir
        .join(TARGET)
        .join("release/durable_streams_edge.wasm");
    put(&built, &paths::component(build))
}

/// Copies a file unless the target has the same bytes. An unchanged modification time avoids
/// another compilation.
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
    // Renamed into place, so that no reader finds a partial file.
    let part = to.with_extension("part");
    std::fs::write(&part, new)?;
    std::fs::rename(part, to)?;
    Ok(())
}
