//! Section 5.7: long-poll reads.

use crate::common::{ServerUnderTest, shared};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A server with long-polls that wait longer than any test.
fn patient() -> Option<ServerUnderTest> {
    ServerUnderTest::start(&[("long_poll_timeout_secs", "300")])
}

#[test]
fn available_data_is_answered_at_once() {
    let Some(server) = patient() else {
        return;
    };
    let stream = server.stream("text/plain");
    let tail = stream.append("data");
    let answer = stream.long_poll("-1").send().expect(200);
    answer.expect_security();
    answer.cursor();
    answer
        .with_body("data")
        .with("content-type", "text/plain")
        .with("stream-next-offset", &tail)
        .with("stream-up-to-date", "true");
}

#[test]
fn a_waiting_reader_gets_the_append() {
    let Some(server) = patient() else {
        return;
    };
    for content_type in ["text/plain", "application/json"] {
        let stream = server.stream(content_type);
        let mut at = stream.append("0");
        for number in 1..=20 {
            let waiting = stream.wait_at(&at);
            let tail = stream.append(number.to_string());
            let answer = waiting.finish().expect(200);
            let body = match content_type {
                "application/json" => format!("[{number}]"),
                _ => number.to_string(),
            };
            at = answer.next_offset();
            assert_eq!(at, tail);
            answer.cursor();
            answer.with_body(body).with("stream-up-to-date", "true");
        }
    }
}

#[test]
fn a_reader_that_waits_too_long_is_answered_204_with_the_tail() {
    let stream = shared().stream("text/plain");
    let tail = stream.append("data");
    let begun = Instant::now();
    let answer = stream.long_poll(&tail).send().expect(204);
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_millis(900), "{waited:?}");
    answer.expect_security();
    answer.cursor();
    answer
        .with("stream-next-offset", &tail)
        .with("stream-up-to-date", "true")
        .with("cache-control", "no-store")
        .without("stream-closed")
        .with_body("");
}

#[test]
fn now_waits_for_new_data() {
    let Some(server) = patient() else {
        return;
    };
    let stream = server.stream("text/plain");
    stream.append("old");
    let waiting = stream.wait_at("now");
    // The first append may arrive before the reader, which then waits for the next one.
    let answered = AtomicBool::new(false);
    let answer = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut appends = 0..10_000;
            while !answered.load(Ordering::SeqCst) && appends.next().is_some() {
                stream.append("new");
            }
        });
        let answer = waiting.finish();
        answered.store(true, Ordering::SeqCst);
        answer
    });
    let body = answer.expect(200).text();
    assert!(body.starts_with("new") && !body.contains("old"), "{body}");
}

#[test]
fn now_on_an_empty_stream_times_out() {
    let stream = shared().stream("application/json");
    let answer = stream.long_poll("now").send().expect(204);
    assert_eq!(answer.next_offset(), stream.tail());
}

#[test]
fn a_closed_stream_is_answered_204_at_once_at_its_tail() {
    let Some(server) = patient() else {
        return;
    };
    let stream = server.stream("text/plain");
    stream.append("data");
    let tail = stream.close().next_offset();
    for at in [tail.as_str(), "now"] {
        let answer = stream.long_poll(at).send().expect(204);
        assert!(answer.is_closed() && answer.is_up_to_date());
        assert_eq!(answer.next_offset(), tail);
    }
    let answer = stream.long_poll("-1").send().expect(200).with_body("data");
    assert!(answer.is_closed());
}

#[test]
fn closing_wakes_the_reader_that_waits() {
    let Some(server) = patient() else {
        return;
    };
    let stream = server.stream("text/plain");
    let tail = stream.append("data");
    let waiting = stream.wait_at(&tail);
    stream.close();
    let answer = waiting.finish().expect(204);
    assert!(answer.is_closed() && answer.is_up_to_date());
    assert_eq!(answer.next_offset(), tail);
}

#[test]
fn an_append_that_closes_is_delivered_with_the_end() {
    let Some(server) = patient() else {
        return;
    };
    let stream = server.stream("text/plain");
    let tail = stream.append("data");
    let waiting = stream.wait_at(&tail);
    let post = stream.post("last").header("Stream-Closed", "true");
    post.send().expect(204);
    let answer = waiting.finish().expect(200).with_body("last");
    assert!(answer.is_closed());
}

#[test]
fn deleting_ends_the_wait_with_404() {
    let Some(server) = patient() else {
        return;
    };
    let stream = server.stream("text/plain");
    let tail = stream.append("data");
    let waiting = stream.wait_at(&tail);
    stream.delete().send().expect(204);
    waiting.finish().problem(404, "NOT_FOUND");
}

