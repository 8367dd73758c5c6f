//! Stores that went back to an older state: no offset, token or sequence of lost history reads or
//! moves anything.

use super::driver::{Came, Response, Server, ask, call, read_all, resume, send, serve};
use super::subscribing::{ack_all, assert_refused, claimed_by, create, ds_json, ok, pull, woken};
use super::world::{Quirk, World};
use crate::service::exchange::{Cause, Next};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

const JSON: &str = "application/json";

fn world(variables: &[(&str, &str)]) -> Arc<World> {
    let world = World::new(Quirk::Guarded, 1);
    for (name, value) in variables {
        world.variable(name, value);
    }
    world
}

/// Starts an instance that knows this timeline; so do all instances that start later.
fn serve_on(world: &Arc<World>, timeline: u64) -> Server {
    world.variable("timeline", &timeline.to_string());
    serve(world)
}

fn put(server: &Server, name: &str) {
    let created = call(server, ask("PUT", name).content_type(JSON));
    assert_eq!(created.status, 201, "{created:?}");
}

/// Appends a message, and returns the offset after it.
fn post(server: &Server, name: &str, message: &str) -> String {
    let append = ask("POST", name).content_type(JSON).body(message);
    let appended = call(server, append);
    assert_eq!(appended.status, 204, "{appended:?}");
    appended.offset().to_owned()
}

fn get(server: &Server, name: &str, offset: &str) -> Response {
    call(server, ask("GET", &format!("{name}?offset={offset}")))
}

#[track_caller]
fn is(response: &Response, status: u16, code: &str) {
    let found = (response.status, response.code());
    assert_eq!(found, (status, code.to_owned()), "{response:?}");
}

/// The reader was ahead: it silently missed two messages, and got the rest of one, `4}]`.
#[test]
fn a_reader_of_lost_messages_gets_an_error_and_never_the_middle_of_another() {
    let world = world(&[]);
    let server = serve(&world);
    put(&server, "s");
    post(&server, "s", "{\"n\":11}");
    let backup = world.backup();
    post(&server, "s", "{\"lost\":12}");
    let ahead = post(&server, "s", "{\"lost\":13}");
    let live = |mode: &str| {
        send(
            &server,
            ask("GET", &format!("s?live={mode}&offset={ahead}")),
        )
    };
    let (sse, poll) = (live("sse").waiting(), live("long-poll").waiting());
    world.restore(&backup);
    let server = serve_on(&world, 1);
    // The answers before the first append on the new timeline are as those after it.
    for message in [
        "",
        "{\"n\":12}",
        "{\"n\":13,\"longer\":\"than what was lost\"}",
    ] {
        if !message.is_empty() {
            post(&server, "s", message);
        }
        let refused = get(&server, "s", &ahead);
        is(&refused, 410, "OFFSET_GONE");
        let start = get(&server, "s", refused.offset());
        assert_eq!((start.status, &start.body), (200, &read_all(&server, "s")));
        let Came::Whole(ended) = resume(&server, sse.clone(), Cause::Changed) else {
            panic!("it waits");
        };
        assert!(!ended.reset);
        assert_eq!(ended.body, sse.response.body);
        let polled = resume(&server, poll.clone(), Cause::Changed).whole();
        is(&polled, 410, "OFFSET_GONE");
    }
}

/// Without a new timeline, a place beyond the tail is the only sign.
#[test]
fn a_place_beyond_the_tail_is_gone_unless_reads_may_be_old() {
    for (stale, status) in [("false", 410), ("true", 503)] {
        let world = world(&[("kv_stale_reads", stale)]);
        let server = serve(&world);
        put(&server, "s");
        let before = post(&server, "s", "1");
        let backup = world.backup();
        let ahead = post(&server, "s", "2");
        let live = ask("GET", &format!("s?live=sse&offset={ahead}"));
        let sse = send(&server, live).waiting();
        world.restore(&backup);
        let refused = get(&server, "s", &ahead);
        assert_eq!(refused.status, status);
        assert_eq!(refused.get("retry-after").is_empty(), status == 410);
        assert_eq!(get(&server, "s", &before).status, 200);
        let resumed = resume(&server, sse, Cause::Changed);
        assert_eq!(matches!(resumed, Came::Waits(_)), stale == "true");
    }
}

#[test]
fn an_instance_that_does_not_know_the_timeline_yet_asks_to_try_again() {
    let world = world(&[]);
    let old = serve(&world);
    put(&old, "s");
    put(&old, "t");
    let new = serve_on(&world, 7);
    let offset = post(&new, "s", "1");
    assert_eq!(&offset[..16], "0000000700000000");
    // The stream itself proves the timeline if it has a segment of it.
    assert_eq!(get(&old, "s", &offset).status, 200);
    is(&get(&old, "t", &offset), 503, "UNAVAILABLE");
    is(&get(&new, "t", &offset), 410, "OFFSET_GONE");
    assert!(post(&old, "s", "2") > offset);
}

