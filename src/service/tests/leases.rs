//! Leases of writers: renewed by appends and heartbeats, and closed by a commit.

use super::driver::{Ask, Response, Server, ask, call, resume, send, serve};
use super::world::{Faults, Quirk, World};
use crate::service::exchange::Cause;
use std::sync::Arc;

const SECS: u64 = 3;
/// The default of `lease_skew_ms`.
const SKEW_MS: u64 = 1_000;
const LAPSE_MS: u64 = SECS * 1000 + SKEW_MS;

fn put(name: &str) -> Ask {
    ask("PUT", name)
        .content_type("text/plain")
        .header("stream-lease", SECS)
}

fn append() -> Ask {
    ask("POST", "s").content_type("text/plain").body("x")
}

fn heartbeat() -> Ask {
    ask("POST", "s").header("stream-lease", SECS)
}

fn leased_on(quirk: Quirk) -> (Arc<World>, Server) {
    let world = World::new(quirk, 1);
    let server = serve(&world);
    let created = call(&server, put("s"));
    assert_eq!((created.status, created.get("stream-lease")), (201, "3"));
    (world, server)
}

fn leased() -> (Arc<World>, Server) {
    leased_on(Quirk::Guarded)
}

fn reason(response: &Response) -> (&str, &str) {
    let closed = response.get("stream-closed");
    (closed, response.get("stream-closed-reason"))
}

const LAPSED: (&str, &str) = ("true", "lease-expired");
const OPEN: (&str, &str) = ("", "");

#[test]
fn any_request_after_the_lapse_finds_the_stream_closed() {
    type Check = fn(&Response) -> bool;
    let cases: [(Ask, Check); 7] = [
        (ask("HEAD", "s"), |head| head.status == 200),
        (ask("GET", "s"), |page| page.status == 200),
        (ask("GET", "s?offset=now&live=long-poll"), |poll| {
            poll.status == 204
        }),
        (append(), |late| late.code() == "STREAM_CLOSED"),
        (heartbeat(), |late| late.code() == "STREAM_CLOSED"),
        (append().producer("p", 0, 0), |late| late.status == 409),
        (ask("POST", "s").header("stream-closed", "true"), |close| {
            close.status == 204
        }),
    ];
    for quirk in Quirk::ALL {
        for (request, check) in &cases {
            let (world, server) = leased_on(quirk);
            world.advance(LAPSE_MS - 1);
            assert_eq!(reason(&call(&server, ask("HEAD", "s"))), OPEN);
            world.advance(1);
            let response = call(&server, request.clone());
            assert!(check(&response), "{quirk:?}: {response:?}");
            assert_eq!(reason(&response), LAPSED, "{quirk:?}: {response:?}");
            // The close is a commit: an instance with a slow clock sees it too.
            world.by_a_clock_off(-10_000, || {
                assert_eq!(reason(&call(&serve(&world), ask("HEAD", "s"))), LAPSED);
            });
        }
    }
}

#[test]
fn a_repeated_creation_finds_the_lapsed_stream_closed() {
    let (world, server) = leased();
    assert_eq!(call(&server, put("s")).status, 200);
    world.advance(LAPSE_MS);
    assert_eq!(call(&server, put("s")).status, 409);
    let closed = ask("PUT", "s")
        .content_type("text/plain")
        .header("stream-closed", "true");
    let found = call(&server, closed);
    assert_eq!((found.status, reason(&found)), (200, LAPSED));
}

#[test]
fn appends_and_heartbeats_renew_a_lease_and_nothing_else_does() {
    let renews: [(Ask, u16, bool); 9] = [
        (append(), 204, true),
        (append().producer("p", 0, 0), 200, true),
        (heartbeat(), 204, true),
        (heartbeat().producer("p", 7, 99), 204, true),
        (ask("GET", "s"), 200, false),
        (ask("HEAD", "s"), 200, false),
        (put("s"), 200, false),
        (ask("POST", "s"), 400, false),
        (
            append()
                .header("stream-seq", "0")
                .header("if-match", "\"x\""),
            412,
            false,
        ),
    ];
    for (request, status, renewed) in renews {
        let (world, server) = leased();
        world.advance(LAPSE_MS - 1);
        let response = call(&server, request.clone());
        assert_eq!(response.status, status, "{request:?}");
        world.advance(2);
        let head = call(&server, ask("HEAD", "s"));
        let expected = if renewed { OPEN } else { LAPSED };
        assert_eq!(reason(&head), expected, "{request:?}");
    }
}

#[test]
fn a_duplicate_renews_no_lease() {
    let (world, server) = leased();
    let once = append().producer("p", 0, 0);
    assert_eq!(call(&server, once.clone()).status, 200);
    world.advance(LAPSE_MS - 1);
    assert_eq!(call(&server, once).status, 204);
    world.advance(1);
    assert_eq!(reason(&call(&server, ask("HEAD", "s"))), LAPSED);
}

