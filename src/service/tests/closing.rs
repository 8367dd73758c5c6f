//! Closes with a reason, and the right to stop a stream.

use super::driver::{Ask, Response, Server, ask, call, resume, send, serve};
use super::world::{Quirk, World};
use crate::service::exchange::Cause;

fn open() -> Server {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    let create = ask("PUT", "s").content_type("text/plain").body("x");
    assert_eq!(call(&server, create).status, 201);
    server
}

fn close(reason: &str) -> Ask {
    let close = ask("POST", "s").header("stream-closed", "true");
    match reason {
        "" => close,
        reason => close.header("stream-closed-reason", reason),
    }
}

fn reason(response: &Response) -> (&str, &str) {
    let closed = response.get("stream-closed");
    (closed, response.get("stream-closed-reason"))
}

#[test]
fn the_reason_stands_wherever_the_close_does() {
    let server = open();
    let poll = send(&server, ask("GET", "s?offset=now&live=long-poll")).waiting();
    let sse = send(&server, ask("GET", "s?offset=now&live=sse")).waiting();
    let closed = call(&server, close("user.left_1-2"));
    let expected = ("true", "user.left_1-2");
    assert_eq!((closed.status, reason(&closed)), (204, expected));
    assert_eq!(
        reason(&resume(&server, poll, Cause::Changed).whole()),
        expected
    );
    let followed = resume(&server, sse, Cause::Changed).whole();
    let event = "\"streamClosed\":true,\"streamClosedReason\":\"user.left_1-2\"}";
    assert!(followed.text().contains(event), "{followed:?}");
    for request in [
        ask("HEAD", "s"),
        ask("GET", "s"),
        ask("GET", "s?offset=now"),
        ask("GET", "s?offset=now&live=long-poll"),
        ask("POST", "s").content_type("text/plain").body("late"),
        ask("POST", "s").header("stream-lease", "5"),
        close("").producer("p", 0, 0),
        close(""),
        ask("PUT", "s")
            .content_type("text/plain")
            .header("stream-closed", "true"),
    ] {
        let response = call(&server, request);
        assert_eq!(reason(&response), expected, "{response:?}");
    }
    let late = ask("POST", "s").content_type("text/plain").body("late");
    let text = call(&server, late).text().to_owned();
    assert!(text.contains("closed (user.left_1-2)"), "{text}");
}

#[test]
fn the_first_close_decides() {
    for (first, second) in [("one", "two"), ("", "two"), ("one", "")] {
        let server = open();
        assert_eq!(call(&server, close(first)).status, 204);
        let again = call(&server, close(second));
        assert_eq!((again.status, reason(&again)), (204, ("true", first)));
    }
}

#[test]
fn a_producers_close_keeps_its_reason_when_it_is_sent_again() {
    let server = open();
    let done = close("done")
        .content_type("text/plain")
        .body("y")
        .producer("p", 0, 0);
    assert_eq!(reason(&call(&server, done.clone())), ("true", "done"));
    let again = call(&server, done);
    assert_eq!((again.status, reason(&again)), (204, ("true", "done")));
}

#[test]
fn a_stream_may_begin_closed_with_a_reason() {
    let server = open();
    let create = |name: &str| {
        ask("PUT", name)
            .header("stream-closed", "true")
            .header("stream-closed-reason", "archived")
            .header("stream-lease", "5")
    };
    for status in [201, 200] {
        let created = call(&server, create("t"));
        assert_eq!(
            (created.status, reason(&created)),
            (status, ("true", "archived"))
        );
        assert_eq!(created.get("stream-lease"), "");
    }
    // A fork begins open, whatever its source is.
    let fork = ask("PUT", "f").header("stream-forked-from", "/v1/stream/t");
    assert_eq!(reason(&call(&server, fork)), ("", ""));
}

const TOKENS: &str = r#"[
    {"token":"reader-of-all-names","scope":"read"},
    {"token":"viewer-with-a-button","scope":"read close"},
    {"token":"writer-of-all-names","scope":"write"},
    {"token":"viewer-of-another-room","scope":"read close","prefix":"t"}
]"#;

