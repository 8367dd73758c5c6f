//! Subscriptions (sections 6 and 7) in memory: what is answered, who is woken, who is fenced.

use super::driver::{Ask, Response, Server, ask, call, serve};
use super::world::{Quirk, World};
use crate::service::exchange::{Delivery, Outcome};
use serde_json::{Value, json};
use std::sync::Arc;

/// A control call.
pub(super) fn ds(method: &str, path: &str) -> Ask {
    ask(method, &format!("__ds/{path}"))
}

/// The same with a JSON body.
pub(super) fn ds_json(method: &str, path: &str, body: &Value) -> Ask {
    ds(method, path).body(body.to_string())
}

pub(super) fn pull(id: &str, pattern: &str) -> Ask {
    let body = json!({"type": "pull-wake", "pattern": pattern, "wake_stream": "wake/pool"});
    ds_json("PUT", &format!("subscriptions/{id}"), &body)
}

pub(super) fn webhook(id: &str, pattern: &str) -> Ask {
    let hook = json!({"url": "https://worker.example/hooks"});
    let body = json!({"type": "webhook", "pattern": pattern, "webhook": hook});
    ds_json("PUT", &format!("subscriptions/{id}"), &body)
}

pub(super) fn append(name: &str, body: &str) -> Ask {
    ask("POST", name).content_type("text/plain").body(body)
}

pub(super) fn create(name: &str, body: &str) -> Ask {
    ask("PUT", name).content_type("text/plain").body(body)
}

pub(super) fn json_of(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap()
}

