//! The npm packages.

use crate::made::{directory, package, run};
use crate::server::Server;
use std::path::Path;
use std::process::Command;

/// Installs packages from files, without any registry.
fn install(directory: &Path, packages: &[&Path]) {
    std::fs::write(directory.join("package.json"), "{\"private\": true}").unwrap();
    let mut npm = Command::new("npm");
    npm.args(["install", "--offline", "--no-audit", "--no-fund"]);
    npm.args(packages).current_dir(directory);
    run(&mut npm);
}

fn main_package() -> std::path::PathBuf {
    package("durable-streams-edge-", ".tgz")
}

#[test]
fn installed_npm_packages_start_a_server_that_streams() {
    let directory = directory();
    let native = package("durable-streams-edge-linux-x64-", ".tgz");
    install(directory.path(), &[&main_package(), &native]);
    let server = Server::start(&mut Command::new(
        directory.path().join("node_modules/.bin/durable-streams"),
    ));
    server.stream();
    // The launcher passes the signal on, and takes the status of the server.
    assert_eq!(server.stop().code(), Some(0));
    let mut npx = Command::new("npx");
    npx.args(["--offline", "durable-streams-edge", "--version"]);
    let version = run(npx.current_dir(directory.path()));
    assert!(version.starts_with("durable-streams "), "{version}");
}

#[test]
fn an_npm_package_without_its_program_tells_what_to_install() {
    let directory = directory();
    install(directory.path(), &[&main_package()]);
    let launcher = directory.path().join("node_modules/.bin/durable-streams");
    let out = Command::new(launcher).arg("--version").output().unwrap();
    let error = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{error}");
    assert!(
        error.contains("is not installed. There are packages for linux-x64"),
        "{error}"
    );
}
