//! Section 5.8: the form of server-sent events.

use crate::common::sse::{Control, Events};
use crate::common::{Random, START, Stream, shared};
use base64_text::decode;
use serde_json::Value;

mod base64_text;

pub(crate) use base64_text::decode as decoded;

/// All data events until the stream is up to date, in order.
fn catch_up(stream: &Stream, offset: &str) -> (Vec<String>, Control) {
    stream.sse(offset).until_up_to_date()
}

fn json_messages(events: &[String]) -> Vec<Value> {
    let arrays = events
        .iter()
        .map(|data| serde_json::from_str::<Vec<Value>>(data));
    arrays
        .flat_map(|array| array.expect("an event is a JSON array"))
        .collect()
}

#[test]
fn the_head_of_the_response_is_that_of_events() {
    let stream = shared().stream("text/plain");
    let connection = stream.get("offset=-1&live=sse").open();
    let head = connection.head().clone().expect(200);
    head.expect_security();
    let cache = head.header("cache-control").unwrap_or_default().to_owned();
    assert!(cache.contains("no-cache"), "{cache}");
    head.with("content-type", "text/event-stream")
        .without("content-length")
        .without("stream-sse-data-encoding");
}

#[test]
fn an_empty_stream_has_a_control_event_at_once() {
    for content_type in ["text/plain", "application/json", "application/octet-stream"] {
        let stream = shared().stream(content_type);
        let control = stream.sse("-1").event().control();
        assert_eq!(control.next_offset, START);
        assert!(control.up_to_date && !control.closed);
        assert!(control.cursor.is_some());
    }
}

#[test]
fn every_data_event_is_followed_by_its_control_event() {
    for content_type in ["text/plain", "application/json", "application/octet-stream"] {
        let stream = shared().stream(content_type);
        for number in 0..50 {
            stream.append(format!("{number}{}", " ".repeat(2000)));
        }
        let mut events = stream.sse("-1");
        let mut last = String::new();
        loop {
            let (_, control) = events.pair();
            assert!(control.next_offset > last, "{control:?} after {last}");
            last = control.next_offset;
            if control.up_to_date {
                break;
            }
        }
        assert_eq!(last, stream.tail());
    }
}

#[test]
fn text_is_delivered_with_any_line_breaks() {
    let texts = [
        "plain",
        " begins with a space",
        "  two",
        "a\nb\n",
        "\n",
        "\n\n\n",
        "a\rb",
        "a\r\nb",
        "\r\n\r\nevent: control\r\ndata: {\"streamNextOffset\":\"evil\"}\r\n\r\n",
        "\n\nevent: control\ndata: {}\n\n",
        ": comment\nid: 5\nretry: 1",
        "data: x",
        "tab\tand \u{1f980} and \u{2028} and \0",
        "\u{feff}mark",
        "ends with a space ",
    ];
    for text in texts {
        let stream = shared().stream("text/plain");
        stream.append(text);
        let mut events = stream.sse("-1");
        let (data, control) = events.pair();
        // CR, LF and CRLF are each one line break, and the format does not keep which one it was.
        let expected = text.replace("\r\n", "\n").replace('\r', "\n");
        assert_eq!(data, expected, "{text:?}");
        assert_eq!(control.next_offset, stream.tail());
        assert!(control.up_to_date);
    }
}

#[test]
fn a_line_break_split_between_appends_is_delivered_in_order() {
    let stream = shared().stream("text/plain");
    for part in ["a\r", "\nb", "\r", "c", "\n", "\r\n", "d"] {
        stream.append(part);
    }
    let (events, _) = catch_up(&stream, "-1");
    let text: String = events.concat();
    let without_breaks: String = text.chars().filter(|letter| *letter != '\n').collect();
    assert_eq!(without_breaks, "abcd");
}

