//! Forks over HTTP steps: inherited settings, refusals, and the data that deletion leaves.

use super::deletion::{QUIRKS, left, work_all};
use super::driver::{Ask, Response, Server, ask, call, read_all, resume, send, serve};
use super::world::{Quirk, World};
use crate::service::exchange::Cause;

pub(super) fn put(name: &str) -> Ask {
    ask("PUT", name).content_type("text/plain")
}

pub(super) fn fork(name: &str, source: &str) -> Ask {
    ask("PUT", name).header("stream-forked-from", format!("/v1/stream/{source}"))
}

pub(super) fn post(name: &str, body: impl AsRef<[u8]>) -> Ask {
    ask("POST", name).content_type("text/plain").body(body)
}

fn text(server: &Server, name: &str) -> String {
    String::from_utf8(read_all(server, name)).unwrap()
}

fn is(response: &Response, status: u16, code: &str) {
    let answer = (response.status, &*response.code());
    assert_eq!(answer, (status, code), "{response:?}");
}

#[test]
fn a_fork_has_the_source_up_to_its_point_and_then_its_own() {
    for quirk in QUIRKS {
        for inline in ["0", "4", "16384"] {
            let world = World::new(quirk, 1);
            world.variable("inline_tail_bytes", inline);
            let server = serve(&world);
            let middle = call(&server, put("s").body("first")).offset().to_owned();
            call(&server, post("s", "second"));
            let made = call(&server, fork("f", "s"));
            assert_eq!(made.status, 201, "{made:?}");
            assert_eq!(made.get("content-type"), "text/plain");
            assert_eq!(made.get("location"), "http://a.example/v1/stream/f");
            let half = fork("h", "s").header("stream-fork-offset", &middle);
            assert_eq!(call(&server, half.clone().body("!")).status, 201);
            assert_eq!(call(&server, half).status, 200);
            call(&server, post("s", "third"));
            let own = call(&server, post("f", "own"));
            assert_eq!(own.status, 204);
            assert!(*own.offset() > *made.offset());
            assert_eq!(text(&server, "s"), "firstsecondthird");
            assert_eq!(text(&server, "f"), "firstsecondown");
            assert_eq!(text(&server, "h"), "first!");
            let rest = call(&server, ask("GET", &format!("f?offset={middle}")));
            assert_eq!(rest.text(), "secondown");
            for offset in ["-1", "0000000000000000_0000000000000000"] {
                let name = format!("e{offset}");
                let empty = fork(&name, "s").header("stream-fork-offset", offset);
                let made = call(&server, empty);
                assert_eq!(made.offset(), "0000000000000000_0000000000000000");
                assert_eq!(text(&server, &name), "");
                call(&server, post(&name, "x"));
                assert_eq!(text(&server, &name), "x");
            }
        }
    }
}

#[test]
fn a_fork_is_refused_for_its_source_before_its_own_name() {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    call(&server, put("s").body("data"));
    call(&server, put("taken"));
    is(&call(&server, fork("taken", "none")), 404, "NOT_FOUND");
    is(&call(&server, fork("f", "f")), 404, "NOT_FOUND");
    is(&call(&server, fork("taken", "s")), 409, "ALREADY_EXISTS");
    is(&call(&server, fork("s", "s")), 409, "ALREADY_EXISTS");
    let json = fork("f", "s").content_type("application/json");
    is(&call(&server, json), 409, "CONTENT_TYPE_MISMATCH");
    let tail = call(&server, ask("HEAD", "s")).offset().to_owned();
    for beyond in [
        "0000000000000000_0000000000000050",
        "0000000000000001_0000000000000010",
        "9999999999999999_9999999999999999",
    ] {
        let beyond = fork("f", "s").header("stream-fork-offset", beyond);
        is(&call(&server, beyond), 400, "BAD_REQUEST");
    }
    // The offset is of a timeline that the store may still get.
    let later = fork("f", "s").header("stream-fork-offset", "0000000100000000_0000000000000010");
    is(&call(&server, later), 503, "UNAVAILABLE");
    let sub = |name: &str, offset: &str, sub: u64| {
        let sub = fork(name, "s").header("stream-fork-sub-offset", sub);
        sub.header("stream-fork-offset", offset)
    };
    is(&call(&server, sub("f", "-1", 5)), 400, "BAD_REQUEST");
    is(&call(&server, sub("f", &tail, 1)), 400, "BAD_REQUEST");
    assert_eq!(call(&server, ask("GET", "f")).status, 404);
    // A successful fork changes the head of its source.
    let before = world.peek(&head_key("s")).unwrap();
    assert_eq!(call(&server, sub("f", "-1", 3)).status, 201);
    assert_ne!(world.peek(&head_key("s")).unwrap(), before);
    assert_eq!(text(&server, "f"), "dat");
    is(&call(&server, sub("f", "-1", 2)), 409, "ALREADY_EXISTS");
    assert_eq!(call(&server, sub("f", "-1", 3)).status, 200);
    is(&call(&server, put("f")), 409, "ALREADY_EXISTS");
}

