//! Answers while Redis is away, hangs or is full, and the streams afterwards.

use crate::commits::{AppendResult, append_result};
use crate::common::server::new_redis;
use crate::common::{Response, ServerUnderTest, Stream, eventually};
use crate::redis::{follow, is_run_elsewhere, through};
use std::sync::atomic::{AtomicUsize, Ordering};
use test_support::RedisServer;

const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];
const WRITERS: usize = 8;
const MESSAGES: usize = 60;

/// Appends with a producer until it succeeds. Returns the number of failed tries.
fn insist(stream: &Stream, writer: usize, number: usize) -> usize {
    let post = stream.post(format!("<{writer}:{number}>"));
    let post = post.producer(&format!("writer-{writer}"), 0, number as u64);
    let mut again = 0;
    eventually("the append is done", || {
        let done = append_result(&post.send()) == AppendResult::Done;
        again += usize::from(!done);
        done
    });
    again
}

#[test]
fn writes_acknowledged_before_and_after_redis_was_killed_are_there_once() {
    if is_run_elsewhere() {
        return;
    }
    let mut redis = new_redis(&DURABLE);
    let start = || ServerUnderTest::start_over(&redis.url(), &[]);
    let hosts = [start(), start()];
    let stream = hosts[0].stream("text/plain");
    let (done, kills) = (AtomicUsize::new(0), 3);
    let (again, read) = std::thread::scope(|scope| {
        let (done, hosts, stream) = (&done, &hosts, &stream);
        let reader = scope.spawn(move || {
            let mut all = String::new();
            let there = through(hosts, stream, 1);
            // A waiting reader stays connected while Redis is away.
            follow(&there, true, |data| all.push_str(data));
            all
        });
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                scope.spawn(move || {
                    let stream = through(hosts, stream, writer);
                    let mut again = 0;
                    for number in 0..MESSAGES {
                        again += insist(&stream, writer, number);
                        done.fetch_add(1, Ordering::SeqCst);
                    }
                    again
                })
            })
            .collect();
        for kill in 1..=kills {
            let due = WRITERS * MESSAGES * kill / (kills + 1);
            eventually("writers get on", || done.load(Ordering::SeqCst) >= due);
            redis.kill().expect("it is killed");
            let at = done.load(Ordering::SeqCst);
            redis.start_again().expect("it starts again");
            println!("killed after {at} appends");
        }
        let again: usize = writers
            .into_iter()
            .map(|writer| writer.join().expect("no writer panics"))
            .sum();
        stream.close();
        (again, reader.join().expect("no reader panics"))
    });
    let all = String::from_utf8(stream.read_all("-1")).expect("text");
    assert_eq!(read, all);
    for writer in 0..WRITERS {
        let prefix = format!("<{writer}:");
        let own = all
            .split_inclusive('>')
            .filter(|one| one.starts_with(&prefix));
        let expected = (0..MESSAGES).map(|number| format!("<{writer}:{number}>"));
        assert!(
            own.eq(expected),
            "writer {writer} is not there once and in order"
        );
    }
    println!(
        "{} acknowledged appends are there once after {kills} kills of Redis; {again} requests \
         were repeated",
        WRITERS * MESSAGES
    );
}

/// Requires that no append succeeds during the outage, and that the host recovers afterwards.
fn expect_outage(host: &ServerUnderTest, stream: &Stream, after: impl FnOnce()) {
    host.request("GET", "/health").send().expect(200);
    let refused = stream.post("refused").send();
    assert!(
        matches!(
            append_result(&refused),
            AppendResult::Unavailable | AppendResult::Unknown
        ),
        "{refused:?}"
    );
    let unavailable = |answer: Response| {
        let answer = answer.problem(503, "UNAVAILABLE");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    };
    unavailable(stream.get("offset=-1").send());
    unavailable(host.name("text/plain").put().send());
    after();
    eventually("reads go on", || {
        stream.get("offset=-1").send().status == 200
    });
    insist(stream, 0, 0);
    let all = String::from_utf8(stream.read_all("-1")).expect("text");
    let expected = match append_result(&refused) {
        AppendResult::Unavailable => vec!["before<0:0>"],
        _ => vec!["before<0:0>", "beforerefused<0:0>", "before<0:0>refused"],
    };
    assert!(expected.contains(&&*all), "{all}");
}

fn outage_of(redis: &RedisServer) -> (ServerUnderTest, Stream) {
    let host = ServerUnderTest::start_over(&redis.url(), &[]);
    let stream = host.stream("text/plain");
    stream.append("before");
    (host, stream)
}

#[test]
fn without_redis_clients_are_asked_to_retry_and_then_service_resumes() {
    if is_run_elsewhere() {
        return;
    }
    let mut redis = new_redis(&DURABLE);
    let (host, stream) = outage_of(&redis);
    redis.kill().expect("it is killed");
    expect_outage(&host, &stream, || {
        redis.start_again().expect("it starts again");
    });
    host.expect_alive();
}

#[test]
fn while_redis_hangs_clients_are_asked_to_retry_and_then_service_resumes() {
    if is_run_elsewhere() {
        return;
    }
    let redis = new_redis(&[]);
    let (host, stream) = outage_of(&redis);
    redis.signal("STOP").expect("it stops");
    expect_outage(&host, &stream, || {
        redis.signal("CONT").expect("it goes on");
    });
    host.expect_alive();
}

#[test]
fn a_redis_without_room_is_a_507_and_reads_go_on() {
    if is_run_elsewhere() {
        return;
    }
    let redis = new_redis(&["--maxmemory-policy", "noeviction"]);
    let (host, stream) = outage_of(&redis);
    let client = ::redis::Client::open(redis.url()).expect("an address");
    let mut connection = client.get_connection().expect("it connects");
    let mut limit = |bytes: &str| {
        let mut command = ::redis::cmd("CONFIG");
        command.arg(&["SET", "maxmemory", bytes]);
        command.exec(&mut connection).expect("it may do that");
    };
    limit("1");
    stream
        .post("refused")
        .send()
        .problem(507, "INSUFFICIENT_STORAGE");
    assert_eq!(stream.read_all("-1"), b"before");
    limit("0");
    stream.append(" after");
    assert_eq!(stream.read_all("-1"), b"before after");
    host.expect_alive();
}
