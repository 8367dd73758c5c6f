//! Server-sent events (section 5.8), parsed as by a browser.

use super::driver::{Came, Server, Waiting, ask, call, resume, send, serve};
use super::world::{Quirk, World};
use crate::service::exchange::Cause;

fn stream(kind: &str, variables: &[(&str, &str)]) -> Server {
    let world = World::new(Quirk::Guarded, 1);
    for (name, value) in variables {
        world.variable(name, value);
    }
    let server = serve(&world);
    assert_eq!(
        call(&server, ask("PUT", "s").content_type(kind)).status,
        201
    );
    server
}

fn append(server: &Server, kind: &str, body: impl AsRef<[u8]>) {
    let append = ask("POST", "s").content_type(kind).body(body);
    assert_eq!(call(server, append).status, 204);
}

fn follow(server: &Server, offset: &str) -> Came {
    send(server, ask("GET", &format!("s?live=sse&offset={offset}")))
}

/// The events in these bytes: type and data.
fn events(bytes: &[u8]) -> Vec<(String, String)> {
    let text = std::str::from_utf8(bytes).unwrap();
    let (mut events, mut kind, mut data) = (Vec::new(), String::new(), Vec::new());
    for line in text.split('\n') {
        assert!(!line.contains('\r'));
        match line.split_once(':') {
            Some(("event", value)) => value.trim_start().clone_into(&mut kind),
            Some(("data", value)) => data.push(value.strip_prefix(' ').unwrap_or(value)),
            Some(("", _)) => {}
            Some(other) => panic!("{other:?}"),
            None => {
                assert_eq!(line, "");
                if !data.is_empty() {
                    events.push((std::mem::take(&mut kind), data.join("\n")));
                    data.clear();
                }
            }
        }
    }
    assert!(data.is_empty(), "it ends within an event");
    events
}

/// The data of all data events, and the last control event. Every data event has its control.
fn parse(bytes: &[u8]) -> (Vec<String>, serde_json::Value) {
    let mut data = Vec::new();
    let mut last = serde_json::Value::Null;
    let mut due = false;
    for (kind, value) in events(bytes) {
        assert_eq!(kind, if due { "control" } else { &*kind });
        match &*kind {
            "data" => {
                data.push(value);
                due = true;
            }
            "control" => {
                last = serde_json::from_str(&value).unwrap();
                due = false;
            }
            other => panic!("{other}"),
        }
    }
    assert!(!due, "a data event without its control event");
    (data, last)
}

/// The events since the last call.
fn fresh(waiting: &mut Waiting) -> (Vec<String>, serde_json::Value) {
    parse(&std::mem::take(&mut waiting.response.body))
}

#[test]
fn a_follower_gets_its_offset_first_and_then_pairs_of_events() {
    let server = stream("text/plain", &[]);
    let mut waiting = follow(&server, "now").waiting();
    let response = &waiting.response;
    assert_eq!(response.status, 200);
    assert_eq!(response.get("content-type"), "text/event-stream");
    assert_eq!(response.get("cache-control"), "no-cache");
    // nginx, with its defaults, held events back until the end.
    assert_eq!(response.get("x-accel-buffering"), "no");
    assert_eq!(response.get("content-security-policy"), "sandbox");
    assert_eq!(response.get("content-length"), "");
    assert_eq!(response.get("stream-sse-data-encoding"), "");
    assert_eq!(waiting.max_wait_ms, 15_000);
    assert_eq!(waiting.held.max_age_ms, Some(60_000));
    let (data, control) = fresh(&mut waiting);
    assert!(data.is_empty());
    assert_eq!(control["upToDate"], true);
    let mut waiting = resume(&server, waiting, Cause::Changed).waiting();
    assert!(waiting.response.body.is_empty());
    let mut offset = control["streamNextOffset"].clone();
    for body in ["one", "two\r\nlines", " a space\rmore"] {
        append(&server, "text/plain", body);
        waiting = resume(&server, waiting, Cause::Changed).waiting();
        let (data, control) = fresh(&mut waiting);
        assert_eq!(data, [body.replace("\r\n", "\n").replace('\r', "\n")]);
        assert_eq!(control["upToDate"], true);
        assert!(
            control["streamCursor"]
                .as_str()
                .unwrap()
                .parse::<u64>()
                .is_ok()
        );
        assert!(control["streamNextOffset"].as_str() > offset.as_str());
        offset = control["streamNextOffset"].clone();
    }
    let waiting = resume(&server, waiting, Cause::Timeout).waiting();
    assert_eq!(waiting.response.body, b":\n\n");
    assert!(!resume(&server, waiting, Cause::Expired).whole().reset);
}

