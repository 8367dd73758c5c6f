//! Section 5.1: Stream-TTL and Stream-Expires-At.
//!
//! A sliding lifetime is renewed in steps of a tenth of it, at least 200 ms: a stream of 1 s lives
//! 1 to 1.2 s after it was last used.

use crate::common::{ServerUnderTest, Stream, eventually, shared};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn lives(seconds: u64) -> Stream {
    let stream = shared().name("text/plain");
    let put = stream.put().header("Content-Type", "text/plain");
    let put = put.header("Stream-TTL", seconds.to_string());
    put.send().expect(201);
    stream
}

fn is_there(stream: &Stream) -> bool {
    let answer = stream.head().send();
    assert!(matches!(answer.status, 200 | 404), "{answer:?}");
    answer.status == 200
}

/// A date in seconds since 1970, in the form of RFC 3339.
fn date(seconds: u64) -> String {
    let days = seconds / 86_400;
    let (mut year, mut rest) = (1970, days);
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    while rest >= 365 + u64::from(leap(year)) {
        rest -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if rest < length {
            break;
        }
        rest -= length;
        month += 1;
    }
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!(
        "{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z",
        rest + 1
    )
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("it is after 1970").as_secs()
}

#[test]
fn head_returns_the_lifetime_as_it_was_given() {
    let stream = lives(3600);
    for _ in 0..3 {
        stream
            .head()
            .send()
            .expect(200)
            .with("stream-ttl", "3600")
            .without("stream-expires-at");
        stream.append("x");
        stream.read("-1");
    }
}

#[test]
fn head_returns_the_date_of_expiry_as_the_same_instant() {
    for (given, same) in [
        ("2099-12-31T23:59:59Z", "2099-12-31T23:59:59"),
        ("2099-12-31T23:59:59+00:00", "2099-12-31T23:59:59"),
        ("2100-01-01T01:29:59.000+01:30", "2099-12-31T23:59:59"),
    ] {
        let stream = shared().name("text/plain");
        let put = stream.put().header("Stream-Expires-At", given);
        put.send().expect(201);
        let head = stream.head().send().expect(200).without("stream-ttl");
        let returned = head.header("stream-expires-at").unwrap_or_default();
        assert!(
            returned.starts_with(same) && returned.ends_with('Z'),
            "{returned} for {given}"
        );
    }
}

#[test]
fn a_malformed_lifetime_is_400() {
    let bad = [
        "",
        "abc",
        "-1",
        "+60",
        "007",
        "00",
        "60.0",
        "60.",
        "6e1",
        "0x10",
        "1 000",
        "1,5",
        "1s",
        "18446744073709551616",
        "99999999999999999999999999999999",
        "\u{661}",
    ];
    for ttl in bad {
        let stream = shared().name("text/plain");
        let put = stream.put().header("Stream-TTL", ttl);
        put.send().problem(400, "BAD_REQUEST");
        stream.head().send().expect(404);
    }
}

#[test]
fn a_huge_lifetime_is_taken_or_refused_and_never_a_crash() {
    let Some(server) = ServerUnderTest::start(&[]) else {
        return;
    };
    for ttl in [
        "4294967296",
        "9007199254740992",
        "9223372036854775807",
        "18446744073709551615",
    ] {
        let stream = server.name("application/octet-stream");
        let answer = stream.put().header("Stream-TTL", ttl).send();
        match answer.status {
            201 => {
                stream.head().send().expect(200).with("stream-ttl", ttl);
                stream.append("x");
                stream.read("-1").with_body("x");
            }
            _ => drop(answer.problem(400, "BAD_REQUEST")),
        }
    }
    server.expect_alive();
}

#[test]
fn a_malformed_date_is_400() {
    let bad = [
        "",
        "tomorrow",
        "2099",
        "2099-01-01",
        "2099-01-01T00:00:00",
        "2099-13-01T00:00:00Z",
        "2099-02-30T00:00:00Z",
        "2099-01-01T25:00:00Z",
        "2099-01-01 ",
        "1893456000",
        "2099-01-01T00:00:00+99:00",
        "99999-01-01T00:00:00Z",
    ];
    for date in bad {
        let stream = shared().name("text/plain");
        let put = stream.put().header("Stream-Expires-At", date);
        put.send().problem(400, "BAD_REQUEST");
        stream.head().send().expect(404);
    }
}

#[test]
fn a_lifetime_and_a_date_together_are_400() {
    let stream = shared().name("text/plain");
    let put = stream.put().header("Stream-TTL", "60");
    let put = put.header("Stream-Expires-At", "2099-01-01T00:00:00Z");
    put.send().problem(400, "BAD_REQUEST");
}

