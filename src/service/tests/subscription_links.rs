//! Links between streams and subscriptions over time: names that end and begin again, streams that
//! have no room, namings that are refused.

use super::deletion::work_all;
use super::driver::{Ask, Server, ask, call};
use super::subscribing::*;
use super::world::{Quirk, World};
use crate::limits::SUBSCRIBERS;
use crate::service::exchange::DeliveryResult;
use serde_json::{Value, json};

fn name(id: &str, streams: &Value) -> Ask {
    let body = json!({"type": "pull-wake", "streams": streams, "wake_stream": "wake/pool"});
    ds_json("PUT", &format!("subscriptions/{id}"), &body)
}

fn add(id: &str, streams: &Value) -> Ask {
    let path = format!("subscriptions/{id}/streams");
    ds_json("POST", &path, &json!({"streams": streams}))
}

/// A server with a stream `full` that has the most subscriptions allowed.
fn full() -> Server {
    let server = server(&World::new(Quirk::Guarded, 1));
    ok(call(&server, create("full", "")));
    for number in 0..SUBSCRIBERS {
        ok(call(
            &server,
            name(&format!("one{number}"), &json!(["full"])),
        ));
    }
    server
}

/// The service took the cursor of the earlier life for one of the fork, which has the positions of
/// its source. No wake came until the fork had passed that cursor.
#[test]
fn a_name_recreated_as_a_fork_wakes_for_its_own_appends() {
    for by_pattern in [true, false] {
        for (quirk, _, server) in servers() {
            ok(match by_pattern {
                true => call(&server, pull("s", "events/*")),
                false => call(&server, name("s", &json!(["events/a"]))),
            });
            ok(call(&server, create("events/a", "0123456789")));
            take_all(&server);
            ok(call(&server, create("source", "012")));
            ok(call(&server, ask("DELETE", "events/a")));
            let fork = ask("PUT", "events/a").header("stream-forked-from", "/v1/stream/source");
            ok(call(&server, fork));
            let nothing = claim(&server, "s", "w");
            assert_refused(&nothing, 409, "NO_PENDING_WORK");
            ok(call(&server, append("events/a", "34")));
            let claimed = claimed_by(&server, "w");
            let offsets = ["acked_offset", "tail_offset"].map(|one| &claimed["streams"][0][one]);
            let expected = [
                "0000000000000000_0000000000000030",
                "0000000000000000_0000000000000050",
            ];
            assert_eq!(offsets, expected, "{quirk:?} {by_pattern}");
            ok(ack_all(&server, "s", &claimed, true));
            assert_refused(&claim(&server, "s", "w"), 409, "NO_PENDING_WORK");
        }
    }
}

/// A webhook's ack for the earlier life moved the cursor of the next one, which has the same
/// positions.
#[test]
fn an_ack_of_an_earlier_life_moves_nothing_in_the_next() {
    let server = server(&World::new(Quirk::Guarded, 1));
    ok(call(&server, webhook("s", "events/*")));
    let (_, sent) = deliveries(&server, create("events/a", "0123456789"));
    ok(call(&server, create("source", "012")));
    ok(call(&server, ask("DELETE", "events/a")));
    let fork = ask("PUT", "events/a").header("stream-forked-from", "/v1/stream/source");
    ok(call(&server, fork));
    ok(call(&server, append("events/a", "3456789")));
    let done = DeliveryResult::Answered {
        status: 200,
        body: br#"{"done":true}"#.to_vec(),
    };
    let again = server.delivered(&sent[0].token, &done);
    assert_eq!(again.effects.len(), 1, "it is woken for the new one");
    let acked = &read(&server, "s")["streams"][0]["acked_offset"];
    assert_eq!(acked, "0000000000000000_0000000000000030");
}

/// The removal of a name removed the whole link with its cursor, so acked events were pending
/// again.
#[test]
fn removing_a_name_keeps_the_link_of_the_pattern_with_its_cursor() {
    for (quirk, _, server) in servers() {
        let body = json!({"type": "pull-wake", "pattern": "events/*", "streams": ["events/a"],
                          "wake_stream": "wake/pool"});
        ok(call(&server, ds_json("PUT", "subscriptions/s", &body)));
        ok(call(&server, create("events/a", "")));
        ok(call(&server, append("events/a", "12345")));
        take_all(&server);
        ok(call(
            &server,
            ds("DELETE", "subscriptions/s/streams/events%2Fa"),
        ));
        let link = json!({"path": "events/a", "link_type": "glob",
                          "acked_offset": "0000000000000000_0000000000000050"});
        assert_eq!(read(&server, "s")["streams"], json!([link]), "{quirk:?}");
        ok(call(&server, append("events/a", "6")));
        let claimed = claimed_by(&server, "w");
        assert_eq!(claimed["streams"][0]["acked_offset"], link["acked_offset"]);
    }
}

/// The record had the names already, so the client was woken later for names that it was refused.
#[test]
fn names_that_are_refused_are_not_in_the_subscription() {
    let server = full();
    ok(call(&server, create("free", "")));
    ok(call(&server, name("s", &json!(["kept"]))));
    let refused = call(&server, add("s", &json!(["free", "full", "kept", "other"])));
    assert_refused(&refused, 409, "TOO_MANY_LINKS");
    assert_eq!(paths(&server), ["kept"]);
    ok(call(&server, ds("DELETE", "subscriptions/one0")));
    work_all(&server);
    for stream in ["free", "full"] {
        ok(call(&server, append(stream, "x")));
    }
    work_all(&server);
    assert_refused(&claim(&server, "s", "w"), 409, "NO_PENDING_WORK");
}

/// A link to a stream without room was work that never ended, so workers did nothing else.
#[test]
fn a_stream_without_room_for_a_link_is_no_endless_work() {
    let server = server(&World::new(Quirk::Guarded, 1));
    for number in 0..=SUBSCRIBERS {
        ok(call(
            &server,
            name(&format!("one{number}"), &json!(["later"])),
        ));
    }
    ok(call(&server, create("later", "")));
    for round in 0..200 {
        let repeats = (0..50).find(|_| !server.work(round).worked);
        assert!(repeats.is_some(), "round {round}");
    }
    // Once the stream has room, it is linked.
    ok(call(&server, ds("DELETE", "subscriptions/one0")));
    for round in 0..200 {
        server.work(round);
    }
    ok(call(&server, append("later", "x")));
    for number in 1..=SUBSCRIBERS {
        let claimed = claim(&server, &format!("one{number}"), "w");
        assert_eq!(claimed.status, 200, "{number}");
    }
}

/// Only the walk found names given in advance, and Spin has no timer for the walk.
#[test]
fn a_name_given_in_advance_is_linked_without_a_registry_too() {
    let world = World::new(Quirk::Guarded, 1);
    world.variable("registry", "false");
    let server = server(&world);
    ok(call(&server, name("s", &json!(["later"]))));
    ok(call(&server, create("later", "new")));
    assert_eq!(woken(&server), [1]);
}