#[test]
fn a_page_that_has_begun_is_cut_off_when_its_end_is_lost() {
    let world = world(&[]);
    let server = serve(&world);
    put(&server, "s");
    let large = format!("\"{}\"", "x".repeat(250_000));
    post(&server, "s", &large);
    let backup = world.backup();
    for _ in 0..3 {
        post(&server, "s", &large);
    }
    for ask in [ask("GET", "s"), ask("GET", "s?live=sse&offset=-1")] {
        let answer = server.start(&[ask.raw()], None).remove(0);
        let Next::Ready(token) = &answer.next else {
            panic!("it is not longer than a step");
        };
        world.restore(&backup);
        for timeline in [0, 1] {
            let answer = serve_on(&world, timeline).resume(token, Cause::Ready);
            assert!(answer.body.is_empty());
            assert!(!matches!(answer.next, Next::Ready(_)));
        }
        world.variable("timeline", "0");
        for _ in 0..3 {
            post(&server, "s", &large);
        }
    }
}

#[test]
fn new_lives_and_forks_begin_on_the_stores_timeline() {
    let world = world(&[]);
    let server = serve(&world);
    put(&server, "source");
    let shared = post(&server, "source", "1");
    put(&server, "kept");
    post(&server, "kept", "1");
    let backup = world.backup();
    let fork = |server: &Server, body: &str| {
        let fork = ask("PUT", "fork").header("stream-forked-from", "/v1/stream/source");
        let fork = fork.header("stream-fork-offset", &shared).body(body);
        let forked = call(server, fork);
        assert_eq!(forked.status, 201, "{forked:?}");
        forked.offset().to_owned()
    };
    put(&server, "new");
    let in_new = post(&server, "new", "\"lost\"");
    let in_fork = fork(&server, "\"lost\"");
    assert_eq!(call(&server, ask("DELETE", "kept")).status, 204);
    put(&server, "kept");
    let in_kept = post(&server, "kept", "\"lost\"");
    world.restore(&backup);
    let server = serve_on(&world, 3);
    put(&server, "new");
    post(&server, "new", "\"longer than that\"");
    fork(&server, "\"longer than that\"");
    assert_eq!(call(&server, ask("DELETE", "kept")).status, 204);
    put(&server, "kept");
    post(&server, "kept", "\"longer than that\"");
    for (name, offset) in [("new", in_new), ("fork", in_fork), ("kept", in_kept)] {
        is(&get(&server, name, &offset), 410, "OFFSET_GONE");
    }
    // The part that a fork shares keeps its offsets.
    assert_eq!(
        get(&server, "fork", &shared).text(),
        "[\"longer than that\"]"
    );
    let lost = ask("PUT", "other").header("stream-forked-from", "/v1/stream/source");
    let lost = lost.header("stream-fork-offset", "0000000000000000_0000000000000990");
    is(&call(&server, lost), 410, "OFFSET_GONE");
}

/// An instance with an older variable must not take a name back to an older timeline.
/// All zeros were taken for the last segment of the life before, and its bytes were missing: 503.
#[test]
fn an_empty_life_behind_a_new_timeline_is_read_from_its_start() {
    let world = world(&[]);
    let server = serve(&world);
    put(&server, "s");
    post(&server, "s", "1");
    let server = serve_on(&world, 3);
    assert_eq!(call(&server, ask("DELETE", "s")).status, 204);
    put(&server, "s");
    for offset in ["-1", "now", "0000000000000000_0000000000000000"] {
        let page = get(&server, "s", offset);
        assert_eq!(
            (page.status, page.text()),
            (200, "[]"),
            "{offset}: {page:?}"
        );
    }
    post(&server, "s", "2");
    assert_eq!(get(&server, "s", "-1").text(), "[2]");
}

#[test]
fn a_name_keeps_its_timeline_through_its_tombstone() {
    let world = world(&[]);
    let server = serve_on(&world, 9);
    put(&server, "s");
    let first = post(&server, "s", "1");
    assert_eq!(call(&server, ask("DELETE", "s")).status, 204);
    let server = serve_on(&world, 0);
    put(&server, "s");
    assert!(post(&server, "s", "2") > first);
    is(&get(&server, "s", &first), 410, "OFFSET_GONE");
}

#[test]
fn a_lost_close_reopens_the_stream_and_lost_sequences_are_a_gap() {
    let world = world(&[]);
    let server = serve(&world);
    put(&server, "s");
    let by = |server: &Server, epoch, seq, body: &str| {
        let append = ask("POST", "s").content_type(JSON).body(body);
        call(server, append.producer("p", epoch, seq))
    };
    ok(by(&server, 0, 0, "0"));
    let backup = world.backup();
    ok(by(&server, 0, 1, "1"));
    ok(by(&server, 0, 2, "2"));
    ok(call(
        &server,
        ask("POST", "s").header("stream-closed", "true"),
    ));
    world.restore(&backup);
    let server = serve_on(&world, 1);
    let gap = by(&server, 0, 3, "3");
    is(&gap, 409, "SEQUENCE_CONFLICT");
    assert_eq!(gap.get("producer-expected-seq"), "1");
    assert!(gap.text().contains("history was lost"), "{gap:?}");
    ok(by(&server, 1, 0, "3"));
    assert_eq!(read_all(&server, "s"), b"[0,3]");
}