#[test]
fn json_events_are_arrays_of_the_messages() {
    let stream = shared().stream("application/json");
    stream.append(r#"[{"a":1},{"b":"x\ny"}]"#);
    stream.append("{\n  \"pretty\": [1,\r\n 2]\n}");
    stream.append("[[]]");
    let (events, control) = catch_up(&stream, "-1");
    let expected: Vec<Value> =
        serde_json::from_str(r#"[{"a":1},{"b":"x\ny"},{"pretty":[1,2]},[]]"#).expect("JSON");
    assert_eq!(json_messages(&events), expected);
    assert_eq!(control.next_offset, stream.tail());
}

#[test]
fn bytes_are_delivered_as_base64_and_the_head_says_so() {
    for content_type in [
        "application/octet-stream",
        "image/png",
        "application/x-protobuf",
    ] {
        let stream = shared().stream(content_type);
        let mut all = Vec::new();
        for length in 1..=8 {
            let body: Vec<u8> = (0..length).map(|byte| byte * 37 + 200).collect();
            stream.append(&body);
            all.extend_from_slice(&body);
        }
        let connection = stream.get("offset=-1&live=sse").open();
        let head = connection.head().clone();
        head.with("stream-sse-data-encoding", "base64")
            .with("content-type", "text/event-stream");
        let (events, _) = Events::of(connection).until_up_to_date();
        let bytes: Vec<u8> = events.iter().flat_map(|data| decode(data)).collect();
        assert_eq!(bytes, all);
    }
}

#[test]
fn text_types_and_json_are_not_encoded() {
    for content_type in [
        "text/html",
        "TEXT/plain; charset=utf-8",
        "application/json;x=y",
    ] {
        let stream = shared().stream(content_type);
        let connection = stream.get("offset=-1&live=sse").open();
        connection
            .head()
            .clone()
            .without("stream-sse-data-encoding");
    }
    let near = shared().stream("application/json-seq");
    let connection = near.get("offset=-1&live=sse").open();
    connection
        .head()
        .clone()
        .with("stream-sse-data-encoding", "base64");
}

#[test]
fn a_large_stream_is_delivered_whole_in_every_encoding() {
    let mut random = Random::seeded(6);
    let text: String = (0..700_000)
        .map(|_| random.pick(&['a', ' ', '\n', '\u{e9}', '\u{20ac}', '\u{1f980}']))
        .collect();
    let stream = shared().stream("text/plain");
    stream.append(&text);
    let (events, control) = catch_up(&stream, "-1");
    assert!(events.concat() == text);
    assert_eq!(control.next_offset, stream.tail());

    let bytes = random.bytes(1_500_001);
    let stream = shared().stream("application/octet-stream");
    for part in bytes.chunks(400_000) {
        stream.append(part);
    }
    let (events, _) = catch_up(&stream, "-1");
    let read: Vec<u8> = events.iter().flat_map(|data| decode(data)).collect();
    assert!(read == bytes);

    let stream = shared().stream("application/json");
    let numbers: Vec<Value> = (0..100_000).map(Value::from).collect();
    stream.append(Value::from(numbers.clone()).to_string());
    stream.append(Value::from("x".repeat(600_000)).to_string());
    let (events, _) = catch_up(&stream, "-1");
    let read = json_messages(&events);
    assert!(read[..100_000] == numbers && read.len() == 100_001);
}

#[test]
fn every_control_event_is_a_place_to_go_on_from() {
    let stream = shared().stream("text/plain");
    let mut random = Random::seeded(7);
    for _ in 0..40 {
        let length = 1 + random.below(30_000);
        let text: String = (0..length)
            .map(|_| random.pick(&['x', '\n', '\u{20ac}']))
            .collect();
        stream.append(text);
    }
    let whole: String = catch_up(&stream, "-1").0.concat();
    let mut events = stream.sse("-1");
    let mut read = String::new();
    loop {
        let (data, control) = events.pair();
        read.push_str(&data);
        if control.up_to_date {
            break;
        }
        let rest: String = catch_up(&stream, &control.next_offset).0.concat();
        assert!(
            format!("{read}{rest}") == whole,
            "from {}",
            control.next_offset
        );
    }
    assert!(read == whole);
}

#[test]
fn a_character_split_between_appends_is_delivered_whole() {
    let stream = shared().stream("text/plain");
    let crab = "\u{1f980}".as_bytes();
    stream.append([b"a", &crab[..1]].concat());
    let mut events = stream.sse("-1");
    let (mut text, mut control) = events.pair();
    assert_eq!(text, "a");
    // The first byte of the character counts as not yet arrived.
    assert!(control.next_offset < stream.tail() && control.up_to_date);
    for part in [&crab[1..3], &crab[3..], b"b"] {
        stream.append(part);
    }
    while control.next_offset != stream.tail() {
        let (data, next) = events.pair();
        text.push_str(&data);
        control = next;
    }
    assert_eq!(text, "a\u{1f980}b");
    let whole: String = catch_up(&stream, "-1").0.concat();
    assert_eq!(whole, "a\u{1f980}b");
}

#[test]
fn a_character_that_never_ends_is_replaced_once_the_stream_is_closed() {
    let stream = shared().stream("text/plain");
    stream.append([b"ab", &"\u{20ac}".as_bytes()[..2]].concat());
    stream.close();
    let mut events = stream.sse("-1");
    let mut text = String::new();
    let end = loop {
        let event = events.event();
        match event.name.as_str() {
            "data" => text.push_str(&event.data),
            _ => match event.control() {
                control if control.closed => break control,
                _ => {}
            },
        }
    };
    assert_eq!(text, "ab\u{fffd}");
    assert_eq!(end.next_offset, stream.tail());
    events.expect_end();
}

#[test]
fn bytes_that_are_no_text_are_replaced() {
    let stream = shared().stream("text/plain");
    stream.append(b"a\xff\xfeb\xc3(c\x80");
    let (events, control) = catch_up(&stream, "-1");
    let text = events.concat();
    assert!(text.starts_with('a') && text.contains("\u{fffd}b") && text.contains("(c"));
    assert_eq!(control.next_offset, stream.tail());
}

#[test]
fn a_closed_stream_ends_after_its_last_control_event() {
    let stream = shared().stream("text/plain");
    stream.append("data");
    let tail = stream.close().next_offset();
    let mut events = stream.sse("-1");
    assert_eq!(events.event().data(), "data");
    let control = events.event().control();
    assert!(control.closed);
    assert_eq!((control.next_offset, control.cursor), (tail.clone(), None));
    events.expect_end();

    for at in [tail.as_str(), "now"] {
        // The whole body is available at once, but must not have a length.
        let head = stream.get(&format!("offset={at}&live=sse")).open();
        head.head().clone().without("content-length");
        let mut events = stream.sse(at);
        let control = events.event().control();
        assert!(control.closed && control.up_to_date);
        assert_eq!(control.next_offset, tail);
        events.expect_end();
    }
}

#[test]
fn now_shows_nothing_of_the_past() {
    let stream = shared().stream("text/plain");
    let tail = stream.append("old");
    let mut events = stream.sse("now");
    let control = events.event().control();
    assert!(control.up_to_date);
    assert_eq!(control.next_offset, tail);
    stream.append("new");
    assert_eq!(events.pair().0, "new");
}

#[test]
fn the_cursor_is_larger_than_the_one_that_was_sent() {
    let stream = shared().stream("text/plain");
    stream.append("data");
    let cursor_after = |cursor: u64| {
        let query = format!("offset=-1&live=sse&cursor={cursor}");
        let mut events = Events::of(stream.get(&query).open());
        events.pair().1.cursor.expect("an open stream has a cursor")
    };
    let first = cursor_after(0);
    let second = cursor_after(first);
    assert!(second > first);
    assert!(cursor_after(1 << 50) > 1 << 50);
}