#[test]
fn deleting_and_creating_again_does_not_mix_two_lives() {
    let Some(server) = patient() else {
        return;
    };
    let stream = server.stream("text/plain");
    let tail = stream.append("data");
    let waiting = stream.wait_at(&tail);
    stream.delete().send().expect(204);
    stream.create();
    stream.append("another life");
    let answer = waiting.finish();
    assert!(matches!(answer.status, 404 | 410), "{answer:?}");
}

#[test]
fn every_reader_that_waits_gets_the_same() {
    let Some(server) = patient() else {
        return;
    };
    let stream = server.stream("text/plain");
    let tail = stream.append("data");
    let waiting: Vec<_> = (0..60).map(|_| stream.long_poll(&tail).start()).collect();
    stream.head().send();
    let new = stream.append("for all");
    for reader in waiting {
        let answer = reader.finish().expect(200).with_body("for all");
        assert_eq!(answer.next_offset(), new);
    }
}

#[test]
fn a_reader_is_not_answered_for_another_stream() {
    let server = shared();
    let quiet = server.stream("text/plain");
    let busy = server.stream("text/plain");
    let waiting = quiet.wait_at("-1");
    for _ in 0..20 {
        busy.append("x");
    }
    let answer = waiting.finish().expect(204);
    assert_eq!(answer.next_offset(), quiet.tail());
}

#[test]
fn a_cursor_is_always_larger_than_the_one_that_was_sent() {
    let stream = shared().stream("text/plain");
    stream.append("data");
    let poll = |cursor: &str| {
        let query = format!("offset=-1&live=long-poll&cursor={cursor}");
        stream.get(&query).send().expect(200).cursor()
    };
    let mut last = poll("0");
    for _ in 0..50 {
        let next = poll(&last.to_string());
        assert!(next > last, "{next} after {last}");
        last = next;
    }
    let far = 1 << 50;
    assert!(poll(&far.to_string()) > far);
    assert!(last < 1 << 53 && poll("0") < 1 << 53);
}

#[test]
fn cursors_do_not_differ_between_readers_of_one_state() {
    let stream = shared().stream("text/plain");
    stream.append("data");
    // A cursor interval may end between two of the reads, but not between all.
    let cursors: Vec<u64> = (0..20)
        .map(|_| stream.long_poll("-1").send().expect(200).cursor())
        .collect();
    let distinct: std::collections::BTreeSet<_> = cursors.iter().collect();
    assert!(distinct.len() <= 2, "{cursors:?}");
}

#[test]
fn a_cursor_that_is_no_number_is_ignored_or_refused_but_never_returned() {
    let stream = shared().stream("text/plain");
    stream.append("data");
    for cursor in [
        "abc",
        "-5",
        "1.5",
        "%00",
        "99999999999999999999999",
        "9007199254740992",
    ] {
        let query = format!("offset=-1&live=long-poll&cursor={cursor}");
        let answer = stream.get(&query).send();
        match answer.status {
            200 => assert!(answer.cursor() < 1 << 53, "{answer:?}"),
            _ => drop(answer.problem(400, "BAD_REQUEST")),
        }
    }
}

#[test]
fn a_conditional_long_poll_is_never_answered_304_instead_of_waiting() {
    let stream = shared().stream("text/plain");
    let tail = stream.append("data");
    for at in ["-1", tail.as_str()] {
        let tag = stream.read(at).header("etag").map(str::to_owned);
        let tag = tag.expect("every page has a tag");
        for condition in [tag.as_str(), "*"] {
            let answer = stream.long_poll(&tail).header("If-None-Match", condition);
            answer.send().expect(204);
        }
    }
}

#[test]
fn an_offset_ahead_of_the_tail_is_refused_at_once() {
    let stream = shared().stream("text/plain");
    stream.append("data");
    let ahead = "0000000000000007_0000000000000090";
    stream.long_poll(ahead).send().problem(410, "OFFSET_GONE");
    let sse = stream.get(&format!("offset={ahead}&live=sse"));
    sse.send().problem(410, "OFFSET_GONE");
}

#[test]
fn readers_that_leave_do_no_harm() {
    let Some(server) = patient() else {
        return;
    };
    let stream = server.stream("text/plain");
    for _ in 0..200 {
        drop(stream.long_poll("now").start());
    }
    // Not at `now`: the append could arrive before the reader.
    let waiting = stream.wait_at("-1");
    stream.append("x");
    waiting.finish().expect(200).with_body("x");
    server.expect_alive();
}
