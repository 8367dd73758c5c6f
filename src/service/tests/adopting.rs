//! Adoptions of producers, after a stream was moved from another server.

use super::driver::{Ask, Response, Server, ask, call, serve};
use super::listing::page;
use super::subscribing::{append, assert_refused, create, ds, ds_json, json_of, ok};
use super::world::{Faults, Quirk, World};
use crate::stream::{Producer, hex};
use serde_json::{Value, json};
use std::sync::Arc;

const OPERATOR: &str = "token-that-the-host-made-up";
const TOKENS: &str = r#"[
    {"token":"token-of-the-writer","scope":"read write"},
    {"token":"manager-of-tenant-a","scope":"manage","prefix":"a"}
]"#;

fn world(quirk: Quirk) -> Arc<World> {
    let world = World::new(quirk, 1);
    world.variable("admin_token", OPERATOR);
    world
}

fn entry(id: &str, epoch: u64, seq: u64) -> Value {
    let id = id.to_owned();
    let mark = Producer { id, epoch, seq }.mark();
    json!({"id_hash": hex(&mark.id), "epoch": epoch, "seq": seq})
}

/// A call without the operator's token.
fn unsigned(name: &str, body: &Value) -> Ask {
    ds_json("PUT", &format!("streams/{name}/producers"), body)
}

fn adopt(server: &Server, name: &str, body: &Value) -> Response {
    call(
        server,
        unsigned(name, body).header("ds-admin-token", OPERATOR),
    )
}

fn described(server: &Server, name: &str) -> Value {
    json_of(&ok(call(server, ds("GET", &format!("streams/{name}")))))
}

fn tail(server: &Server, name: &str) -> String {
    ok(call(server, ask("HEAD", name))).offset().to_owned()
}

/// Copies the last bytes, the close and the producers of a stream to another server.
fn copy(from: &Server, to: &Server, name: &str) -> Value {
    let bytes = ok(call(from, ask("GET", name))).text().to_owned();
    let described = described(from, name);
    ok(call(to, create(name, &bytes)));
    if described["closed"] == true {
        ok(call(to, ask("POST", name).header("stream-closed", "true")));
    }
    let mut body = json!({"if_tail": tail(to, name), "producers": described["producers"]});
    body["closed_by"] = described["closed_by"].clone();
    body
}

#[test]
fn retries_of_a_moved_writer_add_nothing_and_its_next_append_is_accepted() {
    for quirk in Quirk::ALL {
        let from = serve(&world(quirk));
        let to = serve(&world(quirk));
        ok(call(&from, create("a/b", "")));
        for seq in 0..3 {
            ok(call(&from, append("a/b", "x").producer("me", 7, seq)));
        }
        let body = copy(&from, &to, "a/b");
        for _ in 0..2 {
            assert_eq!(adopt(&to, "a/b", &body).status, 204, "{quirk:?}");
        }
        let again = call(&to, append("a/b", "x").producer("me", 7, 2));
        assert_eq!(again.status, 204, "{again:?}");
        let late = call(&to, append("a/b", "x").producer("me", 6, 3));
        assert_eq!(late.status, 403, "{late:?}");
        let next = call(&to, append("a/b", "y").producer("me", 7, 3));
        assert_eq!(next.status, 200, "{next:?}");
        assert_eq!(call(&to, ask("GET", "a/b")).text(), "xxxy");
    }
}

#[test]
fn a_retry_of_the_close_of_a_moved_stream_succeeds() {
    let (from, to) = (serve(&world(Quirk::Guarded)), serve(&world(Quirk::Guarded)));
    ok(call(&from, create("s", "")));
    ok(call(&from, append("s", "x").producer("me", 7, 0)));
    assert_eq!(described(&from, "s").get("closed_by"), None);
    let close = append("s", "y")
        .producer("me", 7, 1)
        .header("stream-closed", "true");
    ok(call(&from, close.clone()));
    assert_eq!(described(&from, "s")["closed_by"], entry("me", 7, 1));
    // A list has the same entries without it.
    assert_eq!(page(&from, "")["streams"][0].get("closed_by"), None);
    let body = copy(&from, &to, "s");
    assert_eq!(call(&to, close.clone()).status, 409);
    assert_eq!(adopt(&to, "s", &body).status, 204);
    let again = call(&to, close);
    assert_eq!((again.status, again.get("stream-closed")), (204, "true"));
    assert_eq!(described(&to, "s")["closed_by"], entry("me", 7, 1));
}

