use super::*;
use proptest::prelude::*;
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Event {
    kind: String,
    data: String,
}

/// Parses a stream as a browser does (WHATWG HTML, section 9.2.6), independently of the encoder.
fn events(stream: &[u8]) -> Vec<Event> {
    let text = String::from_utf8_lossy(stream);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut chars = text
        .strip_prefix('\u{feff}')
        .unwrap_or(&text)
        .chars()
        .peekable();
    while let Some(character) = chars.next() {
        match character {
            '\r' => {
                chars.next_if_eq(&'\n');
                lines.push(std::mem::take(&mut line));
            }
            '\n' => lines.push(std::mem::take(&mut line)),
            other => line.push(other),
        }
    }
    let (mut events, mut kind, mut data) = (Vec::new(), String::new(), String::new());
    for line in lines {
        if line.is_empty() {
            let kind = std::mem::take(&mut kind);
            if let Some(data) = std::mem::take(&mut data).strip_suffix('\n') {
                events.push(Event {
                    kind,
                    data: data.to_owned(),
                });
            }
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => kind = value.to_owned(),
            "data" => data = data + value + "\n",
            _ => {}
        }
    }
    events
}

fn event(encoding: Encoding, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    data_begin(&mut out, encoding);
    for part in parts {
        data_part(&mut out, encoding, part);
    }
    data_end(&mut out, encoding);
    out
}

/// Encodes an event with a buffer for each step. The first step begins the event.
fn event_in_steps(encoding: Encoding, parts: &[&[u8]]) -> Vec<u8> {
    let mut steps = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let mut out = Vec::new();
        if index == 0 {
            data_begin(&mut out, encoding);
        }
        data_part(&mut out, encoding, part);
        steps.extend(out);
    }
    data_end(&mut steps, encoding);
    steps
}

fn data(stream: &[u8]) -> String {
    let [event]: [Event; 1] = events(stream).try_into().expect("exactly one event");
    assert_eq!(event.kind, "data");
    event.data
}

