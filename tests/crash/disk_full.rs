//! The disk fills up while clients append.

use crate::client::Client;
use crate::load::{Reader, path};
use crate::server::Server;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Longest time for emptying a disk.
const PATIENCE: Duration = Duration::from_secs(180);

/// A small file system in memory. It is unmounted when dropped.
struct SmallDisk {
    directory: tempfile::TempDir,
}

fn run(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

impl SmallDisk {
    /// Mounts the disk. Returns `None` where that is not allowed.
    fn new() -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().display().to_string();
        run("mount", &["-t", "tmpfs", "-o", "size=16m", "tmpfs", &path])
            .then_some(Self { directory })
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Enlarges the disk.
    fn grow(&self) {
        let path = self.path().display().to_string();
        assert!(run("mount", &["-o", "remount,size=256m", &path]));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let path = self.path().display().to_string();
        run("umount", &["-l", &path]);
    }
}

#[test]
fn a_full_disk_is_reported_loses_nothing_and_recovers_when_there_is_room() {
    let Some(disk) = SmallDisk::new() else {
        println!("skipped: a tmpfs can't be mounted here, which takes root");
        return;
    };
    let server = Server::start(&disk.path().join("data"), &[]);
    let mut client = Client::connect(server.address).expect("it listens");
    let (stream, headers) = (path(0), [("content-type", "text/plain")]);
    let created = client.send("PUT", &stream, &headers, b"");
    assert_eq!(created.expect("it answers").status, 201);
    let read = |server: &Server| {
        let mut reader = Reader::new(0);
        reader.catch_up(server.address);
        reader.seen
    };
    let mut expected = Vec::new();
    let mut answers = BTreeMap::<(u16, String), u64>::new();
    let mut refused = 0;
    let mut message = 0_u64;
    // Large and small appends, so that both chunks and heads meet the end of the disk.
    while refused < 50 {
        let body = format!("{message} ").repeat(if message.is_multiple_of(3) {
            20_000
        } else {
            20
        });
        message += 1;
        let answer = client.send("POST", &stream, &headers, body.as_bytes());
        let answer = answer.expect("it answers");
        *answers.entry((answer.status, answer.code())).or_default() += 1;
        match answer.status {
            204 => expected.extend_from_slice(body.as_bytes()),
            507 => refused += 1,
            503 if answer.code() == "OUTCOME_UNKNOWN" => {
                let found = read(&server);
                let applied = [&*expected, body.as_bytes()].concat();
                assert!(found == expected || found == applied, "once or not at all");
                expected = found;
            }
            other => panic!("{other} {}", answer.code()),
        }
        assert!(message < 100_000, "the disk does not fill: {answers:?}");
    }
    assert!(
        read(&server) == expected,
        "reads go on while the disk is full"
    );
    disk.grow();
    let more = client.send("POST", &stream, &headers, b"after");
    assert_eq!(more.expect("it answers").status, 204, "there is room again");
    expected.extend_from_slice(b"after");
    assert!(
        read(&server) == expected,
        "all that was acknowledged is there"
    );
    drop(server);
    let server = Server::start(&disk.path().join("data"), &[]);
    assert!(read(&server) == expected, "also after a restart");
    println!("answers on a disk that fills up: {answers:?}");
}

/// Creates streams until even the smallest body does not fit. Returns the number of streams.
fn fill(client: &mut Client, sizes: &[usize]) -> usize {
    let headers = [("content-type", "text/plain")];
    let mut streams = 0;
    for size in sizes {
        let body = vec![b'f'; *size];
        let mut refused = 0;
        while refused < 50 {
            let created = client.send("PUT", &path(streams), &headers, &body);
            match created.expect("it answers").status {
                201 => streams += 1,
                503 | 507 => refused += 1,
                other => panic!("{other}"),
            }
            assert!(streams < 100_000, "the disk does not fill");
        }
    }
    streams
}

/// 3,660 deletions on such a disk were all answered with 507, also after a restart.
#[test]
fn a_full_disk_is_emptied_by_deletions_and_takes_appends_again() {
    let mixed = [200_000, 2_000, 20];
    for (sizes, restart) in [(&mixed[..], false), (&mixed, true), (&[20], true)] {
        let Some(disk) = SmallDisk::new() else {
            println!("skipped: a tmpfs can't be mounted here, which takes root");
            return;
        };
        let directory = disk.path().join("data");
        let mut server = Server::start(&directory, &[]);
        let mut client = Client::connect(server.address).expect("it listens");
        let streams = fill(&mut client, sizes);
        if restart {
            drop(server);
            server = Server::start(&directory, &[]);
            client = Client::connect(server.address).expect("it listens");
        }
        let begun = Instant::now();
        let mut answers = BTreeMap::<u16, u64>::new();
        let mut left: Vec<usize> = (0..streams).collect();
        while !left.is_empty() {
            left.retain(|stream| {
                let deleted = client.send("DELETE", &path(*stream), &[], b"");
                let status = deleted.expect("it answers").status;
                *answers.entry(status).or_default() += 1;
                // A deletion with an unknown outcome may have been done.
                status != 204 && status != 404
            });
            let spent = begun.elapsed();
            assert!(spent < PATIENCE, "{} left: {answers:?}", left.len());
        }
        let emptied_in = begun.elapsed();
        let body = vec![b'n'; 1_000_000];
        let headers = [("content-type", "text/plain")];
        let mut refused = 0;
        loop {
            let created = client.send("PUT", &path(streams), &headers, &body);
            match created.expect("it answers").status {
                201 => break,
                _ => refused += 1,
            }
            let spent = begun.elapsed();
            assert!(spent < PATIENCE, "no appends: {refused} refused");
        }
        println!(
            "{streams} streams of {sizes:?} bytes, restart {restart}: emptied in {emptied_in:.1?} \
                 {answers:?}; an append after {refused} refusals, {:.1?} after the first deletion",
            begun.elapsed()
        );
    }
}