#[test]
fn reads_of_a_stream_with_a_lifetime_renew_no_lease() {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    call(&server, put("s").header("stream-ttl", "10"));
    for _ in 0..4 {
        world.advance(1_000);
        assert_eq!(call(&server, ask("GET", "s")).status, 200);
    }
    assert_eq!(reason(&call(&server, ask("HEAD", "s"))), LAPSED);
    // The lapse itself is no use of the stream: its lifetime began with the last read.
    world.advance(10_900);
    assert_eq!(call(&server, ask("HEAD", "s")).status, 200);
    world.advance(200);
    assert_eq!(call(&server, ask("HEAD", "s")).status, 404);
}

#[test]
fn metadata_shows_the_lease_and_the_time_left() {
    let (world, server) = leased();
    world.advance(1_001);
    let head = call(&server, ask("HEAD", "s"));
    assert_eq!(
        (head.get("stream-lease"), head.get("stream-lease-remaining")),
        ("3", "2")
    );
    let longer = call(&server, ask("POST", "s").header("stream-lease", "60"));
    assert_eq!(longer.get("stream-lease-remaining"), "60");
    let ended = call(&server, ask("POST", "s").header("stream-lease", "0"));
    assert_eq!((ended.status, ended.get("stream-lease")), (204, ""));
    world.advance(100_000);
    let head = call(&server, ask("HEAD", "s"));
    assert_eq!((reason(&head), head.get("stream-lease")), (OPEN, ""));
}

#[test]
fn a_close_ends_the_lease() {
    let (world, server) = leased();
    let close = append()
        .header("stream-closed", "true")
        .header("stream-closed-reason", "done")
        .header("stream-lease", "60");
    assert_eq!(call(&server, close).status, 204);
    world.advance(LAPSE_MS);
    let head = call(&server, ask("HEAD", "s"));
    assert_eq!(reason(&head), ("true", "done"));
    assert_eq!(head.get("stream-lease"), "");
}

#[test]
fn a_fork_inherits_no_lease_and_may_have_its_own() {
    let (world, server) = leased();
    call(&server, append());
    let fork = |name: &str| ask("PUT", name).header("stream-forked-from", "/v1/stream/s");
    assert_eq!(call(&server, fork("free")).status, 201);
    let own = call(&server, fork("own").header("stream-lease", "60"));
    assert_eq!((own.status, own.get("stream-lease")), (201, "60"));
    world.advance(LAPSE_MS);
    assert_eq!(reason(&call(&server, ask("HEAD", "s"))), LAPSED);
    for name in ["free", "own"] {
        assert_eq!(reason(&call(&server, ask("HEAD", name))), OPEN);
    }
    world.advance(60_000);
    assert_eq!(reason(&call(&server, ask("HEAD", "free"))), OPEN);
    assert_eq!(reason(&call(&server, ask("HEAD", "own"))), LAPSED);
}

/// A heartbeat belongs to a session of its producer, but is no append of it.
#[test]
fn a_heartbeat_must_have_the_current_epoch_and_changes_no_sequence() {
    let (_world, server) = leased();
    call(&server, append().producer("p", 3, 0));
    let beat = |epoch, seq| call(&server, heartbeat().producer("p", epoch, seq));
    assert_eq!(beat(3, 0).status, 204);
    assert_eq!(beat(3, 50).status, 204);
    let fenced = beat(2, 1);
    assert_eq!((fenced.status, fenced.get("producer-epoch")), (403, "3"));
    let ahead = beat(4, 0);
    assert_eq!((ahead.status, ahead.get("producer-epoch")), (400, "3"));
    assert_eq!(call(&server, append().producer("p", 3, 1)).status, 200);
}

#[test]
fn a_waiting_reader_learns_of_the_lapse_in_time() {
    for quirk in Quirk::ALL {
        let (world, server) = leased_on(quirk);
        let poll = send(&server, ask("GET", "s?offset=now&live=long-poll")).waiting();
        let sse = send(&server, ask("GET", "s?offset=now&live=sse")).waiting();
        assert_eq!((poll.max_wait_ms, sse.max_wait_ms), (LAPSE_MS, LAPSE_MS));
        world.advance(LAPSE_MS);
        let polled = resume(&server, poll, Cause::Timeout).whole();
        assert_eq!((polled.status, reason(&polled)), (204, LAPSED));
        let followed = resume(&server, sse, Cause::Timeout).whole();
        let text = followed.text();
        assert!(text.contains("\"streamClosed\":true"), "{text}");
        assert!(
            text.contains("\"streamClosedReason\":\"lease-expired\""),
            "{text}"
        );
    }
}

/// A renewal changes the head and brings no data. The reader waits on, for the new end.
#[test]
fn a_waiting_reader_follows_renewals() {
    let (world, server) = leased();
    let mut poll = send(&server, ask("GET", "s?offset=now&live=long-poll")).waiting();
    for _ in 0..5 {
        world.advance(2_000);
        assert_eq!(call(&server, heartbeat()).status, 204);
        poll = resume(&server, poll, Cause::Changed).waiting();
        assert_eq!(poll.max_wait_ms, LAPSE_MS);
    }
}

