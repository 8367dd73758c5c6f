//! Exports and imports.

use super::common::command::{Ran, client, run};
use super::common::{Cuts, Proxy, Random, Running, Server, eventually};
use std::path::Path;

/// Fills a server with streams of each kind, some of them forks.
fn fill(server: &Server) {
    let url = server.url();
    let done = |arguments: &[&str], input: &[u8]| run(&url, arguments, input).out();
    let mut random = Random::seeded(5);
    done(&["create", "text/a", "-t", "text", "--ttl", "86400"], b"");
    done(&["append", "text/a"], "one\r\ntwo \u{e9}\n".as_bytes());
    done(&["close", "text/a", "--reason", "done"], b"");
    done(&["create", "json", "-t", "json"], b"");
    let lines: String = (0..30_000)
        .map(|n| format!("{{\"n\":{n},\"f\":1.0}}\n"))
        .collect();
    done(&["append", "json"], lines.as_bytes());
    done(&["fork", "json", "json/fork"], b"");
    done(&["append", "json", "\"later\""], b"");
    done(&["append", "json/fork"], b"1\n[2]\n");
    done(
        &[
            "fork",
            "json/fork",
            "json/fork/fork",
            "--at",
            "-1",
            "--plus",
            "7",
        ],
        b"",
    );
    done(
        &["append", "json/fork/fork", "--close"],
        b"{\"x\": [ 1 ]}\n",
    );
    done(&["create", "empty"], b"");
    done(&["create", "bytes"], b"");
    done(&["append", "bytes"], &random.bytes(700_000));
}

const NAMES: [&str; 6] = [
    "text/a",
    "json",
    "json/fork",
    "json/fork/fork",
    "empty",
    "bytes",
];

/// The lines that name the count and the digest of each stream, sorted.
fn sums(output: &str) -> Vec<String> {
    let document =
        |line: &str| -> serde_json::Value { serde_json::from_str(line).expect("a document") };
    let line = |line: &str| {
        let document = document(line);
        format!(
            "{} {} {}",
            document["name"], document["count"], document["sha256"]
        )
    };
    let mut sums: Vec<String> = output.lines().map(line).collect();
    sums.sort();
    sums
}

pub(super) fn archive(verb: &str, url: &str, directory: &Path) -> std::process::Command {
    let mut command = client(url, &[verb, "--json"]);
    match verb {
        "export" => command.arg("--to").arg(directory),
        _ => command.arg(directory),
    };
    command
}

/// Runs an export or an import of all streams to its end.
pub(super) fn run_archive(verb: &str, server: &Server, directory: &Path) -> Ran {
    Running::start(archive(verb, &server.url(), directory)).wait()
}

#[test]
fn an_import_is_equal_to_its_export() {
    let directory = tempfile::tempdir().expect("a directory");
    let (from, to) = (Server::start(), Server::start());
    fill(&from);
    let exported = run_archive("export", &from, directory.path()).text();
    let imported = run_archive("import", &to, directory.path()).text();
    assert_eq!(sums(&exported).len(), NAMES.len());
    assert_eq!(sums(&exported), sums(&imported));
    for name in NAMES {
        let read = |server: &Server| run(&server.url(), &["read", name], b"").out();
        assert!(read(&from) == read(&to), "{name}");
    }
    let head = run(&to.url(), &["head", "text/a"], b"").text();
    assert!(
        head.contains("closed-reason: done\nttl-secs: 86400\n"),
        "{head}"
    );
    let forks = run(&to.url(), &["ls", "--forks-of", "json/fork"], b"").text();
    assert_eq!(forks, "json/fork/fork\n");
    // Another run finds everything in its place.
    let again = run_archive("import", &to, directory.path()).text();
    assert_eq!(sums(&again), sums(&imported));
    let again = run_archive("export", &from, directory.path()).text();
    assert_eq!(sums(&again), sums(&exported));
}

/// Kills a command each time it has moved so many bytes more, and runs it again until it ends.
fn killed_until_done(
    verb: &str,
    server: &Server,
    directory: &Path,
    step: usize,
) -> (String, usize) {
    let mut killed = 0;
    loop {
        let cuts = Cuts::HoldAfter(step * (killed + 1));
        let proxy = Proxy::start(server.address, cuts, 0);
        let mut running = Running::start(archive(verb, &proxy.url(), directory));
        let mut is_over = false;
        eventually("the command moves on or ends", || {
            is_over = running.child.try_wait().expect("it can be asked").is_some();
            is_over || proxy.is_holding()
        });
        if is_over {
            return (running.wait().text(), killed);
        }
        running.kill();
        running.wait();
        killed += 1;
    }
}

