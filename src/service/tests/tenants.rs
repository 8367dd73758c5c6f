//! Tenants: callers with tokens for the names below a prefix. No tenant learns of the subscriptions
//! of another one, or takes the room that others need.

use super::driver::{Ask, Server, ask, call, serve};
use super::world::{Quirk, World};
use crate::keys::subscription::Stored;
use crate::keys::{Envelope, Keys, NameHash};
use crate::limits::{PREFIX_ROTATIONS, REPLAY_WINDOW_MS, SIGNING_KEYS};
use crate::subscription::id;
use std::sync::Arc;

const OPERATOR: &str = "token-of-the-operator";
const A: &str = "token-of-tenant-a";
const B: &str = "token-of-tenant-b";
const TOKENS: &str = r#"[
    {"token":"token-of-the-operator","scope":"read write manage"},
    {"token":"token-of-tenant-a","scope":"read write manage","prefix":"a"},
    {"token":"token-of-tenant-b","scope":"read write manage","prefix":"b"}
]"#;

fn setup() -> (Arc<World>, Server) {
    let world = World::new(Quirk::Guarded, 1);
    world.variable("auth_tokens", TOKENS);
    let server = serve(&world);
    (world, server)
}

fn with(token: &str, request: Ask) -> Ask {
    request.header("authorization", format!("Bearer {token}"))
}

fn json(method: &str, path: &str, body: &str) -> Ask {
    let path = format!("__ds/{path}");
    ask(method, &path)
        .content_type("application/json")
        .body(body)
}