#[test]
fn acks_and_generations_of_lost_history_are_refused() {
    let world = world(&[]);
    let server = super::subscribing::server(&world);
    ok(call(&server, pull("s", "events/*")));
    ok(call(&server, create("events/a", "one")));
    let early = claimed_by(&server, "early");
    let backup = world.backup();
    ok(ack_all(&server, "s", &early, true));
    ok(call(&server, super::subscribing::append("events/a", "two")));
    let late = claimed_by(&server, "late");
    world.restore(&backup);
    let server = serve_on(&world, 2);
    // By the store the first worker has the lease, but it may have lost the lease in the lost
    // history.
    assert_refused(&ack_all(&server, "s", &early, false), 409, "FENCED");
    assert_refused(&ack_all(&server, "s", &late, false), 409, "FENCED");
    let claimed = claimed_by(&server, "new");
    assert_eq!(claimed["generation"], 200_000_001_u64);
    assert_eq!(
        claimed["streams"][0]["tail_offset"],
        early["streams"][0]["tail_offset"]
    );
    let ack = |offset: &Value| {
        let acks = json!([{"stream": "events/a", "offset": offset}]);
        let body = json!({
            "wake_id": claimed["wake_id"], "generation": claimed["generation"],
            "acks": acks, "done": false,
        });
        let token = format!("Bearer {}", claimed["token"].as_str().unwrap());
        let call_for = ds_json("POST", "subscriptions/s/ack", &body);
        call(&server, call_for.header("authorization", token))
    };
    let lost = &late["streams"][0]["tail_offset"];
    assert_refused(&ack(lost), 409, "INVALID_OFFSET");
    ok(call(
        &server,
        super::subscribing::append("events/a", "another two"),
    ));
    assert_refused(&ack(lost), 409, "INVALID_OFFSET");
    ok(ack(&claimed["streams"][0]["tail_offset"]));
    assert!(woken(&server).is_sorted());
}

/// A step in the history of a stream.
#[derive(Debug, Clone)]
enum Move {
    Append(usize),
    Backup,
    Restore,
    Raise,
    Recreate,
    Read(prop::sample::Index, bool),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        8 => (1_usize..30).prop_map(Move::Append),
        2 => Just(Move::Backup),
        2 => Just(Move::Restore),
        1 => Just(Move::Raise),
        1 => Just(Move::Recreate),
        6 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(at, live)| Move::Read(at, live)),
    ];
    proptest::collection::vec(one, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Appends, backups, restores, new lives. The test keeps each offset with the messages read up
    /// to it. A reader then reads on to exactly the stream's content, or it is refused.
    #[test]
    fn a_reader_has_a_part_of_the_stream_or_gets_an_error(
        moves in moves(),
        inline in prop_oneof![Just("0"), Just("20"), Just("16384")],
    ) {
        let world = world(&[("inline_tail_bytes", inline), ("registry", "false")]);
        let mut timeline = 0;
        let mut server = serve_on(&world, timeline);
        put(&server, "s");
        let (mut now, mut life, mut next) = (Vec::<u64>::new(), 0_u64, 0_u64);
        let mut lives = 0_u64;
        let mut backup = (world.backup(), now.clone(), life);
        let mut given: Vec<(String, u64, Vec<u64>)> = Vec::new();
        for one in moves {
            match one {
                Move::Append(digits) => {
                    next += 1;
                    let message = format!("{next:0>digits$}");
                    let offset = post(&server, "s", &format!("[{next},\"{message}\"]"));
                    now.push(next);
                    given.push((offset, life, now.clone()));
                }
                Move::Backup => backup = (world.backup(), now.clone(), life),
                Move::Restore | Move::Raise => {
                    if matches!(one, Move::Restore) {
                        world.restore(&backup.0);
                        (now, life) = (backup.1.clone(), backup.2);
                    }
                    timeline += 1;
                    server = serve_on(&world, timeline);
                }
                Move::Recreate => {
                    prop_assert_eq!(call(&server, ask("DELETE", "s")).status, 204);
                    put(&server, "s");
                    lives += 1;
                    (now, life) = (Vec::new(), lives);
                }
                Move::Read(at, live) => {
                    let Some((offset, of, read)) = given.get(at.index(given.len().max(1))) else {
                        continue;
                    };
                    let mode = if live { "&live=sse" } else { "" };
                    let came = send(&server, ask("GET", &format!("s?offset={offset}{mode}")));
                    let page = match came {
                        Came::Whole(page) => page,
                        Came::Waits(waiting) => waiting.response,
                    };
                    let is_part = *of == life && now.starts_with(read);
                    prop_assert_eq!(page.status == 200, is_part, "{:?} {:?} {:?}", offset, now, page);
                    if !is_part {
                        prop_assert_eq!(page.code(), "OFFSET_GONE");
                    } else if !live {
                        let rest: Vec<Value> = serde_json::from_slice(&page.body).unwrap();
                        let rest: Vec<u64> = rest.iter().filter_map(Value::as_u64).collect();
                        prop_assert_eq!(&rest[..], &now[read.len()..]);
                    }
                }
            }
        }
    }
}
