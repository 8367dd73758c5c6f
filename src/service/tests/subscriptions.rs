//! Subscriptions (sections 6 and 7) in memory: answers, wakes and fencing.

use super::driver::{Server, ask, call, serve};
use super::subscribing::*;
use super::world::{Quirk, World};
use serde_json::{Value, json};

#[test]
fn a_subscription_is_created_once_and_confirmed_by_the_same_again() {
    for (quirk, _, server) in servers() {
        let created = call(&server, pull("s", "events/*"));
        assert_eq!(created.status, 201, "{quirk:?} {created:?}");
        let document = json_of(&created);
        assert_eq!(
            document,
            json!({
                "id": "s", "subscription_id": "s", "type": "pull-wake",
                "pattern": "events/*", "streams": [], "wake_stream": "wake/pool",
                "lease_ttl_ms": 30000, "created_at": "2026-01-01T00:00:00Z",
                "status": "active", "description": null,
            })
        );
        assert_eq!(call(&server, pull("s", "events/*")).status, 200);
        let other = call(&server, pull("s", "events/**"));
        assert_refused(&other, 409, "SUBSCRIPTION_ALREADY_EXISTS");
        assert_eq!(call(&server, ds("DELETE", "subscriptions/s")).status, 204);
        let gone = call(&server, ds("GET", "subscriptions/s"));
        assert_refused(&gone, 404, "SUBSCRIPTION_NOT_FOUND");
        let again = call(&server, ds("DELETE", "subscriptions/s"));
        assert_eq!(again.status, 404);
        assert_eq!(
            call(&server, pull("s", "events/**")).status,
            201,
            "{quirk:?}"
        );
    }
}

#[test]
fn existing_streams_are_linked_at_their_tails_and_later_ones_from_their_beginning() {
    for (quirk, _, server) in servers() {
        ok(call(&server, create("events/a", "old")));
        ok(call(&server, create("other/a", "old")));
        ok(call(&server, pull("s", "events/*")));
        let streams = read(&server, "s")["streams"].clone();
        let acked = json!("0000000000000000_0000000000000030");
        let expected = json!([{"path": "events/a", "link_type": "glob", "acked_offset": acked}]);
        assert_eq!(streams, expected, "{quirk:?}");
        assert_eq!(claim(&server, "s", "w").status, 409);
        ok(call(&server, create("events/b", "new")));
        assert_eq!(woken(&server), [1], "{quirk:?}");
        let claimed = claimed_by(&server, "w");
        let expected = json!([
            {"path": "events/a", "link_type": "glob", "acked_offset": acked,
             "tail_offset": acked, "has_pending": false},
            {"path": "events/b", "link_type": "glob",
             "acked_offset": "0000000000000000_0000000000000000",
             "tail_offset": acked, "has_pending": true},
        ]);
        assert_eq!(claimed["streams"], expected, "{quirk:?}");
    }
}

#[test]
fn an_append_wakes_a_worker_that_claims_and_acks() {
    for (quirk, _, server) in servers() {
        ok(call(&server, pull("s", "events/*")));
        ok(call(&server, create("events/a", "")));
        assert!(woken(&server).is_empty());
        ok(call(&server, append("events/a", "one")));
        ok(call(&server, append("events/a", "two")));
        // Only one wake: after the first event the subscription was not idle any more.
        assert_eq!(woken(&server), [1], "{quirk:?}");
        let claimed = claimed_by(&server, "w1");
        assert_eq!(claimed["generation"], 1);
        let busy = claim(&server, "s", "w2");
        assert_refused(&busy, 409, "ALREADY_CLAIMED");
        assert_eq!(json_of(&busy)["error"]["current_holder"], "w1");
        let acked = ack_all(&server, "s", &claimed, true);
        assert_eq!(
            acked.text(),
            r#"{"ok":true,"next_wake":false}"#,
            "{quirk:?}"
        );
        // The token and the wake are over.
        let late = ack_all(&server, "s", &claimed, true);
        assert_refused(&late, 409, "FENCED");
        let nothing = claim(&server, "s", "w1");
        assert_refused(&nothing, 409, "NO_PENDING_WORK");
        assert_eq!(woken(&server), [1]);
    }
}

