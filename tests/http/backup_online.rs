//! Backups of a running server, through its admin listener.

use crate::common::server::{store, via};
use crate::common::{HOST, PATIENCE, Random, ServerUnderTest, Stream, concurrently};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Streams of the writers.
const WRITERS: usize = 4;
/// Bytes of one append: a number, and padding that makes segments fill up.
const LENGTH: usize = 2000;

fn directory() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}

/// Starts a server with an admin listener over a store in files.
fn over(directory: &Path, variables: &[(&str, &str)]) -> ServerUnderTest {
    with_store(&format!("file:{}", directory.display()), variables)
}

/// Starts a server with an admin listener over this store.
fn with_store(store: &str, variables: &[(&str, &str)]) -> ServerUnderTest {
    let mut command = HOST.command();
    command.args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    command.args(["--store", store]);
    command.arg("--component").arg(HOST.component(&via()));
    for (name, value) in variables {
        command.args(["--variable", &format!("{name}={value}")]);
    }
    ServerUnderTest::start_command(command)
}

fn backup(server: &ServerUnderTest, dest: &Path) -> Command {
    let mut command = HOST.command();
    command.args(["backup", "--admin", &format!("http://{}", server.admin())]);
    command.arg(dest).env_remove("DS_TOKEN");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command and returns its output on standard error, and whether it succeeded.
fn run(mut command: Command) -> (bool, String) {
    let output = command.output().expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), stderr)
}

fn line(number: usize) -> Vec<u8> {
    let mut line = format!("{number:010} ").into_bytes();
    line.resize(LENGTH, b'.');
    line
}

/// Returns the number of appends that a stream has. Asserts that these are the first ones.
#[track_caller]
fn expect_prefix(stream: &Stream) -> usize {
    let bytes = stream.read_all("-1");
    assert_eq!(bytes.len() % LENGTH, 0, "an append is there in part");
    for (number, found) in bytes.chunks(LENGTH).enumerate() {
        assert!(found == line(number), "append {number}");
    }
    bytes.len() / LENGTH
}

/// Kills a process after this time. Returns whether it still ran.
fn kill_after(child: &mut Child, time: Duration) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < time {
        if child
            .try_wait()
            .expect("a child can be waited for")
            .is_some()
        {
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    child.kill().expect("it is ours");
    child.wait().expect("it ended");
    true
}

/// The client of the backup is killed at twenty random moments while writers append.
#[test]
fn a_backup_of_a_busy_server_is_of_one_moment_and_kills_of_its_client_harm_nothing() {
    if store() != "file" || via() != "exchange" {
        return;
    }
    let (live, dest, new) = (directory(), directory(), directory());
    let server = over(live.path(), &[]);
    let streams: Vec<Stream> = (0..WRITERS).map(|_| server.stream("text/plain")).collect();
    let acknowledged: Vec<AtomicUsize> = (0..WRITERS).map(|_| AtomicUsize::new(0)).collect();
    let (stop, mut bounds) = (AtomicBool::new(false), Vec::new());
    std::thread::scope(|scope| {
        for (stream, acknowledged) in streams.iter().zip(&acknowledged) {
            let stop = &stop;
            scope.spawn(move || {
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    stream.append(line(number));
                    acknowledged.store(number + 1, Ordering::SeqCst);
                }
            });
        }
        let count = || -> Vec<usize> {
            let counts = acknowledged.iter();
            counts.map(|count| count.load(Ordering::SeqCst)).collect()
        };
        let mut random = Random::seeded(7);
        let mut kills = 0;
        while kills < 20 {
            let mut child = backup(&server, dest.path()).spawn().expect("it runs");
            let time = Duration::from_millis(random.below(150) as u64);
            kills += usize::from(kill_after(&mut child, time));
        }
        let begun = Instant::now();
        loop {
            let before = count();
            let (done, stderr) = run(backup(&server, dest.path()));
            let after = count();
            if done {
                bounds.push((before, after));
                break;
            }
            // The server still knows the backups of the killed clients.
            assert!(stderr.contains("backups are being taken"), "{stderr}");
            assert!(begun.elapsed() < 3 * PATIENCE, "{stderr}");
            std::thread::park_timeout(Duration::from_secs(1));
        }
        stop.store(true, Ordering::Relaxed);
    });
    drop(server);
    let mut restore = HOST.command();
    restore.arg("restore").arg(dest.path()).arg(new.path());
    let (done, stderr) = run(restore);
    assert!(done, "{stderr}");
    let server = over(new.path(), &[]);
    let (before, after) = &bounds[0];
    let found = concurrently(WRITERS, |writer| {
        expect_prefix(&Stream {
            address: server.address,
            ..streams[writer].clone()
        })
    });
    for writer in 0..WRITERS {
        // The append in flight may be in the backup.
        let allowed = before[writer]..=after[writer] + 1;
        assert!(
            allowed.contains(&found[writer]),
            "{} is not in {allowed:?}",
            found[writer]
        );
    }
}

