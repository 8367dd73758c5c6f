//! Time to live: it slides with reads and writes, also for waiting readers.

use super::driver::{Server, ask, call, resume, send, serve};
use super::world::{Quirk, World};
use crate::service::exchange::Cause;
use std::sync::Arc;

fn stream(ttl: &str) -> (Arc<World>, Server) {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    let create = ask("PUT", "s")
        .content_type("text/plain")
        .header("stream-ttl", ttl);
    assert_eq!(call(&server, create).status, 201);
    (world, server)
}

#[test]
fn reads_and_writes_move_the_window_and_metadata_does_not() {
    for (method, moves) in [("GET", true), ("POST", true), ("HEAD", false)] {
        let (world, server) = stream("10");
        for _ in 0..5 {
            world.advance(7_000);
            let request = ask(method, "s");
            let request = match method {
                "POST" => request.content_type("text/plain").body("x"),
                _ => request,
            };
            call(&server, request);
        }
        let alive = call(&server, ask("HEAD", "s")).status == 200;
        assert_eq!(alive, moves, "{method}");
    }
}

#[test]
fn a_busy_stream_is_touched_once_a_step_and_not_by_every_read() {
    let (world, server) = stream("10");
    let before = world.writes();
    for _ in 0..100 {
        world.advance(100);
        assert_eq!(call(&server, ask("GET", "s")).status, 200);
    }
    assert_eq!(world.writes() - before, 10);
}

#[test]
fn a_waiting_reader_keeps_the_stream_alive() {
    for live in ["long-poll", "sse"] {
        let (world, server) = stream("3");
        let request = ask("GET", &format!("s?offset=now&live={live}"));
        let mut waiting = send(&server, request).waiting();
        for _ in 0..20 {
            assert!(waiting.max_wait_ms <= 3_000);
            world.advance(waiting.max_wait_ms);
            waiting = resume(&server, waiting, Cause::Timeout).waiting();
        }
        assert_eq!(call(&server, ask("HEAD", "s")).status, 200);
    }
}

#[test]
fn a_reader_is_woken_for_the_moment_its_stream_expires() {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    let create = ask("PUT", "s").header("stream-expires-at", "2026-01-01T00:00:07Z");
    assert_eq!(call(&server, create).status, 201);
    let poll = send(&server, ask("GET", "s?offset=now&live=long-poll")).waiting();
    let sse = send(&server, ask("GET", "s?offset=now&live=sse")).waiting();
    assert_eq!((poll.max_wait_ms, sse.max_wait_ms), (7_000, 7_000));
    world.advance(7_000);
    let ended = resume(&server, poll, Cause::Timeout).whole();
    assert_eq!((ended.status, &*ended.code()), (404, "NOT_FOUND"));
    let ended = resume(&server, sse, Cause::Timeout).whole();
    assert!(!ended.reset);
}

#[test]
fn an_expired_stream_is_a_404_and_its_name_is_free() {
    let (world, server) = stream("1");
    world.advance(1_200);
    for request in [
        ask("GET", "s"),
        ask("HEAD", "s"),
        ask("POST", "s").content_type("text/plain").body("x"),
    ] {
        assert_eq!(call(&server, request).status, 404);
    }
    let create = ask("PUT", "s").content_type("a/b").body("new");
    assert_eq!(call(&server, create).status, 201);
    assert_eq!(call(&server, ask("GET", "s")).text(), "new");
}

/// On stores that report every swap as failed, a deletion took the end of an expired life for its
/// own work, and answered 204.
#[test]
fn the_deletion_of_an_expired_stream_is_a_404_with_any_answer_to_its_swap() {
    for quirk in [Quirk::Guarded, Quirk::SpinSqlite, Quirk::SpinRedis] {
        let world = World::new(quirk, 1);
        let server = serve(&world);
        let create = ask("PUT", "s").header("stream-ttl", "1");
        assert_eq!(call(&server, create).status, 201);
        world.advance(1_200);
        let deleted = call(&server, ask("DELETE", "s"));
        assert_eq!(deleted.status, 404, "{quirk:?}");
    }
}

#[test]
fn pages_of_a_stream_that_ends_are_kept_no_longer_than_it_lives() {
    let (world, server) = stream("20");
    let append = ask("POST", "s").content_type("text/plain").body("x");
    call(&server, append);
    world.advance(1_000);
    let page = call(&server, ask("GET", "s"));
    assert_eq!(
        page.get("cache-control"),
        "public, max-age=21, stale-while-revalidate=0"
    );
}

#[test]
fn a_clock_that_goes_back_moves_no_window_back() {
    let (world, server) = stream("10");
    world.advance(5_000);
    let append = || ask("POST", "s").content_type("text/plain").body("x");
    call(&server, append());
    let other = World::new(Quirk::Guarded, 2);
    for key in world.keys() {
        other.poke(&key, world.peek(&key).as_deref());
    }
    // The clock of this world is five seconds behind.
    let behind = serve(&other);
    assert_eq!(call(&behind, append()).status, 204);
    other.advance(15_900);
    assert_eq!(call(&behind, ask("HEAD", "s")).status, 200);
    other.advance(100);
    assert_eq!(call(&behind, ask("HEAD", "s")).status, 404);
}

/// A clock was a day ahead. After the clock was put right, streams kept the times written for that
/// day.
#[test]
fn a_stream_that_a_clock_ahead_touched_ends_its_length_after_the_clock_was_put_right() {
    let (world, server) = stream("10");
    let late = |method: &str| ask(method, "late").content_type("text/plain");
    world.by_a_clock_off(86_400_000, || {
        let create = late("PUT").header("stream-ttl", "2");
        assert_eq!(call(&server, create).status, 201);
        assert_eq!(call(&server, late("POST").body("x")).status, 204);
    });
    super::deletion::work_all(&server);
    assert_eq!(call(&server, late("HEAD")).status, 200);
    world.advance(2_300);
    assert_eq!(call(&server, late("HEAD")).status, 404);
    // A stream that is read by the right clock slides on by that clock.
    world.by_a_clock_off(86_400_000, || {
        let create = late("PUT").header("stream-ttl", "2");
        assert_eq!(call(&server, create).status, 201);
    });
    assert_eq!(call(&server, late("GET")).status, 200);
    world.advance(1_000);
    assert_eq!(call(&server, late("GET")).status, 200);
    world.advance(2_300);
    assert_eq!(call(&server, late("GET")).status, 404);
}
