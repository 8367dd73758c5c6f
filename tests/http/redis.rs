//! Two hosts, as separate processes, on one Redis.

use crate::commits::{AppendResult, append_result};
use crate::common::server::new_redis;
use crate::common::sse::Events;
use crate::common::{Connection, ServerUnderTest, Stream, eventually, full, server};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const WRITERS: usize = 16;
const READERS: usize = 16;

/// These tests need Redis as the store.
pub(crate) fn is_run_elsewhere() -> bool {
    let elsewhere = server::store() != "redis";
    if elsewhere {
        println!("elsewhere: runs with DS_TEST_STORE=redis");
    }
    elsewhere
}

/// The same stream through one of two hosts.
pub(crate) fn through(hosts: &[ServerUnderTest; 2], stream: &Stream, number: usize) -> Stream {
    Stream {
        address: hosts[number % 2].address,
        ..stream.clone()
    }
}

/// The head of the answer to a GET, which is repeated while Redis is away.
fn open(stream: &Stream, query: &str) -> Connection {
    let mut answer = None;
    eventually("the stream can be read", || {
        let connection = stream.get(query).open();
        let away = connection.head().status == 503;
        answer = (!away).then_some(connection);
        answer.is_some()
    });
    answer.expect("it was read")
}

/// Follows a stream by SSE or by long-poll until it is closed, and passes its data to `take`.
pub(crate) fn follow(stream: &Stream, by_sse: bool, mut take: impl FnMut(&str)) {
    let mut at = "-1".to_owned();
    loop {
        if by_sse {
            let connection = open(stream, &format!("offset={at}&live=sse"));
            let mut events = Events::of(connection);
            while let Some(event) = events.next() {
                match &*event.name {
                    "data" => take(&event.data),
                    _ => {
                        let control = event.control();
                        at = control.next_offset;
                        if control.closed {
                            return;
                        }
                    }
                }
            }
        } else {
            let answer = open(stream, &format!("offset={at}&live=long-poll")).finish();
            match answer.status {
                200 => take(&answer.text()),
                204 => {}
                _ => panic!("{answer:?}"),
            }
            at = answer.next_offset();
            if answer.is_closed() && answer.is_up_to_date() {
                return;
            }
        }
    }
}

/// When each message was acknowledged, and when it reached a reader of the other host.
#[derive(Default)]
struct Clock {
    acknowledged: Mutex<HashMap<String, Instant>>,
    arrived: Mutex<Vec<(String, Instant)>>,
}

impl Clock {
    /// The times between, sorted; zero where the message reached the reader first.
    fn waits(self) -> Vec<Duration> {
        let inner = |error: PoisonError<_>| error.into_inner();
        let acknowledged = self.acknowledged.into_inner().unwrap_or_else(inner);
        let arrived = self.arrived.into_inner().expect("no reader panicked");
        let wait = |(message, at): &(String, Instant)| {
            let acknowledged = acknowledged.get(message)?;
            Some(at.saturating_duration_since(*acknowledged))
        };
        let mut waits: Vec<Duration> = arrived.iter().filter_map(wait).collect();
        waits.sort();
        waits
    }
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted[(sorted.len() * percent / 100).min(last)]
}

fn say(label: &str, clock: Clock) {
    let waits = clock.waits();
    println!(
        "{label}: from the acknowledgement by one host to the bytes from the other: p50 {:?}, p99 \
         {:?}, of {}",
        percentile(&waits, 50),
        percentile(&waits, 99),
        waits.len(),
    );
}

/// Appends messages, each until it is acknowledged. Two of four writers use a producer. Returns the
/// number of retries.
fn write(stream: &Stream, writer: usize, messages: usize, clock: &Clock) -> usize {
    let mut again = 0;
    for number in 0..messages {
        let message = format!("<{writer}:{number}>");
        let mut post = stream.post(&message);
        if (writer / 2).is_multiple_of(2) {
            post = post.producer(&format!("writer-{writer}"), 0, number as u64);
        }
        loop {
            match append_result(&post.send()) {
                AppendResult::Done => break,
                AppendResult::Unavailable => again += 1,
                result => panic!("{message} got {result:?}"),
            }
        }
        let mut acknowledged = clock.acknowledged.lock().expect("no writer panicked");
        acknowledged.insert(message, Instant::now());
    }
    again
}

