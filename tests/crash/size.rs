//! Cost of large stores: memory, disk, and time to start again.

use crate::client::Client;
use crate::load::path;
use crate::server::Server;
use std::path::Path;
use std::time::{Duration, Instant};

const MIB: usize = 1024 * 1024;

/// Longest wait in these tests.
const PATIENCE: Duration = Duration::from_secs(120);

fn full() -> bool {
    std::env::var("DS_TEST_FULL").as_deref() == Ok("1")
}

/// Bytes on the disk below a directory.
fn disk(directory: &Path) -> u64 {
    let files = std::fs::read_dir(directory).expect("it is there");
    let length = |file: std::fs::DirEntry| file.metadata().map_or(0, |file| file.len());
    files.map_while(Result::ok).map(length).sum()
}

fn connect(server: &Server) -> Client {
    Client::connect(server.address).expect("it listens")
}

fn read(client: &mut Client, target: &str) -> Vec<u8> {
    let response = client.send("GET", target, &[], b"");
    let response = response.expect("it answers");
    assert_eq!(response.status, 200);
    response.body
}

/// Restarts the server. Returns the new server and the time of a first read.
fn restart(directory: &Path, server: Server, target: &str) -> (Server, Duration) {
    drop(server);
    let server = Server::start(directory, &[]);
    let begun = Instant::now();
    read(&mut connect(&server), target);
    (server, begun.elapsed())
}

#[test]
fn an_idle_stream_costs_less_than_a_kibibyte_of_memory() {
    let streams = if full() { 100_000 } else { 5_000 };
    let directory = tempfile::tempdir().expect("a directory");
    let empty = tempfile::tempdir().expect("a directory");
    let server = Server::start(directory.path(), &[]);
    let begun = Instant::now();
    let body = vec![b'x'; 1024];
    // Concurrent creations, because each waits for the disk.
    std::thread::scope(|scope| {
        for writer in 0..32 {
            let (server, body) = (&server, &body);
            scope.spawn(move || {
                let mut client = connect(server);
                for stream in (writer..streams).step_by(32) {
                    let headers = [("content-type", "text/plain")];
                    let created = client.send("PUT", &path(stream), &headers, body);
                    assert_eq!(created.expect("it answers").status, 201);
                }
            });
        }
    });
    let created_in = begun.elapsed();
    let (server, first_read) = restart(directory.path(), server, &path(streams / 2));
    let with = server.memory();
    let mut client = connect(&server);
    for stream in (0..streams).step_by(streams / 100) {
        assert_eq!(read(&mut client, &path(stream)), body);
    }
    let without = Server::start(empty.path(), &[]).memory();
    let each = with.saturating_sub(without) / streams as u64;
    println!(
        "{streams} streams of 1 KiB: created in {created_in:.1?}, {} MiB on disk, {} MiB of memory \
         after a restart ({} without them: {each} bytes each), started in {:.1?}, first read in \
         {first_read:.1?}",
        disk(directory.path()) / MIB as u64,
        with / MIB as u64,
        without / MIB as u64,
        server.started_in,
    );
    assert!(each < 1024, "{each} bytes for each idle stream");
}

#[test]
fn a_deleted_stream_gives_its_room_on_the_disk_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start(directory.path(), &[]);
    let mut client = connect(&server);
    let headers = [("content-type", "application/octet-stream")];
    for stream in ["gone", "kept"] {
        let created = client.send("PUT", &format!("/v1/stream/{stream}"), &headers, b"x");
        assert_eq!(created.expect("it answers").status, 201);
    }
    let body = vec![7; 4 * MIB];
    for _ in 0..64 {
        let appended = client.send("POST", "/v1/stream/gone", &headers, &body);
        assert_eq!(appended.expect("it answers").status, 204);
    }
    let before = disk(directory.path());
    assert!(before > 256 * MIB as u64);
    let deleted = client.send("DELETE", "/v1/stream/gone", &[], b"");
    assert_eq!(deleted.expect("it answers").status, 204);
    let begun = Instant::now();
    // Two segments, the reserve and a little more may stay.
    while disk(directory.path()) > 152 * MIB as u64 {
        assert!(
            begun.elapsed() < PATIENCE,
            "{} bytes",
            disk(directory.path())
        );
        // The server gets no request: it removes the files by itself.
        std::thread::park_timeout(Duration::from_millis(50));
    }
    println!(
        "256 MiB deleted: {} MiB on disk before, {} MiB after {:.1?}",
        before / MIB as u64,
        disk(directory.path()) / MIB as u64,
        begun.elapsed()
    );
    assert_eq!(read(&mut client, "/v1/stream/kept"), b"x");
}

#[test]
fn a_large_stream_takes_its_room_on_disk_and_hardly_any_memory() {
    let mebibytes = if full() { 4096 } else { 128 };
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start(directory.path(), &[]);
    let mut client = connect(&server);
    let (stream, headers) = (path(0), [("content-type", "application/octet-stream")]);
    let created = client.send("PUT", &stream, &headers, b"");
    assert_eq!(created.expect("it answers").status, 201);
    let before = server.memory();
    let begun = Instant::now();
    for number in 0..mebibytes {
        let body = vec![number as u8; MIB];
        let appended = client.send("POST", &stream, &headers, &body);
        assert_eq!(appended.expect("it answers").status, 204);
    }
    let written_in = begun.elapsed();
    let grown = server.memory().saturating_sub(before);
    let (server, first_read) = restart(directory.path(), server, &stream);
    let mut client = connect(&server);
    let (mut offset, mut seen) = ("-1".to_owned(), 0);
    let begun = Instant::now();
    while seen < mebibytes * MIB {
        let response = client.send("GET", &format!("{stream}?offset={offset}"), &[], b"");
        let response = response.expect("it answers");
        for (place, byte) in response.body.iter().enumerate().step_by(4096) {
            assert_eq!(usize::from(*byte), (seen + place) / MIB % 256);
        }
        seen += response.body.len();
        let next = response.header("stream-next-offset");
        offset = next.expect("there is one").to_owned();
    }
    let read_in = begun.elapsed();
    let memory = server.memory();
    println!(
        "{mebibytes} MiB in one stream: written in {written_in:.1?}, {} MiB on disk, memory grew by \
         {} MiB meanwhile; started again in {:.1?}, first page in {first_read:.1?}, read in \
         {read_in:.1?} with {} MiB of memory in the end",
        disk(directory.path()) / MIB as u64,
        grown / MIB as u64,
        server.started_in,
        memory / MIB as u64,
    );
    assert!(grown < 64 * MIB as u64, "{grown} bytes more");
}