fn head_key(name: &str) -> String {
    crate::keys::Keys::new("")
        .head(&crate::keys::NameHash::of(name))
        .key(0)
}

#[test]
fn rejected_forks_leave_no_trace_in_the_source() {
    let world = World::new(Quirk::Plain, 1);
    let server = serve(&world);
    call(&server, put("s").body("data"));
    call(&server, put("taken"));
    let before = world.peek(&head_key("s")).unwrap();
    let refused = [
        fork("taken", "s"),
        fork("f", "s").content_type("application/json"),
        fork("f", "s").header("stream-fork-offset", "0000000000000009_0000000000000090"),
        fork("f", "s")
            .header("stream-fork-offset", "-1")
            .header("stream-fork-sub-offset", 5),
    ];
    for refused in refused {
        assert!(call(&server, refused).status >= 400);
    }
    assert_eq!(world.peek(&head_key("s")).unwrap(), before);
    assert_eq!(call(&server, ask("DELETE", "s")).status, 204);
    assert_eq!(call(&server, ask("GET", "s")).status, 404);
}

#[test]
fn json_messages_are_counted_and_never_cut() {
    for inline in ["0", "16384"] {
        let world = World::new(Quirk::Guarded, 1);
        world.variable("inline_tail_bytes", inline);
        let server = serve(&world);
        let json =
            |name: &str, body: &str| ask("PUT", name).content_type("application/json").body(body);
        let created = call(&server, json("s", r#"[{"a":[1,2]},"b,\",c",3]"#));
        let more = ask("POST", "s").content_type("application/json");
        call(&server, more.body(r"[4,5]"));
        let at = |name: &str, offset: &str, sub: u64| {
            let fork = fork(name, "s").header("stream-fork-offset", offset);
            fork.header("stream-fork-sub-offset", sub)
        };
        let all = [r#"{"a":[1,2]}"#, r#""b,\",c""#, "3", "4", "5"];
        for (name, offset, skipped) in [("f", "-1", 0), ("g", created.offset(), 3)] {
            for sub in 0..=5_usize {
                let name = format!("{name}{sub}");
                let made = call(&server, at(&name, offset, sub as u64));
                if skipped + sub > 5 {
                    is(&made, 400, "BAD_REQUEST");
                    continue;
                }
                assert_eq!(made.status, 201, "{made:?}");
                let expected = format!("[{}]", all[..skipped + sub].join(","));
                assert_eq!(text(&server, &name), expected);
                assert_eq!(call(&server, at(&name, offset, sub as u64)).status, 200);
                let again = fork("again", &name).body("[7]");
                assert_eq!(call(&server, again).status, 201);
                let mut both = all[..skipped + sub].to_vec();
                both.push("7");
                assert_eq!(text(&server, "again"), format!("[{}]", both.join(",")));
                call(&server, ask("DELETE", "again"));
            }
        }
        // An offset that the service never returned, within a message.
        let inside = "0000000000000000_0000000000000090";
        is(&call(&server, at("x", inside, 0)), 400, "BAD_REQUEST");
        is(
            &call(&server, fork("x", "s").body("{")),
            400,
            "INVALID_JSON",
        );
    }
}

#[test]
fn a_fork_of_a_closed_stream_is_open_and_inherits_no_writer() {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    call(&server, put("s"));
    let last = post("s", "end")
        .producer("p", 3, 0)
        .header("stream-seq", "9");
    call(&server, last.header("stream-closed", "true"));
    let made = call(&server, fork("f", "s"));
    assert_eq!((made.status, made.get("stream-closed")), (201, ""));
    let first = post("f", "!").producer("p", 0, 0).header("stream-seq", "1");
    assert_eq!(call(&server, first).status, 200);
    let closed = fork("c", "s").header("stream-closed", "true").body("?");
    assert_eq!(call(&server, closed.clone()).get("stream-closed"), "true");
    assert_eq!(call(&server, closed).status, 200);
    assert_eq!(
        (text(&server, "f"), text(&server, "c")),
        ("end!".into(), "end?".into())
    );
}

#[test]
fn a_fork_without_an_expiry_has_that_of_its_source() {
    let at = ("stream-expires-at", "2026-01-01T01:00:00.000Z");
    let later = ("stream-expires-at", "2026-01-01T02:00:00.000Z");
    let ttl = ("stream-ttl", "60");
    let long = ("stream-ttl", "3600");
    let none = ("", "");
    for (source, asked, gets) in [
        (none, none, none),
        (none, ttl, ttl),
        (none, at, at),
        (ttl, none, ttl),
        (ttl, long, long),
        (ttl, at, at),
        (at, none, at),
        (at, ttl, ttl),
        (at, later, later),
    ] {
        let world = World::new(Quirk::Guarded, 1);
        let server = serve(&world);
        let with = |ask: Ask, header: (&str, &str)| match header.0 {
            "" => ask,
            name => ask.header(name, header.1),
        };
        call(&server, with(put("s").body("x"), source));
        assert_eq!(call(&server, with(fork("f", "s"), asked)).status, 201);
        assert_eq!(call(&server, with(fork("f", "s"), asked)).status, 200);
        let head = call(&server, ask("HEAD", "f"));
        for name in ["stream-ttl", "stream-expires-at"] {
            let expected = if gets.0 == name { gets.1 } else { "" };
            let got = head.get(name);
            assert_eq!(got.replace(".000Z", "Z"), expected.replace(".000Z", "Z"));
        }
    }
}

#[test]
fn a_reader_of_a_fork_waits_for_the_forks_own_appends_only() {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    call(&server, put("s").body("data"));
    call(&server, fork("f", "s"));
    let poll = |offset: &str| ask("GET", &format!("f?offset={offset}&live=long-poll"));
    assert_eq!(call(&server, poll("-1")).text(), "data");
    let tail = call(&server, ask("HEAD", "f")).offset().to_owned();
    let waiting = send(&server, poll(&tail)).waiting();
    assert_eq!(waiting.key, head_key("f"));
    call(&server, post("s", "not for you"));
    let waiting = resume(&server, waiting, Cause::Changed).waiting();
    call(&server, post("f", "for you"));
    let came = resume(&server, waiting, Cause::Changed).whole();
    assert_eq!(came.text(), "for you");
    let sse = send(&server, ask("GET", "f?offset=-1&live=sse")).waiting();
    let events = String::from_utf8(sse.response.body).unwrap();
    assert!(events.contains("data") && events.contains("for you") && !events.contains("not"));
}

#[test]
fn a_deleted_source_is_gone_until_its_last_fork_goes() {
    for quirk in QUIRKS {
        let world = World::new(quirk, 1);
        world.variable("inline_tail_bytes", "0");
        let server = serve(&world);
        call(&server, put("s").body("one"));
        call(&server, fork("f", "s"));
        call(&server, fork("g", "f").body("two"));
        call(&server, post("f", "three"));
        assert_eq!(call(&server, ask("DELETE", "s")).status, 204);
        let waits = send(&server, ask("GET", "f?offset=now&live=long-poll")).waiting();
        assert_eq!(call(&server, ask("DELETE", "f")).status, 204);
        is(&resume(&server, waits, Cause::Changed).whole(), 410, "GONE");
        for name in ["s", "f"] {
            for method in ["GET", "HEAD", "DELETE"] {
                let gone = call(&server, ask(method, name));
                assert_eq!(gone.status, 410, "{method} {name} {gone:?}");
            }
            is(&call(&server, post(name, "x")), 410, "GONE");
            is(&call(&server, put(name)), 409, "PATH_BLOCKED");
            is(&call(&server, fork("x", name)), 409, "FORK_FROM_TOMBSTONE");
        }
        work_all(&server);
        assert_eq!(text(&server, "g"), "onetwo");
        assert_eq!(call(&server, ask("DELETE", "g")).status, 204);
        work_all(&server);
        for name in ["s", "f", "g"] {
            assert_eq!(call(&server, ask("GET", name)).status, 404, "{name}");
        }
        let left = left(&world);
        assert!(left.is_empty(), "{quirk:?}: {left:?}");
        assert_eq!(call(&server, put("s")).status, 201);
    }
}

#[test]
fn a_source_that_expires_lives_on_for_its_forks() {
    for quirk in QUIRKS {
        let world = World::new(quirk, 1);
        world.variable("inline_tail_bytes", "0");
        let server = serve(&world);
        call(&server, put("s").header("stream-ttl", 5).body("one"));
        call(&server, fork("f", "s").header("stream-ttl", 60));
        world.advance(7_000);
        is(&call(&server, ask("GET", "s")), 410, "GONE");
        is(&call(&server, fork("x", "s")), 409, "FORK_FROM_TOMBSTONE");
        work_all(&server);
        is(&call(&server, ask("DELETE", "s")), 410, "GONE");
        is(&call(&server, put("s")), 409, "PATH_BLOCKED");
        assert_eq!(text(&server, "f"), "one");
        world.advance(70_000);
        work_all(&server);
        let left = left(&world);
        assert!(left.is_empty(), "{quirk:?}: {left:?}");
        assert_eq!(call(&server, ask("GET", "s")).status, 404);
    }
}

/// Section 4.2: a client that got no answer asks again, even if the source was deleted meanwhile.
#[test]
fn a_fork_that_outlived_its_source_is_confirmed_as_before() {
    for quirk in QUIRKS {
        let world = World::new(quirk, 1);
        let server = serve(&world);
        let source = put("s").header("stream-ttl", 60).body("one");
        let middle = call(&server, source).offset().to_owned();
        call(&server, post("s", "two"));
        let all = fork("f", "s");
        let part = fork("g", "s").header("stream-fork-offset", &middle);
        let part = part.content_type("text/plain").header("stream-ttl", 9);
        for fork in [&all, &part] {
            assert_eq!(call(&server, fork.clone()).status, 201);
        }
        assert_eq!(call(&server, ask("DELETE", "s")).status, 204);
        let before = world.peek(&head_key("s")).unwrap();
        for (fork, name) in [(&all, "f"), (&part, "g")] {
            let again = call(&server, fork.clone());
            assert_eq!(again.status, 200, "{quirk:?}: {again:?}");
            let location = format!("http://a.example/v1/stream/{name}");
            assert_eq!(again.get("location"), location);
        }
        // A request that differs is refused like a new one.
        for other in [
            fork("f", "s").header("stream-fork-offset", &middle),
            fork("f", "s").header("stream-ttl", 61),
            fork("g", "s"),
            fork("new", "s"),
        ] {
            is(&call(&server, other), 409, "FORK_FROM_TOMBSTONE");
        }
        let json = fork("f", "s").content_type("application/json");
        assert_eq!(call(&server, json).status, 409);
        assert_eq!(world.peek(&head_key("s")).unwrap(), before);
        assert_eq!(call(&server, ask("DELETE", "f")).status, 204);
        is(&call(&server, all), 409, "FORK_FROM_TOMBSTONE");
    }
}

#[test]
fn offsets_of_the_lives_before_a_fork_are_not_given_again_after_it() {
    let world = World::new(Quirk::Guarded, 1);
    world.variable("inline_tail_bytes", "0");
    let server = serve(&world);
    call(&server, put("s").body("one"));
    call(&server, put("f"));
    for _ in 0..70 {
        call(&server, post("f", "x"));
    }
    let tail = call(&server, ask("HEAD", "f")).offset().to_owned();
    call(&server, ask("DELETE", "f"));
    call(&server, fork("f", "s"));
    call(&server, ask("DELETE", "f"));
    let last = call(&server, put("f").body("y"));
    assert!(*last.offset() > *tail, "{} {tail}", last.offset());
    call(&server, ask("DELETE", "f"));
    let empty = call(
        &server,
        fork("f", "s").header("stream-fork-offset", "-1").body("z"),
    );
    assert!(*empty.offset() > *last.offset());
    assert_eq!(text(&server, "f"), "z");
}
