//! Backups and restores of a store in files, by the program itself.

use crate::common::server::{store, via};
use crate::common::{HOST, ServerUnderTest, Stream};
use std::fs;
use std::path::Path;
use std::process::Output;
use tempfile::TempDir;

fn directory() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}

fn over(directory: &Path) -> ServerUnderTest {
    ServerUnderTest::start_over(&format!("file:{}", directory.display()), &[])
}

fn stop(mut server: ServerUnderTest) {
    server.signal("TERM");
    assert!(server.wait().success());
}

/// Runs a command of the program.
fn run(arguments: &[&str]) -> Output {
    let output = HOST.command().args(arguments).output();
    output.expect("the program runs")
}

/// Returns the output of a command that succeeds.
#[track_caller]
fn expect_success(arguments: &[&str]) -> String {
    let output = run(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Returns the error of a command that fails with exit status 1, in one line.
#[track_caller]
fn expect_failure(arguments: &[&str]) -> String {
    let output = run(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
    stderr.lines().last().unwrap_or_default().to_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Returns the stream on another server.
fn on(server: &ServerUnderTest, stream: &Stream) -> Stream {
    Stream {
        address: server.address,
        ..stream.clone()
    }
}

#[test]
fn a_reader_ahead_of_the_restored_store_gets_410_and_others_continue() {
    if store() != "file" || via() != "exchange" {
        return;
    }
    let (live, dest) = (directory(), directory());
    let server = over(live.path());
    let stream = server.stream("text/plain");
    let known = stream.append("kept");
    stop(server);
    let from = text(live.path());
    expect_success(&["backup", "--from", from, text(dest.path())]);
    let server = over(live.path());
    let ahead = on(&server, &stream).append("lost");
    stop(server);

    let new = directory();
    fs::remove_dir(new.path()).expect("it is empty");
    let output = expect_success(&["restore", text(dest.path()), text(new.path())]);
    assert!(output.contains("timeline"), "{output}");
    let server = over(new.path());
    let stream = on(&server, &stream);
    assert_eq!(stream.read_all("-1"), b"kept");
    assert_eq!(stream.read_all(&known), b"");
    let lost = stream.get(&format!("offset={ahead}")).send();
    lost.problem(410, "OFFSET_GONE");
    stream.append(" and more");
    let lost = stream.get(&format!("offset={ahead}")).send();
    lost.problem(410, "OFFSET_GONE");
    assert_eq!(stream.read_all(&known), b" and more");
}

#[test]
fn a_damaged_backup_is_found_by_check_and_restore_and_its_intact_streams_can_be_salvaged() {
    if store() != "file" || via() != "exchange" {
        return;
    }
    let (live, dest) = (directory(), directory());
    let server = over(live.path());
    let intact = server.stream("text/plain");
    intact.append("intact");
    let damaged = server.stream("text/plain");
    damaged.append("damaged".repeat(50));
    server.stream("text/plain");
    stop(server);
    let backup = text(dest.path());
    expect_success(&["backup", "--from", text(live.path()), backup]);
    let output = expect_success(&["check", backup]);
    assert!(output.contains("whole: nothing is damaged"), "{output}");

    let log = dest.path().join("0000000001-0.log");
    let mut bytes = fs::read(&log).expect("it is there");
    let mut windows = bytes.windows(14);
    let at = windows.rposition(|window| window == b"damageddamaged");
    bytes[at.expect("it is there")] ^= 1;
    fs::write(&log, bytes).expect("it writes");
    assert_eq!(run(&["check", backup]).status.code(), Some(1));
    let new = directory();
    let why = expect_failure(&["restore", backup, text(new.path())]);
    assert!(why.contains("0000000001-0.log: damaged"), "{why}");
    assert_eq!(fs::read_dir(new.path()).expect("lists").count(), 0);

    let out = directory();
    let salvage = run(&["check", backup, "--salvage", text(out.path())]);
    assert_eq!(salvage.status.code(), Some(1), "it reports the losses");
    let server = over(out.path());
    assert_eq!(on(&server, &intact).read_all("-1"), b"intact");
}

#[test]
fn commands_that_can_not_work_say_what_to_do() {
    if store() != "file" || via() != "exchange" {
        return;
    }
    let (live, dest) = (directory(), directory());
    let backup = text(dest.path());
    let why = expect_failure(&["backup", "--from", "/nonexistent", backup]);
    assert!(why.contains("no durable-streams store"), "{why}");
    let server = over(live.path());
    let why = expect_failure(&["backup", "--from", text(live.path()), backup]);
    assert!(why.contains("stop it first"), "{why}");
    let admin = format!("http://{}", server.address);
    let why = expect_failure(&["backup", "--admin", &admin, backup]);
    assert!(why.contains("admin listener"), "{why}");
    stop(server);
    expect_success(&["backup", "--from", text(live.path()), backup]);
    let why = expect_failure(&["check", backup, "--new-timeline"]);
    assert!(why.contains("restore it first"), "{why}");
    let why = expect_failure(&["restore", backup, text(live.path())]);
    assert!(why.contains("not empty"), "{why}");
    let why = expect_failure(&["restore", text(live.path()), "/nonexistent/new"]);
    assert!(why.contains("there is no backup here"), "{why}");
    for other in ["redis://127.0.0.1:6379/0", "file:data"] {
        let why = expect_failure(&["restore", backup, other]);
        assert!(why.contains("name the directory"), "{why}");
        let why = expect_failure(&["backup", "--from", other, backup]);
        assert!(why.contains("name the directory"), "{why}");
    }
}