fn subscribe(id: &str, pattern: &str, wake_stream: &str) -> Ask {
    let body =
        format!(r#"{{"type":"pull-wake","pattern":"{pattern}","wake_stream":"{wake_stream}"}}"#);
    json("PUT", &format!("subscriptions/{id}"), &body)
}

fn status(server: &Server, token: &str, request: Ask) -> u16 {
    call(server, with(token, request)).status
}

fn pattern(server: &Server, token: &str) -> String {
    let described = call(server, with(token, ask("GET", "__ds/subscriptions/one")));
    let described: serde_json::Value = serde_json::from_str(described.text()).unwrap();
    assert_eq!(described["id"], "one");
    described["pattern"].as_str().unwrap().to_owned()
}

#[test]
fn an_id_is_free_despite_the_ids_of_other_tenants() {
    let (_, server) = setup();
    for (token, prefix) in [(A, "a"), (B, "b"), (OPERATOR, "c")] {
        let create = subscribe("one", &format!("{prefix}/*"), &format!("{prefix}/wakes"));
        assert_eq!(status(&server, token, create), 201);
    }
    for (token, prefix) in [(A, "a"), (B, "b"), (OPERATOR, "c")] {
        assert_eq!(pattern(&server, token), format!("{prefix}/*"));
    }
    let delete = || ask("DELETE", "__ds/subscriptions/one");
    assert_eq!(status(&server, A, delete()), 204);
    assert_eq!(status(&server, A, delete()), 404);
    assert_eq!(pattern(&server, B), "b/*");
    assert_eq!(pattern(&server, OPERATOR), "c/*");
    // The operator has none of its own any more, so its call means the only one left.
    assert_eq!(status(&server, OPERATOR, delete()), 204);
    assert_eq!(pattern(&server, OPERATOR), "b/*");
    let create = subscribe("one", "a/*", "a/wakes");
    assert_eq!(status(&server, A, create), 201);
    assert_eq!(
        status(&server, OPERATOR, delete()),
        400,
        "which of the two?"
    );
    assert_eq!(status(&server, B, delete()), 204);
    assert_eq!(status(&server, OPERATOR, delete()), 204);
    assert_eq!(status(&server, A, delete()), 404);
}

#[test]
fn each_tenants_worker_gets_its_own_wake() {
    let (_, server) = setup();
    for (token, prefix) in [(A, "a"), (B, "b")] {
        for name in ["wakes", "x"] {
            let create = ask("PUT", &format!("{prefix}/{name}"));
            let create = create.content_type("application/json");
            assert_eq!(status(&server, token, create), 201);
        }
        let create = subscribe("one", &format!("{prefix}/x"), &format!("{prefix}/wakes"));
        assert_eq!(status(&server, token, create), 201);
        let append = ask("POST", &format!("{prefix}/x")).content_type("application/json");
        assert_eq!(status(&server, token, append.body("[1]")), 204);
    }
    let claim = || json("POST", "subscriptions/one/claim", r#"{"worker":"w"}"#);
    let claims = [A, B].map(|token| {
        let claimed = call(&server, with(token, claim()));
        assert_eq!(claimed.status, 200, "{claimed:?}");
        let claimed: serde_json::Value = serde_json::from_str(claimed.text()).unwrap();
        claimed
    });
    for (claimed, prefix) in claims.iter().zip(["a", "b"]) {
        let streams = claimed["streams"].as_array().unwrap();
        let stream = &streams[0];
        assert_eq!(stream["path"], format!("{prefix}/x"));
        let ack = serde_json::json!({
            "wake_id": claimed["wake_id"], "generation": claimed["generation"], "done": true,
            "acks": [{"stream": stream["path"], "offset": stream["tail_offset"]}],
        });
        let request = || json("POST", "subscriptions/one/ack", &ack.to_string());
        let token = claimed["token"].as_str().unwrap();
        // A stranger can't find out that the subscription exists.
        assert_eq!(status(&server, "forged.token.x", request()), 401);
        assert_eq!(status(&server, token, request()), 200);
    }
}

#[test]
fn subscriptions_from_before_prefixes_had_ids_stay_with_their_tenant() {
    let (world, server) = setup();
    let create = || subscribe("one", "a/*", "a/wakes");
    assert_eq!(status(&server, A, create()), 201);
    // The record as it was written before prefixes had ids.
    let slot = |id: &str| {
        Keys::new("")
            .subscription(&NameHash::of_subscription(id))
            .key(0)
    };
    let key = slot(&id::full("a", "one"));
    let envelope = Envelope::decode(&world.peek(&key).unwrap()).unwrap();
    let Ok(Stored::Live(mut subscription)) = Stored::decode(&envelope.body, envelope.version)
    else {
        panic!("a subscription");
    };
    subscription.id = "one".to_owned();
    world.poke(&key, None);
    world.poke(&slot("one"), Some(&Stored::Live(subscription).seal()));
    assert_eq!(status(&server, A, create()), 200);
    assert_eq!(pattern(&server, A), "a/*");
    assert_eq!(
        status(&server, B, ask("GET", "__ds/subscriptions/one")),
        404
    );
    let taken = subscribe("one", "b/*", "b/wakes");
    assert_eq!(status(&server, B, taken), 201);
    assert_eq!(
        status(&server, A, ask("DELETE", "__ds/subscriptions/one")),
        204
    );
    assert_eq!(
        status(&server, A, ask("GET", "__ds/subscriptions/one")),
        404
    );
    assert_eq!(pattern(&server, B), "b/*");
}

#[test]
fn a_tenant_that_rotates_the_keys_leaves_rotations_to_others() {
    let (world, server) = setup();
    let webhook = r#"{"type":"webhook","pattern":"*","webhook":{"url":"https://example.com/"}}"#;
    let create = json("PUT", "subscriptions/hook", webhook).header("host", "server.example");
    assert_eq!(status(&server, OPERATOR, create), 201);
    let rotate = |token| status(&server, token, ask("POST", "__ds/jwks/rotate"));
    for _ in 0..PREFIX_ROTATIONS {
        assert_eq!(rotate(A), 200);
        world.advance(1_000);
    }
    assert_eq!(rotate(A), 429);
    assert_eq!(rotate(B), 200);
    for _ in 1..SIGNING_KEYS {
        assert_eq!(rotate(OPERATOR), 200);
    }
    assert_eq!(rotate(OPERATOR), 429);
    assert_eq!(rotate(B), 200);
    let keys = call(&server, ask("GET", "__ds/jwks.json"));
    let keys: serde_json::Value = serde_json::from_str(keys.text()).unwrap();
    let published = keys["keys"].as_array().unwrap().len();
    assert_eq!(published, PREFIX_ROTATIONS + 2 + SIGNING_KEYS);
    world.advance(REPLAY_WINDOW_MS);
    assert_eq!(rotate(A), 200);
}

#[test]
fn a_tenant_with_as_many_patterns_as_it_may_have_leaves_room_for_others() {
    let (_, server) = setup();
    let long = "x".repeat(1_000);
    let create = |token, prefix: &str, number: u32| {
        let pattern = format!("{prefix}/{long}/{number}/*");
        status(
            &server,
            token,
            subscribe(&number.to_string(), &pattern, &format!("{prefix}/wakes")),
        )
    };
    let mut number = 0;
    while create(A, "a", number) == 201 {
        number += 1;
    }
    assert!((20..30).contains(&number), "{number}");
    assert_eq!(create(A, "a", number), 409);
    assert_eq!(create(B, "b", 0), 201);
    assert_eq!(create(OPERATOR, "c", 0), 201);
    // A deleted subscription makes room for another.
    assert_eq!(
        status(&server, A, ask("DELETE", "__ds/subscriptions/0")),
        204
    );
    assert_eq!(create(A, "a", number), 201);
}
