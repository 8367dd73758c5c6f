//! `cargo xtask soak`: runs our host over a file store under a mixed load for a long time.

use crate::bench::{build_generator, ended_well, generator};
use crate::failure::Failure;
use crate::host;
use crate::paths;
use crate::server::{FILE, Server};
use std::process::Command;

const USAGE: &str = "soak [--minutes M] [--rate APPENDS_A_SECOND] [--streams N]";

/// Builds missing parts, runs the load, and reports whether memory and latencies stayed constant.
/// The charts are in `target/soak`.
pub(crate) fn command(args: &[String]) -> Result<(), Failure> {
    let known = |flag: &String| ["--minutes", "--rate", "--streams"].contains(&flag.as_str());
    if !args.len().is_multiple_of(2) || !args.iter().step_by(2).all(known) {
        return Err(Failure::new(format!("wrong arguments; usage: {USAGE}")));
    }
    build_generator()?;
    host::build()?;
    let server = Server::start((FILE, "exchange"), &[])?;
    let directory = server
        .directory()
        .ok_or_else(|| Failure::new("the server has no directory"))?;
    ended_well(
        Command::new(generator())
            .arg("soak")
            .args(["--url", &format!("{}/v1/stream", server.url)])
            .args(["--pid", &server.pid().to_string()])
            .arg("--disk")
            .arg(directory)
            .arg("--out")
            .arg(paths::target().join("soak"))
            .args(args),
    )
}
