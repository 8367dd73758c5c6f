//! Building the host with the component in it.

use crate::cargo::{self, HOST_PROFILE};
use crate::component::{self, Build};
use crate::failure::Failure;
use crate::paths;
use crate::run;
use crate::toolchain;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::process::Command;

/// The variable that hands a precompiled build of the component to the host's build.
const fn embed(build: Build) -> &'static str {
    match build {
        Build::P2 => "DS_EMBED_COMPONENT_P2",
        Build::P3 => "DS_EMBED_COMPONENT_P3",
    }
}

/// Cargo for the native packages, with the precompiled component if it is there: its absence
/// would build the host another time. Without it, `.cargo/config.toml` says what stands for it.
pub(crate) fn cargo(subcommand: &str) -> Command {
    let mut cargo = cargo::cargo();
    cargo.args([subcommand, "--profile", HOST_PROFILE]);
    cargo.arg("--target-dir").arg(paths::target());
    for build in Build::ALL {
        let precompiled = paths::precompiled(build);
        if precompiled.is_file() {
            cargo.env(embed(build), precompiled);
        }
    }
    cargo
}

/// The host as a program, without the variables that are about building it.
pub(crate) fn program() -> Command {
    let mut program = Command::new(paths::host());
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

/// Builds the component, the host, and the host again with the component in it if that changed.
pub(crate) fn build() -> Result<(), Failure> {
    check_tools()?;
    component::build()?;
    build_binary("build the host (the first time takes minutes)")?;
    let mut is_new = false;
    for build in Build::ALL {
        is_new |= precompile(build)?;
    }
    if is_new {
        build_binary("build the host with the component in it")?;
    }
    Ok(())
}

/// Looks for what compiles the C of our dependencies, rather than after minutes of compiling.
fn check_tools() -> Result<(), Failure> {
    let compiler = std::env::var("CC").unwrap_or_default();
    // There may be a wrapper before it, and options behind.
    let compiler = compiler.split_whitespace().next().unwrap_or("cc");
    match [compiler, "make"].into_iter().find(|tool| !run::is_there(tool)) {
        None => Ok(()),
        Some(tool) => Err(Failure::new(format!("{tool} can't be run, and the host needs it"))
            .by_hand(
                "install a C compiler and make (on Debian as root: apt-get install build-essential), \
                 then repeat the command.",
            )),
    }
}

fn build_binary(what: &str) -> Result<(), Failure> {
    run::run(
        what,
        cargo("build").args(["--package", "durable-streams-host", "--bins"]),
    )
}

/// Lets the host compile a build of the component for this machine. Returns whether that was needed.
fn precompile(build: Build) -> Result<bool, Failure> {
    let precompiled = paths::precompiled(build);
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
            .arg(paths::component(build))
            .arg(&part),
    )?;
    std::fs::rename(part, precompiled)?;
    std::fs::write(stamp, inputs)?;
    Ok(true)
}

/// A digest of all that the compiled component depends on: the component, the engine's settings
/// and Wasmtime's version.
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
