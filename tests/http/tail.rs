//! Reads that begin near the tail with `tail=N`, an extension.

use crate::common::sse::Events;
use crate::common::{ServerUnderTest, shared};

/// A server that seals each append, so that a search needs several steps.
fn sealing() -> Option<ServerUnderTest> {
    ServerUnderTest::start(&[("inline_tail_bytes", "0")])
}

fn numbers(from: usize, to: usize) -> String {
    let numbers: Vec<_> = (from..to).map(|number| number.to_string()).collect();
    format!("[{}]", numbers.join(","))
}

#[test]
fn the_last_messages_of_a_json_stream_are_read() {
    let Some(server) = sealing() else {
        return;
    };
    let stream = server.stream("application/json");
    for number in 0..100 {
        stream.append(number.to_string());
    }
    for count in [1, 2, 16, 17, 70, 99, 100, 101, 10_000] {
        let page = stream.get(&format!("tail={count}")).send().expect(200);
        assert_eq!(page.next_offset(), stream.tail());
        page.with_body(numbers(100_usize.saturating_sub(count), 100))
            .with("stream-up-to-date", "true")
            .with("cache-control", "no-store")
            .without("etag");
    }
}

#[test]
fn messages_larger_than_a_step_of_the_search_are_found() {
    let stream = shared().stream("application/json");
    let large = format!("\"{}\"", "],\\\"".repeat(500_000));
    for body in ["1", &large, "[2,3]"] {
        stream.append(body);
    }
    for (count, from) in [(1, "3"), (2, "2"), (3, &*large), (4, "1")] {
        let page = stream.get(&format!("tail={count}")).send().expect(200);
        let mut body = String::from_utf8(page.body.clone()).expect("it is text");
        let mut offset = page.next_offset();
        while offset != stream.tail() {
            let page = stream.read(&offset);
            offset = page.next_offset();
            body.push_str(std::str::from_utf8(&page.body).expect("it is text"));
        }
        let begin = format!("[{from}");
        assert!(body.starts_with(&begin), "tail={count}");
        let count_read = body.matches("3]").count();
        assert_eq!(count_read, 1);
    }
}

#[test]
fn the_last_bytes_of_text_begin_with_a_character() {
    let stream = shared().stream("text/plain");
    stream.append("a\u{20ac}b");
    for (count, body) in [
        (1, "b"),
        (2, "b"),
        (3, "b"),
        (4, "\u{20ac}b"),
        (5, "a\u{20ac}b"),
        (9, "a\u{20ac}b"),
    ] {
        stream
            .get(&format!("tail={count}"))
            .send()
            .expect(200)
            .with_body(body);
    }
    let stream = shared().stream("application/octet-stream");
    stream.append("a\u{20ac}b");
    stream.get("tail=2").send().expect(200).with_body(b"\xacb");
}

#[test]
fn a_live_read_begins_near_the_tail() {
    let Some(server) = sealing() else {
        return;
    };
    let stream = server.stream("application/json");
    let empty = stream.get("tail=1&live=sse").open();
    let mut events = Events::of(empty);
    assert!(events.event().control().up_to_date);
    stream.append("0");
    let (data, _) = events.pair();
    assert_eq!(data, "[0]");
    for number in 1..40 {
        stream.append(number.to_string());
    }
    let polled = stream.get("tail=30&live=long-poll").send().expect(200);
    polled.cursor();
    polled
        .with_body(numbers(10, 40))
        .with("cache-control", "no-store");
    let mut events = Events::of(stream.get("tail=30&live=sse").open());
    let (data, control) = events.pair();
    assert_eq!(data, numbers(10, 40));
    assert!(control.up_to_date);
    stream.append("40");
    let (data, _) = events.pair();
    assert_eq!(data, "[40]");
}

#[test]
fn a_tail_that_is_malformed_or_out_of_range_or_beside_an_offset_is_400() {
    for (kind, most) in [("application/json", 10_000), ("text/plain", 1_048_576)] {
        let stream = shared().stream(kind);
        stream.append("7");
        let beyond = format!("tail={}", most + 1);
        for query in [
            "tail=0",
            "tail=-1",
            "tail=1.5",
            "tail=",
            "tail=x",
            "tail=1&tail=1",
            "tail=1&offset=-1",
            "tail=1&offset=now",
            "tail=1048577",
            &beyond,
        ] {
            for live in ["", "&live=long-poll", "&live=sse"] {
                let answer = stream.get(&format!("{query}{live}")).send();
                answer.problem(400, "BAD_REQUEST");
            }
        }
        stream.get(&format!("tail={most}")).send().expect(200);
    }
}