#[test]
fn readers_find_the_stream_open_while_the_close_cannot_be_committed() {
    let (world, server) = leased();
    let poll = send(&server, ask("GET", "s?offset=now&live=long-poll")).waiting();
    world.advance(LAPSE_MS);
    world.set_faults(Faults {
        full: 1000,
        ..Faults::default()
    });
    let head = call(&server, ask("HEAD", "s"));
    assert_eq!((head.status, reason(&head)), (200, OPEN));
    let page = call(&server, ask("GET", "s"));
    assert_eq!((page.status, reason(&page)), (200, OPEN));
    assert_eq!(call(&server, append()).status, 507);
    let mut poll = poll;
    for wait_ms in [1_000, 2_000, 4_000, 8_000, 15_000, 15_000] {
        poll = resume(&server, poll, Cause::Timeout).waiting();
        assert_eq!(poll.max_wait_ms, wait_ms);
    }
    world.set_faults(Faults::default());
    let polled = resume(&server, poll, Cause::Timeout).whole();
    assert_eq!(reason(&polled), LAPSED);
}

/// After a restart, writers need time to connect again.
#[test]
fn a_host_that_just_started_notices_no_lapse() {
    let (world, _) = leased();
    world.advance(60_000);
    let now = world.now_ms();
    world.variable("serving_since_ms", &now.to_string());
    let server = serve(&world);
    assert_eq!(reason(&call(&server, ask("HEAD", "s"))), OPEN);
    let poll = send(&server, ask("GET", "s?offset=now&live=long-poll")).waiting();
    assert_eq!(poll.max_wait_ms, SECS * 1000);
    world.advance(SECS * 1000 - 1);
    assert_eq!(call(&server, append()).status, 204);
    world.advance(LAPSE_MS);
    assert_eq!(reason(&call(&server, ask("HEAD", "s"))), LAPSED);
}

/// A clock jumped ahead by a day and was corrected.
#[test]
fn a_lease_that_a_clock_ahead_renewed_lapses_its_length_from_now() {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    world.by_a_clock_off(86_400_000, || {
        assert_eq!(call(&server, put("s")).status, 201);
    });
    let poll = send(&server, ask("GET", "s?offset=now&live=long-poll")).waiting();
    assert_eq!(poll.max_wait_ms, LAPSE_MS);
    world.advance(LAPSE_MS);
    assert_eq!(
        reason(&resume(&server, poll, Cause::Timeout).whole()),
        LAPSED
    );
}

#[test]
fn background_work_closes_streams_without_readers() {
    for quirk in Quirk::ALL {
        let (world, server) = leased_on(quirk);
        call(&server, ask("PUT", "later").content_type("text/plain"));
        let lease = ask("POST", "later").header("stream-lease", SECS);
        assert_eq!(call(&server, lease).status, 204);
        world.advance(LAPSE_MS - 1);
        call(&server, append());
        work(&server);
        world.advance(1);
        work(&server);
        // A reader whose clock is slow judges no lease. It sees commits only.
        world.by_a_clock_off(-10_000, || {
            let head = |name| call(&serve(&world), ask("HEAD", name));
            assert_eq!(reason(&head("later")), LAPSED, "{quirk:?}");
            assert_eq!(reason(&head("s")), OPEN, "{quirk:?}");
        });
        world.advance(LAPSE_MS);
        work(&server);
        world.by_a_clock_off(-10_000, || {
            let head = call(&serve(&world), ask("HEAD", "s"));
            assert_eq!(reason(&head), LAPSED, "{quirk:?}");
        });
        let writes = world.writes();
        work(&server);
        assert_eq!(world.writes(), writes, "{quirk:?}: nothing is left to do");
    }
}

fn work(server: &Server) {
    for round in 0..200 {
        server.work(round);
    }
}

#[test]
fn a_small_append_to_a_leased_stream_is_one_read_and_one_write() {
    let (world, server) = leased();
    for request in [append(), heartbeat(), append().header("stream-lease", SECS)] {
        let writes = world.writes();
        assert_eq!(call(&server, request).status, 204);
        assert_eq!(world.writes() - writes, 1);
    }
}

#[test]
fn a_lapse_is_logged() {
    let world = World::new(Quirk::Guarded, 1);
    world.variable("log_level", "info");
    let server = serve(&world);
    call(&server, put("s"));
    world.advance(LAPSE_MS);
    call(&server, ask("HEAD", "s"));
    call(&server, ask("HEAD", "s"));
    let lapses = |line: &String| line.contains("\"ds.operation\":\"lapse\"");
    assert_eq!(
        world.log_lines().iter().filter(|line| lapses(line)).count(),
        1
    );
}
