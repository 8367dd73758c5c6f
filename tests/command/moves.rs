//! Streams that move to another server with their producers.

use super::archive::{archive, run_archive};
use super::common::command::{Ran, client, run};
use super::common::{Cuts, Proxy, Running, Server, eventually};
use std::path::Path;

/// Imports from the directory, and makes the server remember the producers.
fn import(server: &Server, admin: &str, directory: &Path) -> Ran {
    let mut command = archive("import", &server.url(), directory);
    command.args(["--admin", admin]);
    Running::start(command).wait()
}

/// Moves all streams of a server to a new one.
fn moved(from: &Server, directory: &Path) -> Server {
    let exported = run_archive("export", from, directory);
    assert_eq!(exported.err, "");
    exported.out();
    let to = Server::start_with_admin("memory", &[]);
    // Another run finds everything in its place.
    for _ in 0..2 {
        let imported = import(&to, to.admin(), directory);
        assert_eq!(imported.err, "");
        imported.out();
    }
    to
}

fn append(url: &str, directory: &Path, flags: &[&str]) -> Running {
    let mut command = client(url, &["append", "log", "--state"]);
    command.arg(directory.join("state")).arg("--file");
    command.arg(directory.join("input")).args(flags);
    Running::start(command)
}

fn lines(count: usize) -> Vec<u8> {
    let lines = (0..count).map(|line| format!("line {line}\n"));
    lines.collect::<String>().into_bytes()
}

fn read(server: &Server) -> Vec<u8> {
    run(&server.url(), &["read", "log"], b"").out()
}

/// The new server has the producer of the import, whose numbers are those of one archive.
#[test]
fn a_stream_that_was_moved_can_be_moved_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let first = Server::start();
    let append = ["append", "log", "--create", "text", "--producer", "me"];
    run(&first.url(), &append, &lines(1_000)).out();
    let second = moved(&first, &directory.path().join("first"));
    let third = moved(&second, &directory.path().join("second"));
    assert!(read(&third) == lines(1_000), "the stream differs");
}

/// The state file of a killed writer names batches that the old server has. The writer sends them to the
/// new server again.
#[test]
fn a_writer_goes_on_at_another_server_and_every_line_is_there_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let from = Server::start();
    run(&from.url(), &["create", "log", "--type", "text"], b"").out();
    let content = lines(300_000);
    std::fs::write(directory.path().join("input"), &content).expect("the input is written");
    let proxy = Proxy::start(from.address, Cuts::HoldAfter(1_500_000), 0);
    let mut running = append(&proxy.url(), directory.path(), &[]);
    eventually("the append is held", || proxy.is_holding());
    running.kill();
    running.wait();
    let before = read(&from).len();
    assert!(0 < before && before < content.len(), "{before} bytes");
    let to = moved(&from, &directory.path().join("archive"));
    append(&to.url(), directory.path(), &[]).wait().out();
    assert!(read(&to) == content, "the stream differs");
}

#[test]
fn a_writer_that_repeats_its_close_at_another_server_finds_it_done() {
    let directory = tempfile::tempdir().expect("a directory");
    let from = Server::start();
    run(&from.url(), &["create", "log", "--type", "text"], b"").out();
    std::fs::write(directory.path().join("input"), lines(10)).expect("the input is written");
    let closing = ["--close", "--reason", "done"];
    append(&from.url(), directory.path(), &closing).wait().out();
    // The same command again, as after a lost answer.
    append(&from.url(), directory.path(), &closing).wait().out();
    let to = moved(&from, &directory.path().join("archive"));
    append(&to.url(), directory.path(), &closing).wait().out();
    assert!(read(&to) == lines(10), "the stream differs");
    let head = run(&to.url(), &["head", "log"], b"").text();
    assert!(head.contains("closed-reason: done\n"), "{head}");
}

#[test]
fn an_import_names_the_admin_listener_if_it_gets_another_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let (from, to) = (Server::start(), Server::start());
    let append = ["append", "s", "abc", "--create", "text"];
    run(&from.url(), &append, b"").out();
    run_archive("export", &from, directory.path()).out();
    let main = to.url();
    let main = main.trim_end_matches("/v1/stream");
    let error = import(&to, main, directory.path()).fails(1);
    assert!(error.contains("name the admin listener"), "{error}");
    // The server of another admin listener has no such stream, or another one of this name and length.
    let other = Server::start_with_admin("memory", &[]);
    let error = import(&to, other.admin(), directory.path()).fails(3);
    assert!(error.contains("404"), "{error}");
    let append = ["append", "s", "xyz", "--create", "text"];
    run(&other.url(), &append, b"").out();
    let error = import(&to, other.admin(), directory.path()).fails(1);
    assert!(error.contains("name the admin listener"), "{error}");
}

/// Whether a file of the archive names the producer `me`.
fn has_me(directory: &Path) -> bool {
    let mut files = std::fs::read_dir(directory).expect("a directory");
    files.any(|file| {
        let path = file.expect("an entry").path();
        let text = std::fs::read_to_string(path).expect("text");
        text.contains("2744ccd10c7533bd736ad890f9dd5cab")
    })
}

/// The complete file was skipped, and its producers were those of another moment.
#[test]
fn a_complete_file_is_exported_again_if_the_server_remembers_other_producers() {
    let directory = tempfile::tempdir().expect("a directory");
    let [first, second] = ["first", "second"].map(|name| directory.path().join(name));
    let from = Server::start();
    let append = ["append", "log", "--create", "text", "--producer", "me"];
    run(&from.url(), &append, &lines(10)).out();
    run_archive("export", &from, &first).out();
    let to = Server::start_with_admin("memory", &[]);
    run_archive("import", &to, &first).out();
    run_archive("export", &to, &second).out();
    assert!(!has_me(&second));
    import(&to, to.admin(), &first).out();
    run_archive("export", &to, &second).out();
    assert!(has_me(&second));
}

#[test]
fn a_stream_without_room_for_its_producers_holds_up_no_other() {
    let directory = tempfile::tempdir().expect("a directory");
    let from = Server::start();
    for name in ["a", "b"] {
        let append = ["append", name, "x", "--create", "text"];
        run(&from.url(), &append, b"").out();
    }
    run(&from.url(), &["append", "a", "y"], b"").out();
    run_archive("export", &from, directory.path()).out();
    let to = Server::start_with_admin("memory", &["max_producers=2"]);
    let error = import(&to, to.admin(), directory.path()).fails(6);
    assert!(error.contains("such as a."), "{error}");
    for name in ["a", "b"] {
        let read = |server: &Server| run(&server.url(), &["read", name], b"").out();
        assert_eq!(read(&from), read(&to), "{name}");
    }
}