#[test]
fn a_character_that_is_split_between_appends_is_delivered_whole() {
    let server = stream("text/plain", &[("inline_tail_bytes", "0")]);
    let text = "a\u{20ac}b\u{1f600}c";
    let mut waiting = follow(&server, "-1").waiting();
    let mut all = String::new();
    for byte in text.bytes() {
        append(&server, "text/plain", [byte]);
        waiting = resume(&server, waiting, Cause::Changed).waiting();
        all.extend(fresh(&mut waiting).0);
    }
    assert_eq!(all, text);
    let mut late = follow(&server, "-1").waiting();
    assert_eq!(fresh(&mut late).0, [text]);
}

#[test]
fn half_a_character_at_the_end_of_a_closed_stream_is_a_replacement() {
    let server = stream("text/plain", &[]);
    append(&server, "text/plain", b"a\xe2\x82");
    let mut waiting = follow(&server, "-1").waiting();
    assert_eq!(fresh(&mut waiting).0, ["a"]);
    call(&server, ask("POST", "s").header("stream-closed", "true"));
    let ended = resume(&server, waiting, Cause::Changed).whole();
    let (data, control) = parse(&ended.body);
    assert_eq!(data, ["\u{fffd}"]);
    assert_eq!(control["streamClosed"], true);
    assert_eq!(control.get("streamCursor"), None);
}

#[test]
fn a_closed_stream_ends_its_followers_with_a_control_event() {
    let server = stream("text/plain", &[]);
    let mut waiting = follow(&server, "-1").waiting();
    fresh(&mut waiting);
    let close = ask("POST", "s").content_type("text/plain").body("end");
    call(&server, close.header("stream-closed", "true"));
    let ended = resume(&server, waiting, Cause::Changed).whole();
    let (data, control) = parse(&ended.body);
    assert_eq!(
        (data, &control["streamClosed"]),
        (vec!["end".to_owned()], &true.into())
    );
    let late = follow(&server, "now").whole();
    let (data, control) = parse(&late.body);
    assert_eq!((data.len(), &control["streamClosed"]), (0, &true.into()));
}

#[test]
fn a_json_message_larger_than_a_step_is_one_event() {
    let server = stream("application/json", &[]);
    let large = format!("\"{}\"", "x".repeat(900_000));
    append(&server, "application/json", "[1,2]");
    append(&server, "application/json", &large);
    append(&server, "application/json", "3");
    let mut waiting = follow(&server, "-1").waiting();
    let (data, control) = fresh(&mut waiting);
    let sizes: Vec<usize> = data
        .iter()
        .map(|event| {
            serde_json::from_str::<Vec<serde_json::Value>>(event)
                .unwrap()
                .len()
        })
        .collect();
    assert_eq!(sizes.iter().sum::<usize>(), 4, "{sizes:?}");
    assert!(data.iter().any(|event| event.contains(&large)));
    assert_eq!(control["upToDate"], true);
}

#[test]
fn bytes_are_sent_as_base64_event_by_event() {
    use base64::Engine as _;
    let server = stream("a/b", &[("inline_tail_bytes", "0")]);
    let bytes: Vec<u8> = (0..700_001_u32).map(|n| n as u8).collect();
    append(&server, "a/b", &bytes);
    let mut waiting = follow(&server, "-1").waiting();
    assert_eq!(waiting.response.get("stream-sse-data-encoding"), "base64");
    let all: Vec<u8> = fresh(&mut waiting)
        .0
        .iter()
        .flat_map(|event| {
            base64::engine::general_purpose::STANDARD
                .decode(event)
                .unwrap()
        })
        .collect();
    assert_eq!(all, bytes);
}

#[test]
fn followers_that_wait_together_get_one_answer() {
    let server = stream("text/plain", &[]);
    let one = follow(&server, "-1").waiting();
    append(&server, "text/plain", "x");
    let other = follow(&server, "now").waiting();
    let one = resume(&server, one, Cause::Changed).waiting();
    assert_eq!((&one.token, &one.key), (&other.token, &other.key));
    append(&server, "text/plain", "y");
    let answers = [Cause::Changed; 2].map(|cause| server.resume(&one.token, cause));
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn a_follower_of_a_life_that_ended_gets_no_event_of_the_next() {
    let server = stream("text/plain", &[]);
    let mut waiting = follow(&server, "-1").waiting();
    fresh(&mut waiting);
    call(&server, ask("DELETE", "s"));
    call(
        &server,
        ask("PUT", "s").content_type("text/plain").body("new"),
    );
    let ended = resume(&server, waiting, Cause::Changed).whole();
    assert!(ended.body.is_empty() && !ended.reset);
}

#[test]
fn text_that_does_not_fit_a_step_is_cut_between_characters() {
    let server = stream("text/plain", &[]);
    let text = "\u{20ac}".repeat(300_000);
    append(&server, "text/plain", &text);
    let mut waiting = follow(&server, "-1").waiting();
    let (data, control) = fresh(&mut waiting);
    assert!(data.len() > 1);
    assert_eq!(data.concat(), text);
    assert_eq!(control["upToDate"], true);
}