#[test]
fn exports_and_imports_that_are_killed_are_resumed() {
    let directory = tempfile::tempdir().expect("a directory");
    let (from, to) = (Server::start(), Server::start());
    fill(&from);
    let (exported, killed) = killed_until_done("export", &from, directory.path(), 200_000);
    assert!(killed >= 3, "the export was killed only {killed} times");
    let (imported, killed) = killed_until_done("import", &to, directory.path(), 300_000);
    assert!(killed >= 2, "the import was killed only {killed} times");
    assert_eq!(sums(&exported), sums(&imported));
    for name in NAMES {
        let read = |server: &Server| run(&server.url(), &["read", name], b"").out();
        assert!(read(&from) == read(&to), "{name}");
    }
}

#[test]
fn an_import_never_mixes_with_other_data() {
    let directory = tempfile::tempdir().expect("a directory");
    let (from, to) = (Server::start(), Server::start());
    run(
        &from.url(),
        &["append", "s", "abc", "--create", "text"],
        b"",
    )
    .out();
    run(&to.url(), &["append", "s", "xyz", "--create", "text"], b"").out();
    run_archive("export", &from, directory.path()).out();
    let error = run_archive("import", &to, directory.path()).fails(1);
    assert!(error.contains("has other data"), "{error}");
    assert_eq!(run(&to.url(), &["read", "s"], b"").out(), b"xyz");
}

#[test]
fn an_import_without_the_admin_listener_warns_of_the_producers_it_leaves_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let (from, to) = (Server::start(), Server::start());
    let append = ["append", "s", "abc", "--create", "text"];
    run(&from.url(), &append, b"").out();
    run(&from.url(), &["create", "empty", "-t", "text"], b"").out();
    let exported = run_archive("export", &from, directory.path());
    assert_eq!(exported.err, "");
    let imported = run_archive("import", &to, directory.path());
    let warning = "streams whose producers are not copied: 1.";
    assert!(imported.err.contains(warning), "{}", imported.err);
    assert!(imported.err.contains("--admin"), "{}", imported.err);
    imported.out();
}

/// An export that went on in the file of another server had the data of both.
#[test]
fn a_directory_of_another_server_is_exported_anew() {
    let directory = tempfile::tempdir().expect("a directory");
    let servers = ["aaaa", "bbbb", "cccc"].map(|data| {
        let server = Server::start();
        let append = ["append", "s", data, "--create", "text"];
        run(&server.url(), &append, b"").out();
        server
    });
    for server in &servers {
        let exported = sums(&run_archive("export", server, directory.path()).text());
        let to = Server::start();
        let imported = run_archive("import", &to, directory.path()).text();
        assert_eq!(sums(&imported), exported);
        let read = |server: &Server| run(&server.url(), &["read", "s"], b"").out();
        assert_eq!(read(server), read(&to));
    }
}

#[test]
fn a_stream_that_is_exported_by_its_url_is_imported_by_its_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let (from, to) = (Server::start(), Server::start());
    let append = ["append", "a/b c", "abc", "--create", "text"];
    run(&from.url(), &append, b"").out();
    let whole = format!("{}/a/b%20c", from.url());
    // No other server is named.
    let mut export = archive("export", &from.url(), directory.path());
    export.env_remove("DS_URL").arg(whole);
    Running::start(export).wait().out();
    run_archive("import", &to, directory.path()).out();
    assert_eq!(run(&to.url(), &["read", "a/b c"], b"").out(), b"abc");
}

#[test]
fn two_files_of_one_stream_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let [first, second] = ["first", "second"].map(|name| directory.path().join(name));
    let server = Server::start();
    for directory in [&first, &second] {
        let append = ["append", "s", "abc", "--create", "text"];
        run(&server.url(), &append, b"").out();
        run_archive("export", &server, directory).out();
    }
    let to = Server::start();
    let mut import = archive("import", &to.url(), &first);
    import.arg(&second);
    let error = Running::start(import).wait().fails(1);
    assert!(error.contains("are both of the stream s"), "{error}");
    run(&to.url(), &["head", "s"], b"").fails(3);
    // The same file twice is no contradiction.
    let mut import = archive("import", &to.url(), &first);
    import.arg(&first);
    Running::start(import).wait().out();
}