fn with_line_feeds(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

#[test]
fn a_line_begins_right_after_the_colon() {
    let text = event(Encoding::Text, &[b"line1\nline2\r\nline3"]);
    assert_eq!(text, b"event: data\ndata:line1\ndata:line2\ndata:line3\n\n");
    let json = event(Encoding::Json, &[b"{\"k\":1},", b"2"]);
    assert_eq!(json, b"event: data\ndata:[{\"k\":1},2]\n\n");
    let octets = event(Encoding::Base64, &[b"abc", b"de"]);
    assert_eq!(octets, b"event: data\ndata:YWJjZGU=\n\n");
}

#[test]
fn payloads_can_not_forge_events() {
    for payload in [
        "safe\r\n\r\nevent: control\r\ndata: {\"injected\":true}\r\n\r\nmore",
        "start\n\nevent: data\ndata: fake\n\nend",
        "start\r\revent: control\rdata: {\"cr\":true}\r\rend",
        "\n",
        "\r",
        "\r\n\r\n",
        "",
        " ",
        "\n \n  x\n ",
        ": comment\nid: 1\nretry: 1\n",
        "data",
        "a\ndata:",
        "\u{feff}a",
        "a\u{2028}b\u{85}c\0d",
    ] {
        let stream = event(Encoding::Text, &[payload.as_bytes()]);
        assert_eq!(data(&stream), with_line_feeds(payload), "{payload:?}");
    }
}

#[test]
fn a_break_at_the_end_of_a_part_keeps_the_next_ones_space() {
    for steps in [event, event_in_steps] {
        let stream = steps(Encoding::Text, &[b"a\n", b" b\n", b"\n", b"c", b" d"]);
        assert_eq!(data(&stream), "a\n b\n\nc d");
        let stream = steps(Encoding::Text, &[b" a"]);
        assert_eq!(data(&stream), " a");
    }
}

#[test]
fn invalid_utf_8_becomes_replacement_characters() {
    let stream = event(Encoding::Text, &[b"a\xff\xe2\x82b\n\xc3"]);
    assert_eq!(data(&stream), "a\u{fffd}\u{fffd}b\n\u{fffd}");
}

#[test]
fn a_json_message_may_have_line_breaks() {
    let stream = event(Encoding::Json, &[b"{\"a\":\r\n 1},\r[\n", b" 2]"]);
    assert_eq!(
        stream,
        b"event: data\ndata:[{\"a\":\ndata:  1},\ndata:[\ndata:  2]]\n\n"
    );
    let value: Value = serde_json::from_str(&data(&stream)).unwrap();
    assert_eq!(value, serde_json::json!([{"a": 1}, [2]]));
}

#[test]
fn no_bytes_are_an_empty_event() {
    assert_eq!(data(&event(Encoding::Text, &[])), "");
    assert_eq!(data(&event(Encoding::Json, &[])), "[]");
    assert_eq!(data(&event(Encoding::Base64, &[b""])), "");
}

#[test]
fn a_control_event_is_one_flat_line_around_the_cursor() {
    let offset = "0000000000000001_0000000000000002";
    let whole = |control: Control| {
        let stream = [control.before.as_slice(), b"123", &control.after].concat();
        String::from_utf8(stream).unwrap()
    };
    assert_eq!(
        whole(control(offset, true, None)),
        format!(
            "event: control\ndata:{{\"streamNextOffset\":\"{offset}\",\"streamCursor\":\"123\",\"upToDate\":true}}\n\n"
        )
    );
    assert_eq!(
        whole(control(offset, false, None)),
        format!(
            "event: control\ndata:{{\"streamNextOffset\":\"{offset}\",\"streamCursor\":\"123\"}}\n\n"
        )
    );
    for up_to_date in [true, false] {
        let closed = control(offset, up_to_date, Some(None));
        assert!(closed.after.is_empty());
        let [event]: [Event; 1] = events(&closed.before).try_into().unwrap();
        assert_eq!(event.kind, "control");
        let value: Value = serde_json::from_str(&event.data).unwrap();
        let expected = serde_json::json!({
            "streamNextOffset": offset, "upToDate": true, "streamClosed": true,
        });
        assert_eq!(value, expected);
    }
    let stopped = control(offset, true, Some(Some("stopped"))).before;
    let [event]: [Event; 1] = events(&stopped).try_into().unwrap();
    let value: Value = serde_json::from_str(&event.data).unwrap();
    assert_eq!(value["streamClosedReason"], "stopped");
}

#[test]
fn a_heartbeat_is_not_an_event_and_ends_no_event() {
    let mut stream = HEARTBEAT.to_vec();
    stream.extend(event(Encoding::Text, &[b"a"]));
    stream.extend(HEARTBEAT);
    assert_eq!(data(&stream), "a");
}

#[test]
fn dangling_counts_bytes_that_can_still_become_a_character() {
    for (bytes, expected) in [
        (&b""[..], 0),
        (b"a", 0),
        (b"\xc3\xa9", 0),
        (b"a\xc3", 1),
        (b"\xe2\x82", 2),
        (b"\xe2", 1),
        (b"\xf0\x9f\x98", 3),
        (b"\xf0\x9f", 2),
        (b"\xf0\x9f\x98\x80", 0),
        (b"\xff", 0),
        (b"\x80\x80\x80", 0),
        (b"\xc0", 0),
        (b"\xe0\x80", 0),
        (b"\xed\xa0", 0),
        (b"\xf4\x90", 0),
        (b"\xf5", 0),
        (b"\xc3\xc3", 1),
        (b"\xe2\x82\xc3", 1),
        (b"\xff\xf0\x9f\x98", 3),
    ] {
        assert_eq!(dangling(bytes), expected, "{bytes:x?}");
    }
    assert_eq!(unfinished(b"a\r"), 1);
    assert_eq!(unfinished(b"a\r\n"), 0);
    assert_eq!(unfinished(b"a\xe2\x82"), 2);
}

/// Bytes in which line ends, spaces and framing are frequent.
fn text_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        "[ab:\\[ ]{1,3}".prop_map(String::into_bytes),
        Just(b"\r".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b" ".to_vec()),
        Just(b"\ndata:".to_vec()),
        Just(b"\nevent: control\ndata: {}\n\n".to_vec()),
        any::<char>().prop_map(|c| c.to_string().into_bytes()),
        proptest::collection::vec(any::<u8>(), 1..4),
        proptest::collection::vec(0x80u8..=0xff, 1..4),
    ];
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