#[test]
fn of_16_writers_and_16_live_readers_on_two_hosts_nothing_is_lost_doubled_or_out_of_order() {
    if is_run_elsewhere() {
        return;
    }
    let redis = new_redis(&[]);
    let start = || ServerUnderTest::start_over(&redis.url(), &[]);
    let hosts = [start(), start()];
    let stream = hosts[0].stream("text/plain");
    let messages = if full() { 500 } else { 50 };
    let (clock, writing) = (Clock::default(), AtomicUsize::new(WRITERS));
    let begun = Instant::now();
    let (again, read) = std::thread::scope(|scope| {
        let (clock, writing, hosts, stream) = (&clock, &writing, &hosts, &stream);
        let readers: Vec<_> = (0..READERS)
            .map(|reader| {
                scope.spawn(move || {
                    let mut all = String::new();
                    // The first half reads by SSE, with as many readers on each host.
                    follow(
                        &through(hosts, stream, reader),
                        reader < READERS / 2,
                        |data| {
                            let now = Instant::now();
                            all.push_str(data);
                            let other = |message: &&str| {
                                let writer = message[1..].split(':').next();
                                let writer = writer.and_then(|writer| writer.parse().ok());
                                writer.is_some_and(|writer: usize| writer % 2 != reader % 2)
                            };
                            let from_other = data.split_inclusive('>').filter(other);
                            let mut arrived = clock.arrived.lock().expect("no reader panicked");
                            arrived.extend(from_other.map(|message| (message.to_owned(), now)));
                        },
                    );
                    all
                })
            })
            .collect();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                scope.spawn(move || {
                    let stream = through(hosts, stream, writer);
                    let again = write(&stream, writer, messages, clock);
                    if writing.fetch_sub(1, Ordering::SeqCst) == 1 {
                        stream.close();
                    }
                    again
                })
            })
            .collect();
        let again: usize = writers
            .into_iter()
            .map(|writer| writer.join().expect("no writer panics"))
            .sum();
        let read: Vec<String> = readers
            .into_iter()
            .map(|reader| reader.join().expect("no reader panics"))
            .collect();
        (again, read)
    });
    let all = String::from_utf8(stream.read_all("-1")).expect("text");
    assert_eq!(through(&hosts, &stream, 1).read_all("-1"), all.as_bytes());
    for (reader, read) in read.iter().enumerate() {
        assert!(*read == all, "reader {reader} read something else");
    }
    for writer in 0..WRITERS {
        let prefix = format!("<{writer}:");
        let own = all
            .split_inclusive('>')
            .filter(|one| one.starts_with(&prefix));
        let expected = (0..messages).map(|number| format!("<{writer}:{number}>"));
        assert!(
            own.eq(expected),
            "writer {writer} is not there once and in order"
        );
    }
    println!(
        "{WRITERS} writers of {messages} and {READERS} live readers on two hosts in {:?}, {again} \
         UNAVAILABLE",
        begun.elapsed()
    );
    say("under that load", clock);
    hosts[0].expect_alive();
}

#[test]
fn an_append_on_one_host_wakes_a_reader_on_the_other() {
    if is_run_elsewhere() {
        return;
    }
    let redis = new_redis(&[]);
    // The time-outs are longer than the test: a reader that only a time-out wakes fails it.
    let variables = [("long_poll_timeout_secs", "300"), ("sse_max_secs", "300")];
    let start = || ServerUnderTest::start_over(&redis.url(), &variables);
    let hosts = [start(), start()];
    for by_sse in [true, false] {
        let stream = hosts[0].stream("text/plain");
        let clock = Clock::default();
        let (arrived, arrives) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let there = through(&hosts, &stream, 1);
            let clock = &clock;
            scope.spawn(move || {
                follow(&there, by_sse, |data| {
                    let now = Instant::now();
                    let mut all = clock.arrived.lock().expect("no reader panicked");
                    all.push((data.to_owned(), now));
                    // The writer may have left after a failure.
                    let _ = arrived.send(());
                });
            });
            for number in 0..if full() { 2000 } else { 200 } {
                let message = format!("<{number}>");
                stream.append(&message);
                let mut acknowledged = clock.acknowledged.lock().expect("no writer panicked");
                acknowledged.insert(message, Instant::now());
                drop(acknowledged);
                let came = arrives.recv_timeout(Duration::from_secs(30));
                assert!(came.is_ok(), "message {number} did not come");
            }
            stream.close();
        });
        say(if by_sse { "SSE" } else { "long-poll" }, clock);
    }
}
