//! The Debian route: a compiler, its standard library's sources and a libc for the target, all
//! from Debian's own packages, for machines where rustup's server is out of reach.

use crate::cargo;
use crate::component::Build;
use crate::failure::Failure;
use crate::run;
use crate::toolchain::TARGET;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PACKAGES: [&str; 3] = ["rustc-web", "rust-web-src", "wasi-libc"];
/// Tools that install the packages and report which are installed. Only Debian has them.
const TOOLS: [&str; 2] = ["apt-get", "dpkg-query"];
const RUSTC: &str = "/usr/bin/rustc";
const LIBC: &str = "/usr/lib/wasm32-wasi";

/// Debian's compiler, with the directories of the linkers that it needs.
#[derive(Debug)]
pub(crate) struct Debian {
    /// Directories of the linkers, which belong to the toolchain that builds everything else.
    linkers: Vec<PathBuf>,
}

/// Target directory of this route alone: two compilers that share one rebuild everything in turn.
fn target_dir(build: Build) -> PathBuf {
    build.target_dir().join("debian")
}

/// Whether an earlier build took this route.
pub(crate) fn was_used() -> bool {
    Build::ALL
        .into_iter()
        .any(|build| target_dir(build).is_dir())
}

/// Returns the route if all its packages and linkers are installed.
pub(crate) fn find() -> Option<Debian> {
    let sysroot = cargo::rustc(Path::new(RUSTC), &["--print", "sysroot"])?;
    let sources = Path::new(&sysroot).join("lib/rustlib/src/rust/library/std/Cargo.toml");
    if !sources.is_file() || !Path::new(LIBC).join("libc.a").is_file() {
        return None;
    }
    let linkers = linkers();
    let there = |tool: &str| linkers.iter().any(|dir| dir.join(tool).is_file());
    (there("wasm-component-ld") && there("rust-lld")).then_some(Debian { linkers })
}

/// Returns the route, after installing missing packages.
pub(crate) fn find_or_install() -> Result<Debian, Failure> {
    if let Some(debian) = find() {
        return Ok(debian);
    }
    if let Some(tool) = TOOLS.into_iter().find(|tool| !run::is_there(tool)) {
        let description =
            format!("{tool} is not on this machine, so Debian's packages can't be installed");
        return Err(Failure::new(description).by_hand(by_hand()));
    }
    let missing: Vec<&str> = PACKAGES
        .into_iter()
        .filter(|package| !is_installed(package))
        .collect();
    if !missing.is_empty() {
        let why = format!("There is no {TARGET} target.");
        install(&missing, &why, &by_hand())?;
    }
    find().ok_or_else(|| {
        Failure::new(format!(
            "Debian's packages are installed, but {RUSTC}, its sources, {LIBC} or rustup's linkers \
             (wasm-component-ld, rust-lld) are not where they are expected"
        ))
        .by_hand(by_hand())
    })
}

fn by_hand() -> String {
    format!(
        "make `rustup target add {TARGET}` succeed, or on Debian install the packages {} (as root: \
         apt-get update && apt-get install --no-install-recommends {}), then repeat the command.",
        PACKAGES.join(", "),
        PACKAGES.join(" ")
    )
}

fn is_installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["-W", "-f=${Status}", package])
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|out| out.stdout.ends_with(b" installed"))
}

/// Installs Debian's packages, after printing their names and the reason.
pub(crate) fn install(missing: &[&str], why: &str, by_hand: &str) -> Result<(), Failure> {
    println!(
        "    {why} Now installing Debian's packages {} with apt-get.",
        missing.join(", ")
    );
    let mut update = apt_get()?;
    update.args(["update", "-qq"]);
    let mut install = apt_get()?;
    install
        .args(["install", "-y", "--no-install-recommends"])
        .args(missing)
        .stdout(Stdio::null());
    let steps = run::run("apt-get update", &mut update).and_then(|()| {
        run::run(
            &format!("apt-get install {}", missing.join(" ")),
            &mut install,
        )
    });
    steps.map_err(|failure| failure.by_hand(by_hand))
}

fn apt_get() -> Result<Command, Failure> {
    let user = Command::new("id").arg("-u").output()?;
    let mut command = match user.stdout.trim_ascii() {
        b"0" => Command::new("apt-get"),
        _ => {
            let mut sudo = Command::new("sudo");
            sudo.arg("apt-get");
            sudo
        }
    };
    command.env("DEBIAN_FRONTEND", "noninteractive");
    Ok(command)
}

fn linkers() -> Vec<PathBuf> {
    let Some(version) = cargo::rustc(Path::new("rustc"), &["-vV"]) else {
        return Vec::new();
    };
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    match (cargo::sysroot(), host) {
        (Some(sysroot), Some(host)) => {
            let bin = sysroot.join("lib/rustlib").join(host).join("bin");
            vec![bin.join("gcc-ld"), bin]
        }
        _ => Vec::new(),
    }
}

impl Debian {
    /// Makes `cargo build` take this route. Returns the target directory that the build uses.
    pub(crate) fn apply(&self, cargo: &mut Command, build: Build) -> Result<PathBuf, Failure> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let dirs = self.linkers.iter().cloned();
        let path: OsString = std::env::join_paths(dirs.chain(std::env::split_paths(&path)))
            .map_err(|error| Failure::new(error.to_string()))?;
        let target_dir = target_dir(build);
        cargo
            .env("PATH", path)
            .env("RUSTC", RUSTC)
            // Building the standard library needs an unstable option of a stable compiler.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", format!("-L{LIBC}"))
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("RUSTC_WRAPPER")
            .env_remove("RUSTC_WORKSPACE_WRAPPER")
            .arg("-Zbuild-std=std,panic_abort");
        Ok(target_dir)
    }
}