#[test]
fn an_expired_stream_is_404_to_every_method_and_its_name_is_free() {
    let stream = lives(1);
    stream.append("data");
    eventually("it expires", || !is_there(&stream));
    stream.get("offset=-1").send().problem(404, "NOT_FOUND");
    stream.long_poll("now").send().problem(404, "NOT_FOUND");
    stream
        .get("offset=now&live=sse")
        .send()
        .problem(404, "NOT_FOUND");
    stream.post("x").send().problem(404, "NOT_FOUND");
    stream.delete().send().problem(404, "NOT_FOUND");
    let again = stream.name_again("application/json");
    again.create();
    assert_eq!(again.read_all("-1"), b"[]");
}

#[test]
fn a_stream_past_its_date_is_gone_despite_reads_and_appends() {
    let stream = shared().name("text/plain");
    let put = stream.put().header("Content-Type", "text/plain");
    let put = put.header("Stream-Expires-At", date(now() + 2));
    put.send().expect(201);
    eventually("it expires", || {
        stream.post("x").send();
        stream.get("offset=-1").send();
        !is_there(&stream)
    });
    stream.post("x").send().problem(404, "NOT_FOUND");
}

#[test]
fn a_date_in_the_past_is_a_stream_that_is_gone() {
    let stream = shared().name("text/plain");
    let put = stream
        .put()
        .header("Stream-Expires-At", "2020-01-01T00:00:00Z");
    put.send().expect(201);
    stream.head().send().expect(404);
}

#[test]
fn a_lifetime_of_0_ends_almost_at_once() {
    let stream = lives(0);
    eventually("it expires", || !is_there(&stream));
}

/// Runs `renew` during three lifetimes of 1 s. Returns whether the stream outlived them.
fn outlives(mut renew: impl FnMut(&Stream)) -> bool {
    let stream = lives(1);
    stream.append("data");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(3000) {
        renew(&stream);
        std::thread::park_timeout(Duration::from_millis(20));
    }
    is_there(&stream)
}

#[test]
fn reading_renews_the_lifetime() {
    assert!(outlives(|stream| drop(stream.read("-1"))));
}

#[test]
fn reading_at_now_renews_the_lifetime() {
    assert!(outlives(|stream| drop(stream.read("now"))));
}

#[test]
fn appending_renews_the_lifetime() {
    assert!(outlives(|stream| drop(stream.append("x"))));
}

#[test]
fn a_conditional_read_renews_the_lifetime() {
    assert!(outlives(|stream| {
        let get = stream.get("offset=-1").header("If-None-Match", "*");
        get.send().expect(304);
    }));
}

#[test]
fn head_does_not_renew_the_lifetime() {
    assert!(!outlives(|stream| drop(stream.head().send())));
}

#[test]
fn a_stream_with_a_reader_that_waits_does_not_expire() {
    let stream = lives(2);
    let tail = stream.append("data");
    for _ in 0..4 {
        stream.long_poll(&tail).send().expect(204);
    }
    assert!(is_there(&stream));

    let stream = lives(1);
    let mut events = stream.sse("now");
    assert!(events.event().control().up_to_date);
    let begun = Instant::now();
    eventually("3 s pass", || begun.elapsed() > Duration::from_secs(3));
    stream.append("still here");
    assert_eq!(events.pair().0, "still here");
}

#[test]
fn a_reader_never_waits_past_the_date_of_expiry() {
    let Some(server) = ServerUnderTest::start(&[("long_poll_timeout_secs", "300")]) else {
        return;
    };
    let stream = server.name("text/plain");
    let put = stream.put().header("Content-Type", "text/plain");
    let put = put.header("Stream-Expires-At", date(now() + 2));
    put.send().expect(201);
    let poll = stream.long_poll("now").start();
    let mut events = stream.sse("now");
    events.event();
    poll.finish().problem(404, "NOT_FOUND");
    events.expect_end();
}

#[test]
fn pages_of_an_expiring_stream_are_cached_no_longer_than_it_lives() {
    let stream = lives(5);
    stream.append("data");
    let page = stream.read("-1");
    let cache = page.header("cache-control").unwrap_or_default();
    let age = cache
        .split("max-age=")
        .nth(1)
        .and_then(|rest| rest.split(',').next())
        .and_then(|digits| digits.parse::<u64>().ok());
    // At most the rest of the lifetime plus the granularity of its renewal.
    assert!(age.is_some_and(|age| age <= 6), "{cache}");
}