#[test]
fn appends_while_a_worker_is_busy_wake_again_when_it_is_done() {
    for (quirk, _, server) in servers() {
        ok(call(&server, pull("s", "events/*")));
        ok(call(&server, create("events/a", "one")));
        let claimed = claimed_by(&server, "w");
        ok(call(&server, append("events/a", "two")));
        let heartbeat = ack_all(&server, "s", &claimed, false);
        assert_eq!(heartbeat.text(), r#"{"ok":true,"next_wake":false}"#);
        assert_eq!(woken(&server), [1]);
        let acked = ack_all(&server, "s", &claimed, true);
        assert_eq!(acked.text(), r#"{"ok":true,"next_wake":true}"#, "{quirk:?}");
        assert_eq!(woken(&server), [1, 2]);
        // A release moves no cursor, so pending events wake the subscription again.
        let claimed = claimed_by(&server, "w");
        let release = json!({"wake_id": claimed["wake_id"], "generation": 2});
        let token = format!("Bearer {}", claimed["token"].as_str().unwrap());
        let request = ds_json("POST", "subscriptions/s/release", &release);
        let released = call(&server, request.clone().header("authorization", &token));
        assert_eq!(released.status, 204);
        assert_eq!(woken(&server), [1, 2, 3], "{quirk:?}");
        let late = call(&server, request.header("authorization", &token));
        assert_refused(&late, 409, "FENCED");
    }
}

#[test]
fn a_lease_that_ends_wakes_again_and_fences_the_worker() {
    for (quirk, world, server) in servers() {
        ok(call(&server, pull("s", "events/*")));
        ok(call(&server, create("events/a", "one")));
        let claimed = claimed_by(&server, "w1");
        world.advance(29_999);
        assert_eq!(claim(&server, "s", "w2").status, 409);
        world.advance(1);
        super::deletion::work_all(&server);
        assert_eq!(woken(&server), [1, 2], "{quirk:?}");
        let late = ack_all(&server, "s", &claimed, true);
        assert_refused(&late, 409, "FENCED");
        let again = claimed_by(&server, "w2");
        assert_eq!(again["generation"], 2);
        assert_eq!(again["streams"][0]["has_pending"], true);
    }
}

/// The progress of the walk decided whether the ack moved the other cursors.
#[test]
fn an_ack_that_includes_a_deleted_stream_moves_the_others() {
    for (quirk, _, server) in servers() {
        ok(call(&server, pull("s", "events/*")));
        ok(call(&server, create("events/a", "one")));
        ok(call(&server, create("events/b", "one")));
        let claimed = claimed_by(&server, "w");
        ok(call(&server, ask("DELETE", "events/a")));
        super::deletion::work_all(&server);
        let acked = ack_all(&server, "s", &claimed, true);
        assert_eq!(acked.status, 200, "{quirk:?} {acked:?}");
        assert_refused(&claim(&server, "s", "w"), 409, "NO_PENDING_WORK");
        // Now the walk has removed the stream, so no worker gets it any more.
        super::deletion::work_all(&server);
        assert_eq!(paths(&server), ["events/b"], "{quirk:?}");
    }
}

#[test]
fn streams_are_added_and_removed() {
    for (quirk, _, server) in servers() {
        ok(call(&server, create("here", "old")));
        let body =
            json!({"type": "pull-wake", "streams": ["here", "later"], "wake_stream": "wake/pool"});
        ok(call(&server, ds_json("PUT", "subscriptions/s", &body)));
        let paths = |server: &Server| {
            let streams = read(server, "s")["streams"].clone();
            let path = |one: &Value| {
                assert_eq!(one["link_type"], "explicit");
                one["path"].as_str().unwrap().to_owned()
            };
            streams
                .as_array()
                .unwrap()
                .iter()
                .map(path)
                .collect::<Vec<_>>()
        };
        assert_eq!(paths(&server), ["here", "later"], "{quirk:?}");
        ok(call(&server, create("later", "new")));
        assert_eq!(woken(&server), [1], "{quirk:?}");
        let claimed = claimed_by(&server, "w");
        assert_eq!(claimed["streams"][0]["has_pending"], false);
        assert_eq!(claimed["streams"][1]["has_pending"], true);
        ok(ack_all(&server, "s", &claimed, true));
        ok(call(&server, create("more", "old")));
        let add = ds_json(
            "POST",
            "subscriptions/s/streams",
            &json!({"streams": ["more", "here"]}),
        );
        assert_eq!(call(&server, add.clone()).status, 204);
        assert_eq!(call(&server, add).status, 204);
        assert_eq!(
            claim(&server, "s", "w").status,
            409,
            "the old bytes are not of interest"
        );
        ok(call(&server, append("more", "new")));
        assert_eq!(woken(&server), [1, 2]);
        take_all(&server);
        let remove = ds("DELETE", "subscriptions/s/streams/more");
        assert_eq!(call(&server, remove.clone()).status, 204);
        assert_eq!(call(&server, remove).status, 204);
        assert_eq!(paths(&server), ["here", "later"]);
        ok(call(&server, append("more", "x")));
        assert_eq!(woken(&server), [1, 2], "{quirk:?}");
    }
}

#[test]
fn a_fork_wakes_for_its_own_appends_and_a_new_life_from_its_beginning() {
    let world = World::new(Quirk::Guarded, 1);
    let server = server(&world);
    ok(call(&server, create("source", "old")));
    ok(call(&server, pull("s", "events/*")));
    let fork = ask("PUT", "events/f").header("stream-forked-from", "/v1/stream/source");
    ok(call(&server, fork));
    assert!(woken(&server).is_empty());
    ok(call(&server, append("events/f", "new")));
    assert_eq!(woken(&server), [1]);
    take_all(&server);
    ok(call(&server, create("events/a", "one")));
    take_all(&server);
    ok(call(&server, ask("DELETE", "events/a")));
    assert_eq!(read(&server, "s")["streams"].as_array().unwrap().len(), 1);
    ok(call(&server, create("events/a", "two")));
    let claimed = claimed_by(&server, "w");
    let zeros = "0000000000000000_0000000000000000";
    assert_eq!(claimed["streams"][0]["path"], "events/a");
    assert_eq!(claimed["streams"][0]["acked_offset"], zeros);
    assert_eq!(claimed["streams"][0]["has_pending"], true);
}

#[test]
fn an_append_to_a_stream_without_subscriptions_costs_no_extra_operations() {
    for (quirk, _, server) in servers() {
        ok(call(&server, create("plain", "")));
        let cost = |server: &Server| {
            let before = server.env().ops();
            ok(call(server, append("plain", "x")));
            server.env().ops() - before
        };
        let before = cost(&server);
        ok(call(&server, pull("s", "events/*")));
        assert_eq!(cost(&server), before, "{quirk:?}");
    }
}

#[test]
fn a_missing_wake_stream_gets_its_event_once_it_is_created() {
    for quirk in Quirk::ALL {
        let world = World::new(quirk, 1);
        let server = serve(&world);
        ok(call(&server, pull("s", "events/*")));
        ok(call(&server, create("events/a", "one")));
        assert_eq!(read(&server, "s")["status"], "failed");
        let wake = ask("PUT", "wake/pool").content_type("application/json");
        ok(call(&server, wake));
        world.advance(3_000);
        super::deletion::work_all(&server);
        assert_eq!(woken(&server), [1], "{quirk:?}");
        assert_eq!(read(&server, "s")["status"], "active");
    }
}

#[test]
fn unknown_paths_and_methods_are_problems() {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    for (method, path, status, expected) in [
        ("PUT", "subscriptions", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "subscriptions/", 404, "ROUTE_NOT_FOUND"),
        ("GET", "subscriptions/a/b", 404, "ROUTE_NOT_FOUND"),
        ("GET", "subscriptions/a/claim/x", 404, "ROUTE_NOT_FOUND"),
        ("POST", "subscriptions/a", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "subscriptions/a/claim", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "subscriptions/a/streams", 405, "METHOD_NOT_ALLOWED"),
        (
            "POST",
            "subscriptions/a/streams/x",
            405,
            "METHOD_NOT_ALLOWED",
        ),
        (
            "DELETE",
            "subscriptions/a/streams/x//y",
            400,
            "INVALID_STREAM_NAME",
        ),
        ("PUT", "jwks.json", 405, "METHOD_NOT_ALLOWED"),
    ] {
        let refused = call(&server, ds(method, path));
        assert_eq!(
            (refused.status, &*refused.code()),
            (status, expected),
            "{path}"
        );
        assert_eq!(refused.get("content-type"), "application/problem+json");
    }
    let missing = call(&server, ds("DELETE", "subscriptions/a"));
    assert_eq!(missing.get("content-type"), "application/json");
    let claim = call(&server, ds("POST", "subscriptions/a/claim").body("{"));
    assert_refused(&claim, 400, "INVALID_REQUEST");
}

#[test]
fn a_deleted_subscription_refuses_acks_and_wakes_no_worker() {
    for (quirk, _, server) in servers() {
        ok(call(&server, pull("s", "events/*")));
        ok(call(&server, create("events/a", "one")));
        let claimed = claimed_by(&server, "w");
        ok(call(&server, ds("DELETE", "subscriptions/s")));
        let late = ack_all(&server, "s", &claimed, true);
        assert_refused(&late, 404, "SUBSCRIPTION_NOT_FOUND");
        ok(call(&server, append("events/a", "two")));
        assert_eq!(woken(&server), [1]);
        // A subscription created again under the same id is another one: the old token does not fit
        // it.
        ok(call(&server, pull("s", "events/*")));
        let late = ack_all(&server, "s", &claimed, true);
        assert_eq!(
            (late.status, &*late.code()),
            (401, "TOKEN_INVALID"),
            "{quirk:?}"
        );
        ok(call(&server, append("events/a", "three")));
        assert_eq!(woken(&server), [1, 1], "{quirk:?}");
        let streams = read(&server, "s")["streams"].clone();
        assert_eq!(
            streams[0]["acked_offset"],
            "0000000000000000_0000000000000060"
        );
    }
}
