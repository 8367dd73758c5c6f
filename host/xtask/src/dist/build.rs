//! Build of the program that is published: fat LTO, for glibc 2.17, with the component inside it compiled
//! for every processor of the family.
//!
//! The component is compiled for the processor by the program of the quick build, which must run here. So
//! each machine builds for its own family of processors.

use crate::cargo::{self, DIST_PROFILE};
use crate::component::Build;
use crate::failure::Failure;
use crate::host;
use crate::paths;
use crate::python;
use crate::run;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Directory of `requirements.txt` with zig and cargo-zigbuild.
const TOOLS: &str = "host/dist";
/// Oldest glibc that the program runs on: RHEL 7, and `manylinux2014` of Python.
const GLIBC: &str = "2.17";

/// Builds the program and returns its path.
pub(super) fn program(install: bool) -> Result<PathBuf, Failure> {
    let bin = tools(install)?;
    let directory = paths::dist_build();
    host::build()?;
    std::fs::create_dir_all(&directory)?;
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut cargo = cargo::cargo();
    cargo.args(["zigbuild", "--locked", "--profile", DIST_PROFILE]);
    cargo.args(["--package", "durable-streams-host", "--bins"]);
    cargo.args(["--target", &format!("{target}.{GLIBC}")]);
    cargo.arg("--target-dir").arg(&directory);
    cargo.env("PATH", path_with(&bin)?);
    cargo.env("CARGO_ZIGBUILD_CACHE_DIR", directory.join("zigbuild"));
    if std::env::consts::ARCH == "aarch64" {
        // The allocator then works with pages of up to 64 KiB, which some arm64 kernels have.
        cargo.env("JEMALLOC_SYS_WITH_LG_PAGE", "16");
    }
    for build in Build::ALL {
        let compiled = directory.join(build.file_name()).with_extension("cwasm");
        host::precompile(build, &compiled, &["--portable"])?;
        cargo.env(host::embed(build), compiled);
    }
    let description = "build the program that is published (fat LTO, ten to twenty minutes)";
    run::run(description, &mut cargo)?;
    let built = directory.join(target).join(DIST_PROFILE);
    Ok(built.join("durable-streams"))
}

/// Installs zig and cargo-zigbuild below `target`, and returns the directory of the programs.
fn tools(install: bool) -> Result<PathBuf, Failure> {
    let python = python::with_requirements(TOOLS, install)?;
    let bin = python.as_deref().and_then(Path::parent);
    bin.map(Path::to_owned).ok_or_else(|| {
        Failure::new(
            "the build for glibc 2.17 needs zig and cargo-zigbuild, which are installed below target \
             with Python's pip, and there is no Python 3 with venv",
        )
        .by_hand(format!("{} Or repeat it with --install.", python::BY_HAND))
    })
}

fn path_with(first: &Path) -> Result<OsString, Failure> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::iter::once(first.to_owned()).chain(std::env::split_paths(&path));
    std::env::join_paths(dirs).map_err(|error| Failure::new(error.to_string()))
}
