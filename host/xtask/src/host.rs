//! The build of the host with the component embedded.

use crate::cargo::{self, DIST_PROFILE, HOST_PROFILE};
use crate::component::{self, Build};
use crate::failure::Failure;
use crate::paths;
use crate::run;
use crate::toolchain;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable that passes a precompiled component to the host's build.
pub(crate) const fn embed(build: Build) -> &'static str {
    match build {
        Build::P2 => "DS_EMBED_COMPONENT_P2",
        Build::P3 => "DS_EMBED_COMPONENT_P3",
    }
}

/// Cargo for the native packages, with the precompiled components that exist. A change of the
/// variables would build the host again. Without a precompiled component the placeholder in
/// `.cargo/config.toml` applies.
pub(crate) fn cargo(subcommand: &str) -> Command {
    cargo_with(subcommand, HOST_PROFILE, &paths::target())
}

fn cargo_with(subcommand: &str, profile: &str, directory: &Path) -> Command {
    let mut cargo = cargo::cargo();
    cargo.args([subcommand, "--profile", profile, "--target-dir"]);
    cargo.arg(directory);
    for build in Build::ALL {
        let precompiled = paths::precompiled(build);
        if precompiled.is_file() {
            cargo.env(embed(build), precompiled);
        }
    }
    cargo
}

/// The host's program, without the variables of the build.
pub(crate) fn program() -> Command {
    program_at(&paths::host())
}

/// The host's program at this path, without the variables of the build.
pub(crate) fn program_at(path: &Path) -> Command {
    let mut program = Command::new(path);
    for build in Build::ALL {
        program.env_remove(embed(build));
    }
    program.env_remove(toolchain::CHOICE);
    program
}

/// `cargo xtask build`.
pub(crate) fn command(args: &[String]) -> Result<(), Failure> {
    if let Some(arg) = args.first() {
        return Err(Failure::new(format!("build takes no argument {arg:?}")));
    }
    build()?;
    println!("{}", paths::host().display());
    Ok(())
}

/// Builds the component and the host. Builds the host again if the component to embed changed.
pub(crate) fn build() -> Result<(), Failure> {
    check_tools()?;
    component::build()?;
    build_binary("build the host (the first time takes minutes)")?;
    let mut is_new = false;
    for build in Build::ALL {
        is_new |= precompile(build, &paths::precompiled(build), &[])?;
    }
    if is_new {
        build_binary("build the host with the component in it")?;
    }
    Ok(())
}

/// Builds the host with the profile of packages, for this machine. Returns the path of the program.
pub(crate) fn build_optimized() -> Result<PathBuf, Failure> {
    build()?;
    let directory = paths::dist_build();
    let mut cargo = cargo_with("build", DIST_PROFILE, &directory);
    cargo.args(["--package", "durable-streams-host", "--bins"]);
    let description = "build the host with fat LTO (the first time takes ten to twenty minutes)";
    run::run(description, &mut cargo)?;
    let program = directory.join(DIST_PROFILE).join("durable-streams");
    Ok(program.with_extension(std::env::consts::EXE_EXTENSION))
}

/// Checks for the tools that compile the dependencies' C code. Without this check the build would
/// fail after minutes.
fn check_tools() -> Result<(), Failure> {
    let compiler = std::env::var("CC").unwrap_or_default();
    // The first word is the compiler or a wrapper of it; options follow.
    let compiler = compiler.split_whitespace().next().unwrap_or("cc");
    match [compiler, "make"]
        .into_iter()
        .find(|tool| !run::is_there(tool))
    {
        None => Ok(()),
        Some(tool) => Err(Failure::new(format!(
            "{tool} can't be run, but the build of the host needs it"
        ))
        .by_hand(
            "install a C compiler and make (on Debian as root: apt-get install build-essential), \
                 then repeat the command.",
        )),
    }
}

fn build_binary(description: &str) -> Result<(), Failure> {
    run::run(
        description,
        cargo("build").args(["--package", "durable-streams-host", "--bins"]),
    )
}

/// Lets the host compile a build of the component into `precompiled`. Returns false if this file is
/// current. Cargo builds the host again only if the file changes.
pub(crate) fn precompile(
    build: Build,
    precompiled: &Path,
    flags: &[&str],
) -> Result<bool, Failure> {
    let stamp = precompiled.with_extension("stamp");
    let inputs = inputs(build)?;
    if precompiled.is_file() && std::fs::read_to_string(&stamp).is_ok_and(|old| old == inputs) {
        return Ok(false);
    }
    let part = precompiled.with_extension("part");
    run::run(
        &format!(
            "compile the component for {} and this machine",
            build.wasi()
        ),
        program()
            .arg("precompile")
            .args(flags)
            .arg(paths::component(build))
            .arg(&part),
    )?;
    std::fs::rename(part, precompiled)?;
    std::fs::write(stamp, inputs)?;
    Ok(true)
}

/// A digest of all inputs of the compiled component: the component, the engine's settings and
/// Wasmtime's version.
fn inputs(build: Build) -> Result<String, Failure> {
    let root = paths::root();
    let files: [PathBuf; 3] = [
        paths::component(build),
        root.join("host/src/engine.rs"),
        root.join("Cargo.lock"),
    ];
    let mut hasher = DefaultHasher::new();
    for file in files {
        let bytes = std::fs::read(&file)
            .map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
        bytes.hash(&mut hasher);
    }
    Ok(format!("{:016x}\n", hasher.finish()))
}
