//! Leases of writers, with real clocks: readers learn that the writer died.

use crate::common::server::store;
use crate::common::{PATIENCE, ServerUnderTest, Stream, eventually, shared};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const LAPSED: &str = "lease-expired";

fn leased(server: &ServerUnderTest, secs: u64) -> Stream {
    let stream = server.name("text/plain");
    let put = stream.put().header("Content-Type", "text/plain");
    let put = put.header("Stream-Lease", secs.to_string());
    put.send()
        .expect(201)
        .with("stream-lease", &secs.to_string());
    stream
}

fn heartbeat(stream: &Stream, secs: u64) -> crate::common::Response {
    let beat = stream
        .request("POST")
        .header("Stream-Lease", secs.to_string());
    beat.body("").send()
}

/// Long-polls until the stream is closed. Returns the reason.
fn reason_by_long_poll(stream: &Stream) -> Option<String> {
    let begun = Instant::now();
    loop {
        let answer = stream.long_poll("now").send();
        if answer.is_closed() {
            return answer.header("stream-closed-reason").map(str::to_owned);
        }
        assert!(begun.elapsed() < PATIENCE, "it never closed: {answer:?}");
    }
}

/// Follows the stream by SSE, through as many connections as it takes, until it is closed. Returns the
/// reason.
fn reason_by_sse(stream: &Stream) -> Option<String> {
    let begun = Instant::now();
    loop {
        let mut events = stream.sse("now");
        while let Some(event) = events.next() {
            if event.name == "control" && event.control().closed {
                return event.control().reason;
            }
        }
        assert!(begun.elapsed() < PATIENCE, "it never closed");
    }
}

#[test]
fn every_reader_of_a_writer_that_died_learns_the_reason_and_none_too_early() {
    let stream = leased(shared(), 1);
    let renewed = Instant::now();
    stream.append("the last words");
    let reasons: Vec<_> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..20)
            .map(|index| {
                let stream = &stream;
                scope.spawn(move || match index % 2 {
                    0 => reason_by_long_poll(stream),
                    _ => reason_by_sse(stream),
                })
            })
            .collect();
        let joined = readers.into_iter().map(|reader| reader.join());
        joined
            .map(|reason| reason.expect("no reader panics"))
            .collect()
    });
    let after = renewed.elapsed();
    assert!(
        reasons
            .iter()
            .all(|reason| reason.as_deref() == Some(LAPSED))
    );
    assert!(after >= Duration::from_secs(1), "{after:?}");
    let late = stream.post("late").send().problem(409, "STREAM_CLOSED");
    late.with("stream-closed-reason", LAPSED);
    heartbeat(&stream, 1)
        .problem(409, "STREAM_CLOSED")
        .with("stream-closed-reason", LAPSED);
    let page = stream.read("-1").with_body("the last words");
    page.with("stream-closed-reason", LAPSED);
}

#[test]
fn a_writer_that_renews_keeps_its_stream_open() {
    let stream = leased(shared(), 2);
    let begun = Instant::now();
    let mut beats = 0;
    while begun.elapsed() < Duration::from_secs(5) {
        match beats % 2 {
            0 => heartbeat(&stream, 2).expect(204),
            _ => stream.post("x").send().expect(204),
        };
        beats += 1;
        std::thread::park_timeout(Duration::from_millis(200));
    }
    let head = stream.head().send().expect(200).without("stream-closed");
    head.with("stream-lease", "2");
}

/// No request touches the streams after their writers died.
#[test]
fn streams_without_readers_are_closed_too() {
    let variables = [("log_level", "info")];
    let Some(server) = ServerUnderTest::start_native(&variables, "its log") else {
        return;
    };
    let streams: Vec<Stream> = (0..5).map(|_| leased(&server, 1)).collect();
    let later = server.stream("text/plain");
    heartbeat(&later, 1).expect(204);
    let lapses = || {
        let log = server.log();
        let lapses = log
            .iter()
            .filter(|line| line.contains("\"ds.operation\":\"lapse\""));
        lapses.filter(|line| line.contains("was closed")).count()
    };
    eventually("background work closes the streams", || lapses() == 6);
    for stream in streams.iter().chain([&later]) {
        let head = stream.head().send().expect(200);
        head.with("stream-closed-reason", LAPSED);
    }
}

/// The lease ends while the host is down. Its writers must be able to connect again.
#[test]
fn a_restart_closes_no_stream_of_a_living_writer() {
    if store() != "file" {
        return;
    }
    let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let store = format!("file:{}", directory.path().display());
    let variables = [("lease_skew_ms", "0")];
    let mut server = ServerUnderTest::start_over(&store, &variables);
    let streams: Vec<Stream> = (0..10).map(|_| leased(&server, 3)).collect();
    let renewed = Instant::now();
    server.signal("KILL");
    server.wait();
    eventually("the leases are over", || {
        renewed.elapsed() > Duration::from_secs(3)
    });
    let server = ServerUnderTest::start_over(&store, &variables);
    for stream in streams {
        let stream = Stream {
            address: server.address,
            ..stream
        };
        stream.head().send().expect(200).without("stream-closed");
        heartbeat(&stream, 3).expect(204);
    }
}

#[test]
fn a_lease_that_is_ended_closes_nothing() {
    let stream = leased(shared(), 1);
    heartbeat(&stream, 0).expect(204).without("stream-lease");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(2_500) {
        stream
            .long_poll("now")
            .send()
            .expect(204)
            .without("stream-closed");
    }
    stream.append("still open");
}
