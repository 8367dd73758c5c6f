//! `cargo xtask fuzz`: runs the targets of `tests/fuzz` under cargo-fuzz. The tests only replay the
//! corpus.

use crate::cargo;
use crate::failure::Failure;
use crate::paths;
use crate::run;
use std::fs::{self, DirEntry};
use std::io;
use std::path::PathBuf;

const USAGE: &str = "fuzz [TARGET] [--seconds N]";

/// Longest input. Longer ones find no more than shorter ones do.
const MOST_BYTES: u32 = 2_048;

/// Fuzzes one target or each, for a minute by default. New inputs go to `target/fuzz/corpus`. The
/// output names an input that fails a check; add it to `tests/fuzz/fixtures`.
pub(crate) fn command(args: &[String]) -> Result<(), Failure> {
    let wrong = || Failure::new(format!("wrong arguments; usage: {USAGE}"));
    let (mut targets, mut seconds) = (targets()?, 60_u32);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--seconds" {
            let value = args.next().and_then(|value| value.parse().ok());
            seconds = value.ok_or_else(wrong)?;
        } else {
            targets.retain(|target| target == arg);
        }
    }
    if targets.is_empty() {
        let names = self::targets()?.join(", ");
        return Err(Failure::new(format!(
            "fuzz takes one target, or none for all targets; the targets are {names}"
        )));
    }
    let known = cargo::cargo().args(["fuzz", "--version"]).output()?;
    if !known.status.success() {
        let why = Failure::new("cargo-fuzz is not installed");
        return Err(why.by_hand("cargo install cargo-fuzz --locked"));
    }
    targets.iter().try_for_each(|target| fuzz(target, seconds))
}

/// The directory with a subdirectory of inputs for each target.
fn corpus() -> PathBuf {
    paths::root().join("tests/fuzz/corpus")
}

/// The names of the targets.
fn targets() -> io::Result<Vec<String>> {
    let name = |entry: io::Result<DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
    let mut names = fs::read_dir(corpus())?
        .map(name)
        .collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn fuzz(target: &str, seconds: u32) -> Result<(), Failure> {
    let directory = paths::target().join("fuzz");
    let (grown, found) = (
        directory.join("corpus").join(target),
        directory.join("found").join(target),
    );
    fs::create_dir_all(&grown)?;
    fs::create_dir_all(&found)?;
    let mut fuzz = cargo::cargo();
    // The variable enables the unstable flags of libFuzzer in the stable compiler.
    fuzz.env("RUSTC_BOOTSTRAP", "1")
        .args(["fuzz", "run", "--sanitizer", "none"])
        .args(["--fuzz-dir", "tests/fuzz/libfuzzer", "--target-dir"])
        .arg(directory.join("build"))
        .arg(target)
        .arg(grown)
        .arg(corpus().join(target))
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={MOST_BYTES}"))
        .arg("-print_final_stats=1")
        .arg(format!("-artifact_prefix={}/", found.display()));
    run::show(&format!("fuzz {target} for {seconds} s"), &mut fuzz)
}