#[test]
fn a_backup_needs_a_manage_token_without_a_prefix() {
    if store() != "file" || via() != "exchange" {
        return;
    }
    let tokens = r#"[{"token":"the-operators-token","scope":"manage"},
        {"token":"the-tenants-token","scope":"read write manage","prefix":"a"},
        {"token":"the-readers-token","scope":"read write"}]"#;
    let (live, dest) = (directory(), directory());
    let server = over(live.path(), &[("auth_tokens", tokens)]);
    for token in [
        None,
        Some("the-tenants-token"),
        Some("the-readers-token"),
        Some("no-known-token-at-all"),
    ] {
        let mut command = backup(&server, dest.path());
        if let Some(token) = token {
            command.env("DS_TOKEN", token);
        }
        let (done, stderr) = run(command);
        assert!(!done && stderr.contains("DS_TOKEN"), "{token:?}: {stderr}");
        let left = std::fs::read_dir(dest.path()).expect("lists");
        assert_eq!(left.count(), 0, "{token:?}");
    }
    let mut command = backup(&server, dest.path());
    command.env("DS_TOKEN", "the-operators-token");
    let (done, stderr) = run(command);
    assert!(done, "{stderr}");
}

#[test]
fn a_page_of_another_site_can_not_begin_a_backup() {
    if store() != "file" || via() != "exchange" {
        return;
    }
    let live = directory();
    let server = over(live.path(), &[]);
    for (site, status) in [
        ("cross-site", 403),
        ("same-site", 403),
        ("same-origin", 200),
    ] {
        let request = server.admin_request("POST", "/backup");
        let response = request.header("Sec-Fetch-Site", site).send();
        assert_eq!(response.status, status, "{site}");
    }
}

/// The server is killed at ten random moments, each while a client takes a backup and writers
/// append.
#[test]
fn kills_of_the_server_fail_the_backup_and_leave_the_earlier_one_whole() {
    if store() != "file" || via() != "exchange" {
        return;
    }
    let (live, dest) = (directory(), directory());
    let mut random = Random::seeded(11);
    let mut stream: Option<Stream> = None;
    let mut acknowledged = 0;
    for kill in 0..10 {
        let mut server = over(live.path(), &[]);
        let stream = Stream {
            address: server.address,
            ..stream
                .get_or_insert_with(|| server.stream("text/plain"))
                .clone()
        };
        for _ in 0..50 {
            stream.append(line(acknowledged));
            acknowledged += 1;
        }
        if kill == 0 {
            let (done, stderr) = run(backup(&server, dest.path()));
            assert!(done, "{stderr}");
        }
        let child = backup(&server, dest.path()).spawn().expect("it runs");
        std::thread::park_timeout(Duration::from_millis(random.below(60) as u64));
        server.signal("KILL");
        server.wait();
        let output = child.wait_with_output().expect("it ends");
        let stderr = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            assert_eq!(output.status.code(), Some(1), "{stderr}");
            let why = stderr.lines().last().unwrap_or_default();
            assert!(why.contains("is this the admin listener"), "{stderr}");
        }
        let mut check = HOST.command();
        check.arg("check").arg(dest.path());
        let (whole, stderr) = run(check);
        assert!(whole, "{stderr}");
    }
    let server = over(live.path(), &[]);
    let stream = Stream {
        address: server.address,
        ..stream.expect("it was made")
    };
    assert_eq!(expect_prefix(&stream), acknowledged);
    let (done, stderr) = run(backup(&server, dest.path()));
    assert!(done, "{stderr}");
}

#[test]
fn a_server_with_another_store_says_which_stores_have_backups() {
    if store() != "file" || via() != "exchange" {
        return;
    }
    let server = with_store("memory", &[]);
    let dest = directory();
    let (done, stderr) = run(backup(&server, dest.path()));
    assert!(!done && stderr.contains("only stores in files"), "{stderr}");
    assert_eq!(std::fs::read_dir(dest.path()).expect("lists").count(), 0);
}

#[test]
fn progress_goes_to_standard_error_and_the_summary_to_standard_output() {
    if store() != "file" || via() != "exchange" {
        return;
    }
    let (live, dest) = (directory(), directory());
    let server = over(live.path(), &[]);
    server.stream("text/plain").append("some text");
    let output = backup(&server, dest.path()).output().expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("1 of 1 segments"), "{stderr}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.starts_with("backup: 1 segments with "), "{stdout}");
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
}