fn cut_all<'a>(bytes: &'a [u8], sizes: &[usize], cut: fn(&[u8], usize) -> usize) -> Vec<&'a [u8]> {
    let (mut parts, mut rest) = (Vec::new(), bytes);
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let length = cut(rest, *size);
        assert!(length > 0);
        let (part, after) = rest.split_at(length);
        parts.push(part);
        rest = after;
    }
    parts
}

proptest! {
    #[test]
    fn text_cut_anywhere_is_still_one_event(
        bytes in text_bytes(),
        sizes in proptest::collection::vec(1usize..12, 1..5),
    ) {
        let parts = cut_all(&bytes, &sizes, |bytes, size| size.min(bytes.len()));
        let stream = event(Encoding::Text, &parts);
        prop_assert!(std::str::from_utf8(&stream).is_ok());
        data(&stream);
    }

    #[test]
    fn parts_that_leave_unfinished_bytes_to_the_next_are_read_as_the_whole(
        bytes in text_bytes(),
        sizes in proptest::collection::vec(4usize..12, 1..5),
        in_steps: bool,
    ) {
        let leave = |bytes: &[u8], size: usize| match bytes.get(..size) {
            Some(part) => part.len() - unfinished(part),
            None => bytes.len(),
        };
        let parts = cut_all(&bytes, &sizes, leave);
        let write = if in_steps && !parts.is_empty() { event_in_steps } else { event };
        let stream = write(Encoding::Text, &parts);
        prop_assert!(std::str::from_utf8(&stream).is_ok());
        prop_assert_eq!(data(&stream), with_line_feeds(&String::from_utf8_lossy(&bytes)));
    }

    #[test]
    fn json_messages_in_parts_are_read_as_the_array(
        messages in proptest::collection::vec("[ab\u{e9}\" \\\\]{0,6}", 0..8),
        pretty: bool,
        sizes in proptest::collection::vec(1usize..12, 1..5),
        in_steps: bool,
    ) {
        let sent = Value::from(messages);
        let write = if pretty { serde_json::to_vec_pretty } else { serde_json::to_vec };
        let sent = serde_json::json!([sent, {"a": sent}]);
        let stored = super::super::json::frame(&write(&sent).unwrap()).unwrap().bytes;
        let stored = stored.strip_suffix(b",").unwrap_or_default();
        let parts = cut_all(stored, &sizes, |bytes, size| size.min(bytes.len()));
        let write = if in_steps { event_in_steps } else { event };
        let read: Value = serde_json::from_str(&data(&write(Encoding::Json, &parts))).unwrap();
        prop_assert_eq!(read, sent);
    }

    #[test]
    fn octets_in_parts_are_read_as_the_whole(bytes: Vec<u8>, thirds in 1usize..9) {
        let parts: Vec<&[u8]> = bytes.chunks(thirds * 3).collect();
        let read = STANDARD.decode(data(&event(Encoding::Base64, &parts))).unwrap();
        prop_assert_eq!(read, bytes);
    }

    #[test]
    fn dangling_bytes_are_those_that_more_bytes_could_complete(bytes in text_bytes()) {
        let complete = |count: usize| {
            let tail = &bytes[bytes.len() - count..];
            let more = [&b"\x80"[..], b"\xa0", b"\x90\x80", b"\x80\x80", b"\xa0\x80",
                b"\x90\x80\x80", b"\x80\x80\x80"];
            let text = |more: &&[u8]| match std::str::from_utf8(&[tail, more].concat()) {
                Ok(text) => text.chars().count() == 1,
                Err(_) => false,
            };
            std::str::from_utf8(tail).is_err() && more.iter().any(text)
        };
        let expected = (1..=bytes.len().min(3)).find(|count| complete(*count));
        prop_assert_eq!(dangling(&bytes), expected.unwrap_or(0));
    }
}
