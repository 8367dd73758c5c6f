//! `kill -9` while clients append and read.

use crate::HOST;
use crate::client::Client;
use crate::load::{Reader, Writer, lines, path};
use crate::server::Server;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const STREAMS: usize = 8;
const WRITERS: usize = 32;

/// Longest time of one round.
const PATIENCE: Duration = Duration::from_secs(120);

/// Number of kills: 10, or 100 in the long runs.
fn rounds() -> u64 {
    match std::env::var("DS_TEST_FULL").as_deref() {
        Ok("1") => 100,
        _ => 10,
    }
}

#[test]
fn every_acknowledged_append_survives_kill_9_in_order_and_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut writers: Vec<Writer> = (0..WRITERS)
        .map(|number| Writer::new(number, number % STREAMS))
        .collect();
    let mut readers: Vec<Reader> = (0..STREAMS).map(Reader::new).collect();
    let (mut total, mut time) = (0, Duration::ZERO);
    for round in 0..rounds() {
        let mut server = Server::start(directory.path(), &[]);
        let address = server.address;
        if round == 0 {
            let mut client = Client::connect(address).expect("it listens");
            for stream in 0..STREAMS {
                let headers = [("content-type", "text/plain"), ("stream-lease", "3600")];
                let created = client.send("PUT", &path(stream), &headers, b"");
                assert_eq!(created.expect("it answers").status, 201);
            }
        }
        let acknowledged = AtomicU64::new(0);
        // Some kills come before there is a second batch, others in the middle of the traffic.
        let enough = 1 + (round * 7919) % 3000;
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for writer in &mut writers {
                scope.spawn(|| writer.run(address, &acknowledged));
            }
            for reader in &mut readers {
                scope.spawn(|| reader.follow(address));
            }
            // The scope reports a writer that panics, once the loop has ended.
            while acknowledged.load(Ordering::Relaxed) < enough && begun.elapsed() < PATIENCE {
                std::thread::yield_now();
            }
            time += begun.elapsed();
            server.kill();
        });
        let acknowledged = acknowledged.into_inner();
        assert!(
            acknowledged >= enough,
            "round {round}: {acknowledged} of {enough}"
        );
        total += acknowledged;
        check(&Server::start(directory.path(), &[]), &writers, &readers);
    }
    let server = Server::start(directory.path(), &[]);
    let read_back = (0..STREAMS).map(|stream| lines(&content(&server, stream)).len());
    let read_back: usize = read_back.sum();
    let rate = total as f64 / time.as_secs_f64();
    println!(
        "{} kills: {total} appends acknowledged, {read_back} read back, {rate:.0} appends/s",
        rounds()
    );
    drop(server);
    let found = check_store(directory.path(), &["--fix"]);
    println!("{found}");
    let after = check_store(directory.path(), &[]);
    assert!(after.contains("left over: 0 keys"), "{after}");
}

/// Output of `durable-streams check` for a store without errors.
fn check_store(directory: &Path, flags: &[&str]) -> String {
    let mut command = HOST.command();
    let output = command.arg("check").arg(directory).args(flags).output();
    let output = output.expect("the host is there");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    assert!(text.contains("streams: 8 "), "{text}");
    text
}

fn content(server: &Server, stream: usize) -> Vec<u8> {
    let mut reader = Reader::new(stream);
    reader.catch_up(server.address);
    reader.seen
}

fn check(server: &Server, writers: &[Writer], readers: &[Reader]) {
    for (stream, reader) in readers.iter().enumerate() {
        let mut client = Client::connect(server.address).expect("it listens");
        let head = client.send("HEAD", &path(stream), &[], b"");
        assert_eq!(
            head.expect("it answers").header("stream-lease"),
            Some("3600")
        );
        let content = content(server, stream);
        assert!(
            content.starts_with(&reader.seen),
            "a reader of {stream} saw data that is not there any more"
        );
        let lines = lines(&content);
        for writer in writers
            .iter()
            .filter(|writer| writer.number % STREAMS == stream)
        {
            writer.check(&lines);
        }
    }
}