/// Each row: the request, and the status for a token with `close`, and for one with `write`.
fn table() -> Vec<(&'static str, Ask, u16, u16)> {
    let text = || ask("POST", "s").content_type("text/plain");
    vec![
        ("a stop", close("stopped"), 204, 204),
        ("a close without a reason", close(""), 204, 204),
        (
            "a content type without a body",
            close("").content_type("text/plain"),
            204,
            204,
        ),
        ("another reason", close("done"), 403, 204),
        (
            "with a body",
            close("stopped").content_type("text/plain").body("x"),
            403,
            204,
        ),
        (
            "with a producer",
            close("stopped").producer("p", 0, 0),
            403,
            204,
        ),
        (
            "with Stream-Seq",
            close("stopped").header("stream-seq", "1"),
            403,
            204,
        ),
        (
            "with If-Match",
            close("stopped").header("if-match", "\"x\""),
            403,
            412,
        ),
        (
            "with a lease",
            close("stopped").header("stream-lease", "5"),
            403,
            204,
        ),
        (
            "with a lease of 0",
            close("stopped").header("stream-lease", "0"),
            403,
            204,
        ),
        ("an append", text().body("x"), 403, 204),
        (
            "a heartbeat",
            ask("POST", "s").header("stream-lease", "5"),
            403,
            204,
        ),
        ("an empty append", ask("POST", "s"), 400, 400),
        ("the reason of a lapse", close("lease-expired"), 400, 400),
        ("a reason in capitals", close("Stopped"), 400, 400),
        (
            "a reason without a close",
            text().body("x").header("stream-closed-reason", "done"),
            400,
            400,
        ),
        (
            "Stream-Closed: false",
            ask("POST", "s").header("stream-closed", "false"),
            400,
            400,
        ),
        ("a creation", ask("PUT", "n"), 403, 201),
        (
            "a creation of a closed stream",
            ask("PUT", "n").header("stream-closed", "true"),
            403,
            201,
        ),
        ("a deletion", ask("DELETE", "s"), 403, 204),
        (
            "a lease of a day",
            ask("POST", "s").header("stream-lease", "86400"),
            403,
            204,
        ),
        (
            "a lease that is too long",
            ask("POST", "s").header("stream-lease", "86401"),
            400,
            400,
        ),
        (
            "a lease below 0",
            ask("POST", "s").header("stream-lease", "-1"),
            400,
            400,
        ),
        (
            "a lease of a half",
            ask("POST", "s").header("stream-lease", "1.5"),
            400,
            400,
        ),
        (
            "an empty lease",
            ask("POST", "s").header("stream-lease", ""),
            400,
            400,
        ),
        (
            "a heartbeat with Stream-Seq",
            ask("POST", "s")
                .header("stream-lease", "5")
                .header("stream-seq", "1"),
            400,
            400,
        ),
        (
            "a heartbeat with a part of a producer",
            ask("POST", "s")
                .header("stream-lease", "5")
                .header("producer-id", "p"),
            400,
            400,
        ),
        (
            "a heartbeat for a name without a stream",
            ask("POST", "none").header("stream-lease", "5"),
            403,
            404,
        ),
        (
            "a creation with a lease",
            ask("PUT", "n").header("stream-lease", "5"),
            403,
            201,
        ),
        (
            "a creation with a bad lease",
            ask("PUT", "n").header("stream-lease", "x"),
            400,
            400,
        ),
        (
            "a creation with a lone reason",
            ask("PUT", "n").header("stream-closed-reason", "x"),
            400,
            400,
        ),
        (
            "a stop of no stream",
            ask("POST", "none").header("stream-closed", "true"),
            404,
            404,
        ),
    ]
}

#[test]
fn a_token_to_stop_streams_allows_a_bare_close_and_nothing_else() {
    for (case, request, viewer, writer) in table() {
        for (token, status) in [
            ("reader-of-all-names", if viewer == 400 { 400 } else { 403 }),
            ("viewer-with-a-button", viewer),
            ("writer-of-all-names", writer),
            (
                "viewer-of-another-room",
                if viewer == 400 { 400 } else { 403 },
            ),
        ] {
            let world = World::new(Quirk::Guarded, 1);
            world.variable("auth_tokens", TOKENS);
            let server = serve(&world);
            let with = |token: &str, request: Ask| {
                request.header("authorization", format!("Bearer {token}"))
            };
            let create = ask("PUT", "s").content_type("text/plain");
            call(&server, with("writer-of-all-names", create));
            let response = call(&server, with(token, request.clone()));
            assert_eq!(response.status, status, "{case}, {token}: {response:?}");
        }
    }
}

#[test]
fn a_viewer_without_the_scope_is_told_which_one_is_missing() {
    let world = World::new(Quirk::Guarded, 1);
    world.variable("auth_tokens", TOKENS);
    let server = serve(&world);
    let stop = close("stopped").header("authorization", "Bearer reader-of-all-names");
    let refused = call(&server, stop);
    let challenge = refused.get("www-authenticate");
    assert!(challenge.contains("scope=\"close\""), "{challenge}");
}
