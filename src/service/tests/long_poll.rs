//! Long-polls (section 5.7).

use super::driver::{Came, Server, ask, call, resume, send, serve};
use super::world::{Quirk, World};
use crate::service::exchange::Cause;
use std::sync::Arc;

fn stream() -> (Arc<World>, Server) {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    let create = ask("PUT", "s").content_type("text/plain").body("abc");
    assert_eq!(call(&server, create).status, 201);
    (world, server)
}

fn append(server: &Server, body: &str) {
    let append = ask("POST", "s").content_type("text/plain").body(body);
    assert_eq!(call(server, append).status, 204);
}

fn poll(server: &Server, query: &str) -> Came {
    send(server, ask("GET", &format!("s?live=long-poll&{query}")))
}

const TAIL: &str = "offset=0000000000000000_0000000000000030";

#[test]
fn available_data_is_answered_at_once() {
    let (_, server) = stream();
    let response = poll(&server, "offset=-1").whole();
    assert_eq!((response.status, response.text()), (200, "abc"));
    assert!(!response.get("stream-cursor").is_empty());
    assert!(!response.get("etag").is_empty());
    assert_eq!(response.get("stream-up-to-date"), "true");
}

#[test]
fn a_reader_at_the_tail_waits_and_gets_the_append_of_another_instance() {
    let (world, server) = stream();
    for query in [TAIL, "offset=now"] {
        let waiting = poll(&server, query).waiting();
        assert_eq!(waiting.response.status, 0);
        assert_eq!(waiting.max_wait_ms, 25_000);
        assert_eq!(waiting.held.max_age_ms, Some(25_000));
        assert!(world.keys().contains(&waiting.key));
        // A change without data for this reader.
        let waiting = resume(&server, waiting, Cause::Changed).waiting();
        if query == TAIL {
            append(&serve(&world), "def");
            let response = resume(&server, waiting, Cause::Changed).whole();
            assert_eq!((response.status, response.text()), (200, "def"));
            assert_eq!(response.get("access-control-allow-origin"), "*");
            assert_eq!(response.get("x-content-type-options"), "nosniff");
        }
    }
}

#[test]
fn readers_at_one_place_hold_equal_tokens_and_get_equal_answers() {
    let (_, server) = stream();
    let one = poll(&server, TAIL).waiting();
    let other = poll(&server, &format!("{TAIL}&cursor=123")).waiting();
    assert_eq!((&one.token, &one.key), (&other.token, &other.key));
    append(&server, "def");
    let answers = [Cause::Changed; 2].map(|cause| server.resume(&one.token, cause));
    assert_eq!(answers[0], answers[1]);
    // Only the state that the driver keeps for each reader differs.
    assert_eq!(
        (one.held.cursor_floor, other.held.cursor_floor),
        (None, Some(123))
    );
}

#[test]
fn the_answer_to_an_echoed_cursor_has_a_greater_one() {
    let (_, server) = stream();
    let first = poll(&server, "offset=-1").whole();
    let cursor: u64 = first.get("stream-cursor").parse().unwrap();
    for echoed in [cursor, cursor + 1_000_000] {
        let next = poll(&server, &format!("offset=-1&cursor={echoed}")).whole();
        assert!(next.get("stream-cursor").parse::<u64>().unwrap() > echoed);
        let waiting = poll(&server, &format!("{TAIL}&cursor={echoed}")).waiting();
        let ended = resume(&server, waiting, Cause::Expired).whole();
        assert!(ended.get("stream-cursor").parse::<u64>().unwrap() > echoed);
    }
}

#[test]
fn a_poll_ends_empty_with_its_age_or_the_server() {
    let (_, server) = stream();
    for cause in [Cause::Expired, Cause::Draining] {
        let waiting = poll(&server, TAIL).waiting();
        let waiting = resume(&server, waiting, Cause::Timeout).waiting();
        let response = resume(&server, waiting, cause).whole();
        assert_eq!((response.status, response.text()), (204, ""));
        assert_eq!(response.offset(), &TAIL["offset=".len()..]);
        assert_eq!(response.get("stream-up-to-date"), "true");
        assert_eq!(response.get("cache-control"), "no-store");
        assert!(!response.get("stream-cursor").is_empty());
    }
    // Data that arrived at the last moment is in the answer.
    let waiting = poll(&server, TAIL).waiting();
    append(&server, "x");
    assert_eq!(
        resume(&server, waiting, Cause::Draining).whole().text(),
        "x"
    );
}

#[test]
fn a_closed_stream_answers_at_once_and_wakes_waiting_readers() {
    let (_, server) = stream();
    let waiting = poll(&server, TAIL).waiting();
    call(&server, ask("POST", "s").header("stream-closed", "true"));
    let woken = resume(&server, waiting, Cause::Changed).whole();
    for response in [
        woken,
        poll(&server, TAIL).whole(),
        poll(&server, "offset=now").whole(),
    ] {
        assert_eq!(
            (response.status, response.get("stream-closed")),
            (204, "true")
        );
        assert_eq!(response.get("stream-up-to-date"), "true");
    }
}

#[test]
fn a_poll_on_a_stream_that_ends_is_a_404_also_when_the_name_lives_again() {
    let (_, server) = stream();
    let waiting = poll(&server, TAIL).waiting();
    call(&server, ask("DELETE", "s"));
    let gone = resume(&server, waiting.clone(), Cause::Changed).whole();
    assert_eq!((gone.status, &*gone.code()), (404, "NOT_FOUND"));
    assert_eq!(gone.get("access-control-allow-origin"), "*");
    call(
        &server,
        ask("PUT", "s").content_type("text/plain").body("new"),
    );
    assert_eq!(resume(&server, waiting, Cause::Changed).whole().status, 404);
}

#[test]
fn a_waiting_poll_is_never_an_instant_304() {
    let (_, server) = stream();
    let tagged = call(&server, ask("GET", &format!("s?{TAIL}")));
    let etag = tagged.get("etag").to_owned();
    let request = ask("GET", &format!("s?live=long-poll&{TAIL}"));
    send(&server, request.header("if-none-match", etag)).waiting();
}

/// A poll from `now` got a tag and `max-age`. So a shared cache gave the next reader's `now` data
/// that was up to a minute old.
#[test]
fn answers_to_the_offset_now_are_not_cacheable() {
    let (_, server) = stream();
    let from_now = poll(&server, "offset=now").waiting();
    let from_tail = poll(&server, TAIL).waiting();
    append(&server, "def");
    let response = resume(&server, from_now, Cause::Changed).whole();
    assert_eq!((response.status, response.text()), (200, "def"));
    assert_eq!(
        (response.get("cache-control"), response.get("etag")),
        ("no-store", "")
    );
    let response = resume(&server, from_tail, Cause::Changed).whole();
    assert!(
        response
            .get("cache-control")
            .starts_with("public, max-age=60")
    );
}

#[test]
fn a_poll_ahead_of_the_tail_is_refused_at_once() {
    let (_, server) = stream();
    let refused = poll(&server, "offset=0000000000000000_0000000000000050").whole();
    assert_eq!((refused.status, &*refused.code()), (410, "OFFSET_GONE"));
    assert_eq!(refused.get("cache-control"), "no-store");
}
