//! `cargo xtask dist`: builds the program that is published, and makes its packages.

mod build;

use crate::failure::Failure;
use crate::host;
use crate::paths;
use crate::run;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Options of the command line.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    /// Directory for the packages.
    out: PathBuf,
    /// A built program, instead of one that is built now.
    program: Option<PathBuf>,
    /// Whether to make the image.
    image: bool,
    /// Install the tools that are missing.
    install: bool,
}

fn parse(args: &[String]) -> Result<Options, Failure> {
    let mut options = Options {
        out: paths::target().join("dist"),
        program: None,
        image: true,
        install: false,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || {
            let value = args.next();
            value.ok_or_else(|| Failure::new(format!("{arg} needs a value")))
        };
        match arg.as_str() {
            "--out" => options.out = value()?.into(),
            "--program" => options.program = Some(value()?.into()),
            "--no-image" => options.image = false,
            "--install" => options.install = true,
            other => return Err(Failure::new(format!("dist takes no argument {other:?}"))),
        }
    }
    Ok(options)
}

/// `cargo xtask dist [--out DIR] [--program FILE] [--no-image] [--install]`.
pub(crate) fn command(args: &[String]) -> Result<(), Failure> {
    let options = parse(args)?;
    let epoch = epoch()?;
    let program = match options.program {
        Some(program) => program,
        None => build::program(options.install)?,
    };
    pack(&program, &options.out, &epoch, options.image)
}

/// Makes the packages of a stripped program.
fn pack(program: &Path, out: &Path, epoch: &str, image: bool) -> Result<(), Failure> {
    let mut dist = host::cargo("run");
    dist.args(["--quiet", "--package", "dist", "--", "--program"]);
    // Cargo runs in the root of the repository.
    dist.arg(std::path::absolute(program)?);
    dist.arg("--out").arg(std::path::absolute(out)?);
    dist.args(["--epoch", epoch]);
    if !image {
        dist.arg("--no-image");
    }
    run::show("make the packages", &mut dist)
}

/// Time of all files in the packages, in Unix seconds: `SOURCE_DATE_EPOCH`, or the time of the commit.
fn epoch() -> Result<String, Failure> {
    if let Ok(epoch) = std::env::var("SOURCE_DATE_EPOCH") {
        return Ok(epoch);
    }
    let mut git = Command::new("git");
    git.args(["log", "-1", "--format=%ct"]).stdin(Stdio::null());
    let out = git.current_dir(paths::root()).output();
    let epoch = out.ok().filter(|out| out.status.success()).map(|out| {
        let text = String::from_utf8_lossy(&out.stdout);
        text.trim().to_owned()
    });
    epoch.ok_or_else(|| {
        Failure::new("git does not tell the time of the commit, which files in the packages get")
            .by_hand("set SOURCE_DATE_EPOCH to a time in Unix seconds, then repeat the command.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Result<Options, String> {
        let args: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        parse(&args).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_built_program_and_a_directory_can_be_named() {
        let parsed = options("--program a/b --out c --no-image").unwrap();
        assert_eq!(parsed.program, Some(PathBuf::from("a/b")));
        assert_eq!((parsed.out, parsed.image), (PathBuf::from("c"), false));
        assert_eq!(options("--out").unwrap_err(), "--out needs a value");
        assert_eq!(
            options("--outt x").unwrap_err(),
            "dist takes no argument \"--outt\""
        );
    }
}