#[test]
fn adoptions_that_do_not_fit_the_stream_are_refused() {
    let world = world(Quirk::Guarded);
    world.variable("max_producers", "2");
    let server = serve(&world);
    ok(call(&server, create("s", "")));
    ok(call(&server, append("s", "x").producer("me", 7, 0)));
    ok(call(&server, append("s", "x").producer("me", 7, 1)));
    let body = |producers: Value| json!({"if_tail": tail(&server, "s"), "producers": producers});
    let before = described(&server, "s");
    let mut other = body(json!([entry("me", 7, 2)]));
    other["if_tail"] = json!("-1");
    assert_refused(&adopt(&server, "s", &other), 412, "PRECONDITION_FAILED");
    let past = body(json!([entry("me", 7, 0)]));
    assert_refused(&adopt(&server, "s", &past), 409, "PRODUCER_PAST");
    let mut open = body(json!([]));
    open["closed_by"] = entry("me", 7, 1);
    assert_refused(&adopt(&server, "s", &open), 409, "OTHER_CLOSE");
    let two = body(json!([entry("you", 0, 0), entry("they", 0, 0)]));
    let full = adopt(&server, "s", &two);
    assert_refused(&full, 429, "TOO_MANY_PRODUCERS");
    assert_eq!(full.get("retry-after"), "301");
    let twice = body(json!([entry("you", 0, 0), entry("you", 0, 1)]));
    assert_refused(&adopt(&server, "s", &twice), 400, "INVALID_REQUEST");
    assert_refused(&adopt(&server, "none", &two), 404, "NOT_FOUND");
    assert_eq!(described(&server, "s"), before);
    world.advance(301_000);
    assert_eq!(adopt(&server, "s", &two).status, 204);
}

#[test]
fn without_the_token_of_the_host_the_call_does_not_exist() {
    let guarded = world(Quirk::Guarded);
    let (with, without) = (serve(&guarded), serve(&World::new(Quirk::Guarded, 1)));
    let body = json!({"if_tail": "-1", "producers": [entry("me", 7, 1)]});
    for server in [&with, &without] {
        ok(call(server, create("s", "")));
        ok(call(server, create("s/producers", "")));
        for token in [
            None,
            Some(""),
            Some("token-that-the-host-made-u"),
            Some("x"),
        ] {
            let mut asked = unsigned("s", &body);
            if let Some(token) = token {
                asked = asked.header("ds-admin-token", token);
            }
            let refused = call(server, asked);
            assert_eq!(refused.status, 405, "{refused:?}");
            assert_eq!(refused.code(), "METHOD_NOT_ALLOWED");
        }
        assert_eq!(described(server, "s")["producers"], json!([]));
        // The path describes a stream for every other method.
        assert_eq!(described(server, "s/producers")["name"], "s/producers");
    }
    assert_eq!(adopt(&with, "s", &body).status, 204);
    assert_eq!(adopt(&with, "s/producers", &body).status, 204);
    assert_eq!(adopt(&without, "s", &body).status, 405);
}

#[test]
fn an_adoption_needs_the_scope_manage_and_the_streams_prefix() {
    let world = world(Quirk::Guarded);
    world.variable("auth_tokens", TOKENS);
    let server = serve(&world);
    let with = |token: &str, ask: Ask| ask.header("authorization", format!("Bearer {token}"));
    for name in ["a/s", "b/s"] {
        let created = call(&server, with("token-of-the-writer", create(name, "")));
        assert_eq!(created.status, 201);
    }
    let body = json!({"if_tail": "-1", "producers": [entry("me", 7, 1)]});
    for (token, name, status) in [
        ("token-of-the-writer", "a/s", 403),
        ("manager-of-tenant-a", "b/s", 403),
        ("manager-of-tenant-a", "a/s", 204),
        ("token-of-no-caller-1", "a/s", 401),
    ] {
        let asked = unsigned(name, &body).header("ds-admin-token", OPERATOR);
        assert_eq!(call(&server, with(token, asked)).status, status, "{name}");
    }
}

/// A store that loses answers, applies swaps late or reports them as failed.
#[test]
fn an_adoption_over_a_failing_store_is_applied_once_or_can_be_repeated() {
    for (seed, quirk) in (1..40).flat_map(|seed| Quirk::ALL.map(|quirk| (seed, quirk))) {
        let world = World::new(quirk, seed);
        world.variable("admin_token", OPERATOR);
        let server = serve(&world);
        ok(call(&server, create("s", "x")));
        let producers = json!([entry("me", 7, 1), entry("you", 0, 0)]);
        let body = json!({"if_tail": tail(&server, "s"), "producers": producers});
        world.set_faults(Faults {
            before: 200,
            after: 300,
            late: 200,
            ..Faults::default()
        });
        let answer = adopt(&server, "s", &body);
        world.set_faults(Faults::default());
        assert!(matches!(answer.status, 204 | 503), "{answer:?}");
        assert_eq!(adopt(&server, "s", &body).status, 204, "{quirk:?} {seed}");
        world.land_late();
        let found = described(&server, "s")["producers"].clone();
        assert_eq!(found.as_array().map(Vec::len), Some(2), "{found}");
        let again = call(&server, append("s", "z").producer("me", 7, 1));
        assert_eq!(again.status, 204, "{again:?}");
    }
}
