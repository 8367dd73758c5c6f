//! Webhooks (sections 6.5 and 7.1) in memory: endpoints, signing keys, and retries.

use super::driver::{Server, call, serve};
use super::subscribing::*;
use super::world::{Quirk, World};
use crate::service::exchange::{Delivery, DeliveryResult};
use serde_json::{Value, json};

#[test]
fn a_webhook_gets_a_signed_delivery_and_acks_by_its_answer() {
    for (quirk, _, server) in servers() {
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
        // The next delivery announces an append that came during this one.
        let (_, none) = deliveries(&server, append("events/a", "two"));
        assert!(none.is_empty());
        let done = DeliveryResult::Answered {
            status: 200,
            body: br#"{"done":true}"#.to_vec(),
        };
        let next = server.delivered(&sent[0].token, &done).effects;
        assert_eq!(next.len(), 1, "{quirk:?}");
        let body: Value = serde_json::from_slice(&next[0].body).unwrap();
        assert_eq!(body["generation"], 2);
        assert_eq!(
            body["streams"][0]["acked_offset"],
            "0000000000000000_0000000000000030"
        );
        // An outcome that is reported twice changes nothing.
        assert!(server.delivered(&sent[0].token, &done).effects.is_empty());
        assert!(server.delivered(&next[0].token, &done).effects.is_empty());
        let streams = read(&server, "s")["streams"].clone();
        assert_eq!(
            streams[0]["acked_offset"],
            "0000000000000000_0000000000000060"
        );
    }
}

/// The URLs in the delivery to its worker began with no host.
#[test]
fn a_webhook_needs_a_server_that_knows_its_own_url() {
    let world = World::new(Quirk::Guarded, 1);
    let known = server(&world);
    let nowhere = call(&known, webhook("s", "events/*").without_host());
    assert_refused(&nowhere, 400, "INVALID_REQUEST");
    let missing = call(&known, ds("GET", "subscriptions/s"));
    assert_refused(&missing, 404, "SUBSCRIPTION_NOT_FOUND");
    // A pull-wake worker gets no URL.
    ok(call(&known, pull("p", "events/*").without_host()));
    world.variable("public_url", "https://streams.example");
    let public = serve(&world);
    let created = ok(call(&public, webhook("s", "events/*").without_host()));
    assert_eq!(
        json_of(&created)["webhook"]["signing"]["jwks_url"],
        "https://streams.example/v1/stream/__ds/jwks.json"
    );
}

#[test]
fn a_webhook_calls_back_and_is_fenced_afterwards() {
    let world = World::new(Quirk::Guarded, 1);
    let server = server(&world);
    ok(call(&server, webhook("s", "events/*")));
    let (_, sent) = deliveries(&server, create("events/a", "one"));
    let wake: Value = serde_json::from_slice(&sent[0].body).unwrap();
    let accepted = DeliveryResult::Answered {
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
    assert_refused(&late, 409, "FENCED");
}

#[test]
fn a_webhook_that_fails_is_tried_again_after_the_pause_that_was_kept() {
    for (quirk, world, server) in servers() {
        ok(call(&server, webhook("s", "events/*")));
        let (_, sent) = deliveries(&server, create("events/a", "one"));
        let failed = server.delivered(&sent[0].token, &DeliveryResult::Failed);
        assert!(failed.effects.is_empty());
        let due = failed.due_ms.unwrap() - world.now_ms();
        assert!((800..=1_200).contains(&due), "{due}");
        assert_eq!(read(&server, "s")["status"], "failed");
        // Another instance keeps to the pause.
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
        let error = DeliveryResult::Answered {
            status: 500,
            body: Vec::new(),
        };
        let due = server.delivered(&again[0].token, &error).due_ms.unwrap() - world.now_ms();
        assert!((1_600..=2_400).contains(&due), "{due}");
        world.advance(due);
        let again = work(&server);
        let accepted = DeliveryResult::Answered {
            status: 200,
            body: b"no JSON".to_vec(),
        };
        server.delivered(&again[0].token, &accepted);
        assert_eq!(read(&server, "s")["status"], "active", "{quirk:?}");
        // The webhook never answers `done`: the lease ends, and another delivery follows.
        world.advance(30_000);
        let anew = work(&server);
        assert_eq!(wake(&anew[0])["generation"], 2);
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

/// An eighth key took the place of one that had to be published for an hour.
#[test]
fn no_rotation_takes_away_a_key_that_is_still_needed() {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    ok(call(&server, webhook("s", "events/*")));
    let rotate = || call(&server, ds("POST", "jwks/rotate"));
    for _ in 1..crate::limits::SIGNING_KEYS {
        assert_eq!(rotate().status, 200);
        world.advance(1000);
    }
    let refused = rotate();
    assert_eq!(
        (refused.status, &*refused.code()),
        (429, "TOO_MANY_REQUESTS")
    );
    let secs: u64 = refused.get("retry-after").parse().unwrap();
    world.advance((secs - 1) * 1000);
    assert_eq!(rotate().status, 429);
    world.advance(1000);
    assert_eq!(rotate().status, 200);
}

/// A new seed, put first, ended the work of all workers: their tokens were of the old seed.
#[test]
fn tokens_outlive_the_change_to_a_new_seed() {
    let world = World::new(Quirk::Guarded, 1);
    let [old, new] = [
        "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        &"A".repeat(43),
    ]
    .map(str::to_owned);
    world.variable("webhook_signing_key", &old);
    let before = server(&world);
    ok(call(&before, pull("s", "events/*")));
    ok(call(&before, create("events/a", "one")));
    let claimed = claimed_by(&before, "w");
    world.variable("webhook_signing_key", &format!("{new},{old}"));
    ok(ack_all(&serve(&world), "s", &claimed, false));
    world.variable("webhook_signing_key", &new);
    assert_eq!(ack_all(&serve(&world), "s", &claimed, true).status, 401);
}

#[test]
fn signing_keys_may_come_from_the_variable() {
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
