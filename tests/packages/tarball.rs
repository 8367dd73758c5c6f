//! The tarball.

use crate::made::{directory, package, run};
use crate::server::Server;
use std::process::Command;

#[test]
fn the_tarball_has_the_program_its_licences_and_its_service() {
    let directory = directory();
    let tarball = package("durable-streams-edge-", "-linux.tar.gz");
    run(Command::new("tar")
        .arg("-xzf")
        .arg(&tarball)
        .arg("-C")
        .arg(directory.path()));
    let name = tarball.file_name().unwrap().to_str().unwrap();
    let unpacked = directory.path().join(name.trim_end_matches(".tar.gz"));
    for file in [
        "LICENSE",
        "README.md",
        "THIRD-PARTY-LICENCES.txt",
        "sbom.cdx.json",
        "deploy/durable-streams.service",
        "deploy/durable-streams.toml",
    ] {
        assert!(unpacked.join(file).is_file(), "{file}");
    }
    let server = Server::start(&mut Command::new(unpacked.join("durable-streams")));
    server.stream();
    assert_eq!(server.stop().code(), Some(0));
}