/// The code of an error of a control call.
fn code(response: &Response) -> String {
    json_of(response)["error"]["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

pub(super) fn ok(response: Response) -> Response {
    assert!(response.is_ok(), "{response:?}");
    response
}

/// A server with a wake stream.
pub(super) fn server(world: &Arc<World>) -> Server {
    let server = serve(world);
    let wake = ask("PUT", "wake/pool").content_type("application/json");
    ok(call(&server, wake));
    server
}

/// The generations that the wake stream tells of.
pub(super) fn woken(server: &Server) -> Vec<u64> {
    let page = ok(call(server, ask("GET", "wake/pool")));
    let events: Vec<Value> = serde_json::from_slice(&page.body).unwrap();
    let generation = |event: &Value| event["generation"].as_u64().unwrap();
    events.iter().map(generation).collect()
}

pub(super) fn claim(server: &Server, id: &str, worker: &str) -> Response {
    let path = format!("subscriptions/{id}/claim");
    call(server, ds_json("POST", &path, &json!({"worker": worker})))
}

/// An ack of everything that a claim told.
pub(super) fn ack_all(server: &Server, id: &str, claimed: &Value, done: bool) -> Response {
    let acks: Vec<Value> = claimed["streams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stream| json!({"stream": stream["path"], "offset": stream["tail_offset"]}))
        .collect();
    let body = json!({
        "wake_id": claimed["wake_id"],
        "generation": claimed["generation"],
        "acks": acks,
        "done": done,
    });
    let token = claimed["token"].as_str().unwrap();
    let path = format!("subscriptions/{id}/ack");
    let request = ds_json("POST", &path, &body);
    call(
        server,
        request.header("authorization", format!("Bearer {token}")),
    )
}

pub(super) fn read(server: &Server, id: &str) -> Value {
    json_of(&ok(call(server, ds("GET", &format!("subscriptions/{id}")))))
}

/// One exchange, with the deliveries it asks for.
pub(super) fn deliveries(server: &Server, ask: Ask) -> (u16, Vec<Delivery>) {
    let answer = server.start(&[ask.raw()], None).remove(0);
    let status = answer.head.as_ref().map_or(0, |head| head.status);
    (status, answer.effects)
}

const QUIRKS: [Quirk; 4] = [
    Quirk::Guarded,
    Quirk::Plain,
    Quirk::SpinSqlite,
    Quirk::SpinRedis,
];

#[test]
fn a_subscription_is_created_once_and_confirmed_by_the_same_again() {
    for quirk in QUIRKS {
        let world = World::new(quirk, 1);
        let server = server(&world);
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
        assert_eq!(
            (other.status, code(&other)),
            (409, "SUBSCRIPTION_ALREADY_EXISTS".into())
        );
        assert_eq!(call(&server, ds("DELETE", "subscriptions/s")).status, 204);
        let gone = call(&server, ds("GET", "subscriptions/s"));
        assert_eq!(
            (gone.status, code(&gone)),
            (404, "SUBSCRIPTION_NOT_FOUND".into())
        );
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
fn streams_that_are_there_are_linked_at_their_tails_and_later_ones_from_their_beginning() {
    for quirk in QUIRKS {
        let world = World::new(quirk, 1);
        let server = server(&world);
        ok(call(&server, create("events/a", "old")));
        ok(call(&server, create("other/a", "old")));
        ok(call(&server, pull("s", "events/*")));
        let streams = read(&server, "s")["streams"].clone();
        let acked = json!("0000000000000000_0000000000000003");
        let expected = json!([{"path": "events/a", "link_type": "glob", "acked_offset": acked}]);
        assert_eq!(streams, expected, "{quirk:?}");
        assert_eq!(claim(&server, "s", "w").status, 409);
        ok(call(&server, create("events/b", "new")));
        assert_eq!(woken(&server), [1], "{quirk:?}");
        let claimed = json_of(&ok(claim(&server, "s", "w")));
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
fn a_wake_goes_from_the_append_over_the_claim_to_the_ack() {
    for quirk in QUIRKS {
        let world = World::new(quirk, 1);
        let server = server(&world);
        ok(call(&server, pull("s", "events/*")));
        ok(call(&server, create("events/a", "")));
        assert!(woken(&server).is_empty());
        ok(call(&server, append("events/a", "one")));
        ok(call(&server, append("events/a", "two")));
        // Once: it was not idle any more.
        assert_eq!(woken(&server), [1], "{quirk:?}");
        let claimed = ok(claim(&server, "s", "w1"));
        let claimed = json_of(&claimed);
        assert_eq!(claimed["generation"], 1);
        let busy = claim(&server, "s", "w2");
        assert_eq!((busy.status, code(&busy)), (409, "ALREADY_CLAIMED".into()));
        assert_eq!(json_of(&busy)["error"]["current_holder"], "w1");
        let acked = ack_all(&server, "s", &claimed, true);
        assert_eq!(
            acked.text(),
            r#"{"ok":true,"next_wake":false}"#,
            "{quirk:?}"
        );
        // The token and the wake are over.
        let late = ack_all(&server, "s", &claimed, true);
        assert_eq!((late.status, code(&late)), (409, "FENCED".into()));
        let nothing = claim(&server, "s", "w1");
        assert_eq!(
            (nothing.status, code(&nothing)),
            (409, "NO_PENDING_WORK".into())
        );
        assert_eq!(woken(&server), [1]);
    }
}

#[test]
fn what_comes_while_a_worker_is_busy_wakes_again_when_it_is_done() {
    for quirk in QUIRKS {
        let world = World::new(quirk, 1);
        let server = server(&world);
        ok(call(&server, pull("s", "events/*")));
        ok(call(&server, create("events/a", "one")));
        let claimed = json_of(&ok(claim(&server, "s", "w")));
        ok(call(&server, append("events/a", "two")));
        let heartbeat = ack_all(&server, "s", &claimed, false);
        assert_eq!(heartbeat.text(), r#"{"ok":true,"next_wake":false}"#);
        assert_eq!(woken(&server), [1]);
        let acked = ack_all(&server, "s", &claimed, true);
        assert_eq!(acked.text(), r#"{"ok":true,"next_wake":true}"#, "{quirk:?}");
        assert_eq!(woken(&server), [1, 2]);
        // A release moves no cursor, and what is pending wakes again.
        let claimed = json_of(&ok(claim(&server, "s", "w")));
        let release = json!({"wake_id": claimed["wake_id"], "generation": 2});
        let token = format!("Bearer {}", claimed["token"].as_str().unwrap());
        let request = ds_json("POST", "subscriptions/s/release", &release);
        let released = call(&server, request.clone().header("authorization", &token));
        assert_eq!(released.status, 204);
        assert_eq!(woken(&server), [1, 2, 3], "{quirk:?}");
        let late = call(&server, request.header("authorization", &token));
        assert_eq!((late.status, code(&late)), (409, "FENCED".into()));
    }
}

#[test]
fn a_lease_that_ends_wakes_again_and_fences_the_worker() {
    for quirk in QUIRKS {
        let world = World::new(quirk, 1);
        let server = server(&world);
        ok(call(&server, pull("s", "events/*")));
        ok(call(&server, create("events/a", "one")));
        let claimed = json_of(&ok(claim(&server, "s", "w1")));
        world.advance(29_999);
        assert_eq!(claim(&server, "s", "w2").status, 409);
        world.advance(1);
        super::deletion::work_all(&server);
        assert_eq!(woken(&server), [1, 2], "{quirk:?}");
        let late = ack_all(&server, "s", &claimed, true);
        assert_eq!((late.status, code(&late)), (409, "FENCED".into()));
        let again = json_of(&ok(claim(&server, "s", "w2")));
        assert_eq!(again["generation"], 2);
        assert_eq!(again["streams"][0]["has_pending"], true);
    }
}

#[test]
fn streams_are_named_and_taken_back() {
    for quirk in QUIRKS {
        let world = World::new(quirk, 1);
        let server = server(&world);
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
        let claimed = json_of(&ok(claim(&server, "s", "w")));
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
        ok(ack_all(
            &server,
            "s",
            &json_of(&ok(claim(&server, "s", "w"))),
            true,
        ));
        let remove = ds("DELETE", "subscriptions/s/streams/more");
        assert_eq!(call(&server, remove.clone()).status, 204);
        assert_eq!(call(&server, remove).status, 204);
        assert_eq!(paths(&server), ["here", "later"]);
        ok(call(&server, append("more", "x")));
        assert_eq!(woken(&server), [1, 2], "{quirk:?}");
    }
}

#[test]
fn a_fork_tells_of_what_is_its_own_and_a_new_life_of_a_name_from_its_beginning() {
    let world = World::new(Quirk::Guarded, 1);
    let server = server(&world);
    ok(call(&server, create("source", "old")));
    ok(call(&server, pull("s", "events/*")));
    let fork = ask("PUT", "events/f").header("stream-forked-from", "/v1/stream/source");
    ok(call(&server, fork));
    assert!(woken(&server).is_empty());
    ok(call(&server, append("events/f", "new")));
    assert_eq!(woken(&server), [1]);
    ok(ack_all(
        &server,
        "s",
        &json_of(&ok(claim(&server, "s", "w"))),
        true,
    ));
    ok(call(&server, create("events/a", "one")));
    ok(ack_all(
        &server,
        "s",
        &json_of(&ok(claim(&server, "s", "w"))),
        true,
    ));
    ok(call(&server, ask("DELETE", "events/a")));
    assert_eq!(read(&server, "s")["streams"].as_array().unwrap().len(), 1);
    ok(call(&server, create("events/a", "two")));
    let claimed = json_of(&ok(claim(&server, "s", "w")));
    let zeros = "0000000000000000_0000000000000000";
    assert_eq!(claimed["streams"][0]["path"], "events/a");
    assert_eq!(claimed["streams"][0]["acked_offset"], zeros);
    assert_eq!(claimed["streams"][0]["has_pending"], true);
}

#[test]
fn an_append_to_a_stream_without_subscriptions_costs_what_it_always_did() {
    for quirk in QUIRKS {
        let world = World::new(quirk, 1);
        let server = server(&world);
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
fn a_webhook_is_told_signed_and_acks_by_its_answer() {
    for quirk in QUIRKS {
        let world = World::new(quirk, 1);
        let server = server(&world);
        let created = ok(call(&server, webhook("s", "events/*")));
        let signing = json_of(&created)["webhook"]["signing"].clone();
        assert_eq!(signing["alg"], "ed25519");
        assert_eq!(
            signing["jwks_url"],
            "http://a.example/v1/stream/__ds/jwks.json"
        );
        let keys = json_of(&ok(call(&server, ds("GET", "jwks.json"))));
        assert_eq!(keys["keys"][0]["kid"], signing["kid"]);
        let (status, sent) = deliveries(&server, create("events/a", "one"));
        assert_eq!((status, sent.len()), (201, 1), "{quirk:?}");
        let body: Value = serde_json::from_slice(&sent[0].body).unwrap();
        assert_eq!(body["subscription_id"], "s");
        assert_eq!(body["generation"], 1);
        assert_eq!(
            body["callback_url"],
            "http://a.example/v1/stream/__ds/subscriptions/s/callback"
        );
        assert_eq!(body["streams"][0]["has_pending"], true);
        // Another append while it is told is told afterwards.
        let (_, none) = deliveries(&server, append("events/a", "two"));
        assert!(none.is_empty());
        let done = Outcome::Answered {
            status: 200,
            body: br#"{"done":true}"#.to_vec(),
        };
        let next = server.delivered(&sent[0].token, &done).effects;
        assert_eq!(next.len(), 1, "{quirk:?}");
        let body: Value = serde_json::from_slice(&next[0].body).unwrap();
        assert_eq!(body["generation"], 2);
        assert_eq!(
            body["streams"][0]["acked_offset"],
            "0000000000000000_0000000000000003"
        );
        // An outcome that comes twice changes nothing.
        assert!(server.delivered(&sent[0].token, &done).effects.is_empty());
        assert!(server.delivered(&next[0].token, &done).effects.is_empty());
        let streams = read(&server, "s")["streams"].clone();
        assert_eq!(
            streams[0]["acked_offset"],
            "0000000000000000_0000000000000006"
        );
    }
}

#[test]
fn a_webhook_calls_back_and_is_fenced_afterwards() {
    let world = World::new(Quirk::Guarded, 1);
    let server = server(&world);
    ok(call(&server, webhook("s", "events/*")));
    let (_, sent) = deliveries(&server, create("events/a", "one"));
    let wake: Value = serde_json::from_slice(&sent[0].body).unwrap();
    let accepted = Outcome::Answered {
        status: 202,
        body: Vec::new(),
    };
    assert!(
        server
            .delivered(&sent[0].token, &accepted)
            .effects
            .is_empty()
    );
    let body = json!({
        "wake_id": wake["wake_id"], "generation": 1, "done": true,
        "acks": [{"stream": "events/a", "offset": wake["streams"][0]["tail_offset"]}],
    });
    let token = format!("Bearer {}", wake["callback_token"].as_str().unwrap());
    let request = ds_json("POST", "subscriptions/s/callback", &body);
    for (header, status) in [
        ("Bearer x", 401),
        (&*format!("{token}x"), 401),
        ("Basic x", 401),
    ] {
        let refused = call(&server, request.clone().header("authorization", header));
        assert_eq!(
            (refused.status, &*refused.code()),
            (status, "TOKEN_INVALID")
        );
    }
    let request = request.header("authorization", &token);
    let called = call(&server, request.clone());
    assert_eq!(called.text(), r#"{"ok":true,"next_wake":false}"#);
    let late = call(&server, request);
    assert_eq!((late.status, code(&late)), (409, "FENCED".into()));
}

#[test]
fn a_webhook_that_fails_is_tried_again_after_the_pause_that_was_kept() {
    for quirk in QUIRKS {
        let world = World::new(quirk, 1);
        let server = server(&world);
        ok(call(&server, webhook("s", "events/*")));
        let (_, sent) = deliveries(&server, create("events/a", "one"));
        let failed = server.delivered(&sent[0].token, &Outcome::Failed);
        assert!(failed.effects.is_empty());
        let due = failed.due_ms.unwrap() - world.now_ms();
        assert!((800..=1_200).contains(&due), "{due}");
        assert_eq!(read(&server, "s")["status"], "failed");
        // Another instance honours it.
        let server = serve(&world);
        let work = |server: &Server| -> Vec<Delivery> {
            (0..40)
                .flat_map(|round| server.work(round).effects)
                .collect()
        };
        assert!(work(&server).is_empty());
        world.advance(due);
        let again = work(&server);
        assert_eq!(again.len(), 1, "{quirk:?}");
        let wake = |sent: &Delivery| -> Value { serde_json::from_slice(&sent.body).unwrap() };
        assert_eq!(wake(&again[0])["wake_id"], wake(&sent[0])["wake_id"]);
        let error = Outcome::Answered {
            status: 500,
            body: Vec::new(),
        };
        let due = server.delivered(&again[0].token, &error).due_ms.unwrap() - world.now_ms();
        assert!((1_600..=2_400).contains(&due), "{due}");
        world.advance(due);
        let again = work(&server);
        let accepted = Outcome::Answered {
            status: 200,
            body: b"no JSON".to_vec(),
        };
        server.delivered(&again[0].token, &accepted);
        assert_eq!(read(&server, "s")["status"], "active", "{quirk:?}");
        // It never says that it is done: the lease ends, and it is told anew.
        world.advance(30_000);
        let anew = work(&server);
        assert_eq!(wake(&anew[0])["generation"], 2);
    }
}

#[test]
fn a_wake_stream_that_is_not_there_gets_its_event_when_it_is() {
    for quirk in QUIRKS {
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
fn keys_that_were_replaced_are_published_for_a_while() {
    let world = World::new(Quirk::SpinRedis, 1);
    world.variable("tick_token", "secret");
    let server = serve(&world);
    let empty = ok(call(&server, ds("GET", "jwks.json")));
    assert_eq!(
        (empty.text(), empty.get("cache-control")),
        (r#"{"keys":[]}"#, "no-store")
    );
    ok(call(&server, webhook("s", "events/*")));
    let kids = |server: &Server| -> Vec<String> {
        let keys = ok(call(server, ds("GET", "jwks.json")));
        assert_eq!(keys.get("content-type"), "application/jwk-set+json");
        assert_eq!(keys.get("cache-control"), "public, max-age=300");
        let keys = json_of(&keys)["keys"].clone();
        let kid = |key: &Value| key["kid"].as_str().unwrap().to_owned();
        keys.as_array().unwrap().iter().map(kid).collect()
    };
    let first = kids(&server);
    assert_eq!(call(&server, ds("POST", "jwks/rotate")).status, 401);
    let rotate = ds("POST", "jwks/rotate").header("authorization", "Bearer secret");
    ok(call(&server, rotate));
    let both = kids(&server);
    assert_eq!((both.len(), &both[1]), (2, &first[0]));
    world.advance(crate::limits::REPLAY_WINDOW_MS);
    assert_eq!(kids(&server), both[..1]);
}

#[test]
fn keys_may_be_given() {
    let world = World::new(Quirk::Guarded, 1);
    // RFC 8037, appendix A.
    let seed = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    world.variable("webhook_signing_key", seed);
    let server = serve(&world);
    let keys = json_of(&ok(call(&server, ds("GET", "jwks.json"))));
    let key = &keys["keys"][0];
    assert_eq!(key["x"], "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    assert_eq!(key["kid"], "ds_kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    assert_eq!(call(&server, ds("POST", "jwks/rotate")).status, 400);
    assert!(!world.keys().iter().any(|key| key.starts_with('k')));
}

#[test]
fn paths_and_methods_that_are_none_are_problems() {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    for (method, path, status, expected) in [
        ("GET", "subscriptions", 404, "ROUTE_NOT_FOUND"),
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
    assert_eq!(
        (claim.status, code(&claim)),
        (400, "INVALID_REQUEST".into())
    );
}

#[test]
fn a_deleted_subscription_fences_and_wakes_nobody() {
    for quirk in QUIRKS {
        let world = World::new(quirk, 1);
        let server = server(&world);
        ok(call(&server, pull("s", "events/*")));
        ok(call(&server, create("events/a", "one")));
        let claimed = json_of(&ok(claim(&server, "s", "w")));
        ok(call(&server, ds("DELETE", "subscriptions/s")));
        let late = ack_all(&server, "s", &claimed, true);
        assert_eq!(
            (late.status, code(&late)),
            (404, "SUBSCRIPTION_NOT_FOUND".into())
        );
        ok(call(&server, append("events/a", "two")));
        assert_eq!(woken(&server), [1]);
        // The same id again is another subscription: the old token is none of its tokens.
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
            "0000000000000000_0000000000000006"
        );
    }
}
