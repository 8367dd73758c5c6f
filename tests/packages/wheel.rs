//! The wheel.

use crate::made::{directory, package, run};
use crate::server::Server;
use std::process::Command;

#[test]
fn an_installed_wheel_starts_a_server_that_streams() {
    let mut has_venv = Command::new("python3");
    has_venv.args(["-c", "import venv, ensurepip"]);
    if !has_venv.output().is_ok_and(|out| out.status.success()) {
        println!("skipped: there is no Python 3 with venv");
        return;
    }
    let directory = directory();
    let environment = directory.path().join("environment");
    let mut venv = Command::new("python3");
    run(venv.args(["-m", "venv"]).arg(&environment));
    let bin = environment.join("bin");
    let mut pip = Command::new(bin.join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]);
    run(pip.arg(package("durable_streams_edge-", ".whl")));
    let server = Server::start(&mut Command::new(bin.join("durable-streams")));
    server.stream();
    assert_eq!(server.stop().code(), Some(0));
    // Tools such as uvx look for a command with the package's name.
    let version = run(Command::new(bin.join("durable-streams-edge")).arg("--version"));
    assert!(version.starts_with("durable-streams "), "{version}");
    // pip checks the list of files and their digests.
    let mut files = Command::new(bin.join("python"));
    files.args(["-m", "pip", "show", "--files", "durable-streams-edge"]);
    let files = run(&mut files);
    assert!(files.contains("bin/durable-streams\n"), "{files}");
}
