//! Descriptions of streams, subscriptions and the server, and the callers that get them.

use super::driver::{Ask, Server, ask, call, serve};
use super::forks::fork;
use super::listing::{names, page};
use super::subscribing::{append, assert_refused, claim, create, ds, json_of, ok, pull, webhook};
use super::world::{Quirk, World};
use crate::keys::NameHash;
use serde_json::{Value, json};
use std::sync::Arc;

const TOKENS: &str = r#"[
    {"token":"token-of-the-reader","scope":"read"},
    {"token":"token-of-the-writer","scope":"write"},
    {"token":"token-of-the-manager","scope":"manage"},
    {"token":"token-of-the-operator","scope":"read write manage"},
    {"token":"token-of-tenant-a","scope":"read write manage","prefix":"a/b"},
    {"token":"reader-of-tenant-a","scope":"read","prefix":"a/b"},
    {"token":"token-of-tenant-c","scope":"read write manage","prefix":"c"}
]"#;
const OPERATOR: &str = "token-of-the-operator";
const TENANT: &str = "token-of-tenant-a";

fn with(token: &str, request: Ask) -> Ask {
    request.header("authorization", format!("Bearer {token}"))
}

/// A server with access control and some streams.
fn guarded() -> (Arc<World>, Server) {
    let world = World::new(Quirk::Guarded, 1);
    world.variable("auth_tokens", TOKENS);
    let server = serve(&world);
    for name in ["s", "a/b", "a/b/x", "a/bc", "c/x"] {
        assert_eq!(call(&server, with(OPERATOR, ask("PUT", name))).status, 201);
    }
    (world, server)
}

fn described(server: &Server, name: &str) -> Value {
    json_of(&ok(call(server, ds("GET", &format!("streams/{name}")))))
}

#[test]
fn an_entry_shows_the_metadata_of_its_stream() {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    let text = ask("PUT", "a b/\u{e9}").content_type("text/plain; x=1");
    assert_eq!(call(&server, text).status, 201);
    world.advance(1_500);
    let appended = ok(call(&server, append("a b/\u{e9}", "hello")));
    let closing = ask("POST", "a b/\u{e9}").header("stream-closed", "true");
    world.advance(1_500);
    ok(call(&server, closing));
    world.advance(60_000);
    let listed = page(&server, "");
    let expected = json!({
        "name": "a b/\u{e9}",
        "content_type": "text/plain; x=1",
        "created_at": "2026-01-01T00:00:00Z",
        "last_write_at": "2026-01-01T00:00:03Z",
        "next_offset": appended.offset(),
        "bytes": 5,
        "closed": true,
        "forks": 0,
    });
    assert_eq!(listed, json!({"streams": [expected]}));
    let mut described = described(&server, "a%20b%2F%C3%A9");
    let more = described.as_object_mut().unwrap();
    assert_eq!(more.remove("producers"), Some(json!([])));
    assert_eq!(more.remove("forks_under_way"), Some(json!([])));
    assert_eq!(described, expected);
}

#[test]
fn an_entry_shows_the_lease_and_the_reason_of_the_close() {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    ok(call(&server, ask("PUT", "s").header("stream-lease", "5")));
    world.advance(1_500);
    let leased = described(&server, "s");
    assert_eq!(leased["lease_secs"], 5);
    assert_eq!(leased["lease_remaining_secs"], 4);
    // A list only shows commits. A description closes the stream first.
    world.advance(10_000);
    let listed = page(&server, "")["streams"][0].clone();
    assert_eq!(
        (&listed["closed"], &listed["lease_remaining_secs"]),
        (&json!(false), &json!(0))
    );
    let closed = described(&server, "s");
    assert_eq!(
        (&closed["closed"], &closed["closed_reason"]),
        (&json!(true), &json!("lease-expired"))
    );
    assert_eq!(closed.get("lease_secs"), None);
    assert_eq!(
        page(&server, "")["streams"][0]["closed_reason"],
        "lease-expired"
    );
}

#[test]
fn an_entry_shows_when_its_stream_expires() {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    let at = ask("PUT", "at").header("stream-expires-at", "2030-01-31T12:00:00Z");
    let ttl = ask("PUT", "ttl").header("stream-ttl", "3600");
    ok(call(&server, at));
    ok(call(&server, ttl));
    let at = described(&server, "at");
    assert_eq!(at["expires_at"], "2030-01-31T12:00:00Z");
    assert_eq!((at.get("ttl_secs"), at.get("last_used_at")), (None, None));
    world.advance(600_000);
    ok(call(&server, ask("GET", "ttl")));
    let ttl = described(&server, "ttl");
    assert_eq!(ttl["ttl_secs"], 3600);
    assert_eq!(ttl["last_used_at"], "2026-01-01T00:10:00Z");
    // It is unknown whether that was a read or a write.
    assert_eq!(ttl.get("last_write_at"), None);
    let expires = ttl["expires_at"].as_str().unwrap();
    assert!(("2026-01-01T01:10:00Z".."2026-01-01T01:20:00Z").contains(&expires));
    // A description is no read.
    world.advance(600_000);
    assert_eq!(described(&server, "ttl"), ttl);
}

#[test]
fn a_description_has_the_producers_with_hashed_ids() {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    ok(call(&server, create("s", "")));
    for (id, epoch, seq) in [("me", 7, 0), ("me", 7, 1), ("\u{e9}", 0, 0)] {
        ok(call(&server, append("s", "x").producer(id, epoch, seq)));
        world.advance(1_000);
    }
    let described = described(&server, "s");
    let of = |id_hash: &str, epoch, seq, secs| {
        json!({
            "id_hash": id_hash,
            "epoch": epoch,
            "seq": seq,
            "last_used_at": format!("2026-01-01T00:00:0{secs}Z"),
        })
    };
    // As the guide says: `printf %s me | sha256sum | head -c 32`.
    let [me, other] = [
        "2744ccd10c7533bd736ad890f9dd5cab",
        "4a99557e4033c3539de2eb65472017ca",
    ];
    let expected = json!([of(me, 7, 1, 1), of(other, 0, 0, 2)]);
    assert_eq!(described["producers"], expected);
}

#[test]
fn sources_and_forks_know_of_each_other() {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    ok(call(&server, create("source", "one")));
    let middle = call(&server, ask("HEAD", "source")).offset().to_owned();
    ok(call(&server, append("source", "two")));
    ok(call(
        &server,
        fork("f/1", "source").header("stream-fork-offset", &middle),
    ));
    ok(call(&server, fork("f/2", "source")));
    ok(call(&server, fork("f/1/1", "f/1")));
    ok(call(&server, create("other", "")));
    let first = described(&server, "f/1");
    assert_eq!(first["forked_from"], "source");
    assert_eq!(first["fork_offset"], json!(middle));
    assert_eq!((&first["forks"], &first["bytes"]), (&json!(1), &json!(3)));
    assert_eq!(described(&server, "source")["forks"], 2);
    let forks = |source: &str, limit| {
        let mut found = names(&page(&server, &format!("forked_from={source}{limit}")));
        found.sort();
        found
    };
    assert_eq!(forks("source", ""), ["f/1", "f/2"]);
    assert_eq!(forks("f/1", ""), ["f/1/1"]);
    assert_eq!(forks("other", ""), [""; 0]);
    assert_eq!(forks("source", "&prefix=f/2"), ["f/2"]);
    // The name of a deleted source stays with it.
    ok(call(&server, ask("DELETE", "source")));
    assert_eq!(described(&server, "f/1")["forked_from"], "source");
    assert_eq!(forks("source", ""), ["f/1", "f/2"]);
    let gone = call(&server, ds("GET", "streams/source"));
    assert_refused(&gone, 410, "GONE");
}

#[test]
fn a_missing_stream_is_404_as_for_a_read() {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    ok(call(&server, ask("PUT", "deleted")));
    ok(call(&server, ask("DELETE", "deleted")));
    ok(call(&server, ask("PUT", "short").header("stream-ttl", "1")));
    world.advance(5_000);
    for name in ["none", "deleted", "short"] {
        let refused = call(&server, ds("GET", &format!("streams/{name}")));
        assert_refused(&refused, 404, "NOT_FOUND");
        assert_eq!(call(&server, ask("GET", name)).status, 404);
    }
    for path in [
        "streams/a//b",
        "streams/a/",
        "streams/__ds/x",
        "streams/%ff",
    ] {
        let refused = call(&server, ds("GET", path));
        let found = (refused.status, refused.code());
        assert_eq!(found, (400, "INVALID_STREAM_NAME".to_owned()), "{path}");
    }
    assert_eq!(call(&server, ds("GET", "streams/")).status, 404);
}

#[test]
fn lists_are_for_callers_that_read_or_manage_and_end_at_their_prefix() {
    let (_, server) = guarded();
    let reader = "token-of-the-reader";
    for (token, path, status, count) in [
        (reader, "streams", 200, 5),
        ("token-of-the-manager", "streams", 200, 5),
        ("token-of-the-writer", "streams", 403, 0),
        (reader, "streams?prefix=a/b", 200, 2),
        (TENANT, "streams", 200, 2),
        ("reader-of-tenant-a", "streams", 200, 2),
        (TENANT, "streams?prefix=", 200, 2),
        (TENANT, "streams?prefix=a/b", 200, 2),
        (TENANT, "streams?prefix=a/b/x", 200, 1),
        (TENANT, "streams?prefix=a/b/none", 200, 0),
        (TENANT, "streams?prefix=a", 403, 0),
        (TENANT, "streams?prefix=a/bc", 403, 0),
        (TENANT, "streams?prefix=c", 403, 0),
        (TENANT, "streams?forked_from=a/b/x", 200, 0),
        (TENANT, "streams?forked_from=c/x", 403, 0),
        ("token-of-tenant-c", "streams", 200, 1),
    ] {
        let answer = call(&server, with(token, ds("GET", path)));
        assert_eq!(answer.status, status, "{token}: {path}: {answer:?}");
        match status {
            200 => assert_eq!(names(&json_of(&answer)).len(), count, "{token}: {path}"),
            _ => assert_eq!(answer.code(), "INSUFFICIENT_SCOPE"),
        }
        assert_eq!(answer.get("cache-control"), "no-store");
    }
    for (token, path, status) in [
        (reader, "streams/s", 200),
        ("token-of-the-manager", "streams/s", 200),
        ("token-of-the-writer", "streams/s", 403),
        (TENANT, "streams/a/b/x", 200),
        (TENANT, "streams/a%2Fb", 200),
        (TENANT, "streams/a/bc", 403),
        (TENANT, "streams/c/none", 403),
        (reader, "subscriptions", 403),
        ("reader-of-tenant-a", "subscriptions", 403),
        (TENANT, "subscriptions", 200),
    ] {
        let answer = call(&server, with(token, ds("GET", path)));
        assert_eq!(answer.status, status, "{token}: {path}: {answer:?}");
        assert_eq!(call(&server, ds("GET", path)).status, 401, "{path}");
    }
}

#[test]
fn a_refused_list_reads_no_record() {
    let (_, server) = guarded();
    let before = server.env().ops();
    for path in ["streams?prefix=c", "streams/c/x", "streams/c/none"] {
        assert_eq!(call(&server, with(TENANT, ds("GET", path))).status, 403);
    }
    assert_eq!(server.env().ops(), before);
}

#[test]
fn a_tenant_does_not_learn_the_name_of_a_source_beyond_its_prefix() {
    let (_, server) = guarded();
    for (name, source) in [("a/b/f", "c/x"), ("a/b/g", "a/b/x")] {
        assert_eq!(
            call(&server, with(OPERATOR, fork(name, source))).status,
            201
        );
    }
    let entry = |token: &str, name: &str| {
        let path = format!("streams/{name}");
        let described = json_of(&ok(call(&server, with(token, ds("GET", &path)))));
        let list = json_of(&ok(call(&server, with(token, ds("GET", "streams")))));
        let mut entries = list["streams"].as_array().unwrap().iter();
        let listed = entries.find(|entry| entry["name"] == *name);
        assert_eq!(
            listed.unwrap().get("forked_from"),
            described.get("forked_from")
        );
        described
    };
    assert_eq!(entry(OPERATOR, "a/b/f")["forked_from"], "c/x");
    assert_eq!(entry(TENANT, "a/b/g")["forked_from"], "a/b/x");
    let hidden = entry(TENANT, "a/b/f");
    assert_eq!(hidden.get("forked_from"), None);
    assert!(hidden["fork_offset"].is_string());
}

#[test]
fn anyone_may_ask_what_the_server_is_and_learns_no_secret() {
    let (world, server) = guarded();
    world.variable("tick_token", "secret-of-the-tick");
    world.variable("max_append_bytes", "12345");
    let server = [server, serve(&world)];
    for (server, largest) in server.iter().zip([10_485_760, 12_345]) {
        for path in ["__ds", "__ds/", "%5F_ds"] {
            let before = server.env().ops();
            let answer = ok(call(server, ask("GET", path)));
            assert_eq!(server.env().ops(), before, "the store is not read");
            assert_eq!(answer.get("cache-control"), "no-store");
            let described = json_of(&answer);
            assert_eq!(described["server"], "durable-streams-edge");
            assert_eq!(described["version"], env!("CARGO_PKG_VERSION"));
            assert_eq!(described["access_control"], true);
            assert_eq!(described["limits"]["max_append_bytes"], largest);
            assert_eq!(described["limits"].get("max_stream_bytes"), None);
            let extensions = described["extensions"].as_array().unwrap();
            assert!(extensions.contains(&json!("listing")));
            for secret in ["secret-of-the-tick", TENANT, "prefix"] {
                assert!(!answer.text().contains(secret), "{answer:?}");
            }
        }
    }
}

fn subscriptions(server: &Server, token: &str, query: &str) -> Value {
    let request = with(token, ds("GET", &format!("subscriptions?{query}")));
    json_of(&ok(call(server, request)))
}

#[test]
fn subscriptions_are_listed_with_their_state() {
    let world = World::new(Quirk::Guarded, 1);
    let server = super::subscribing::server(&world);
    ok(call(&server, pull("s", "events/*")));
    ok(call(
        &server,
        webhook("hook", "hooks/*").header("host", "a.example"),
    ));
    ok(call(&server, create("events/a", "one")));
    let list = || {
        let list = subscriptions(&server, "", "");
        let mut entries = list["subscriptions"].as_array().unwrap().clone();
        entries.sort_by_key(|entry| entry["id"].to_string());
        entries
    };
    let [hook, pulled] = &list()[..] else {
        panic!("two subscriptions");
    };
    let expected = json!({
        "id": "hook", "type": "webhook", "pattern": "hooks/*", "streams": 0,
        "webhook": {"url": "https://worker.example/hooks"}, "wake_stream": null,
        "phase": "idle", "generation": 0, "status": "active", "failures": 0,
        "lease_ttl_ms": 30_000, "created_at": "2026-01-01T00:00:00Z", "description": null,
    });
    assert_eq!(hook, &expected);
    assert_eq!(pulled["phase"], "waking");
    assert_eq!(
        (&pulled["generation"], &pulled["streams"]),
        (&json!(1), &json!(1))
    );
    ok(claim(&server, "s", "worker-1"));
    let pulled = &list()[1];
    assert_eq!(
        (&pulled["phase"], &pulled["worker"]),
        (&json!("held"), &json!("worker-1"))
    );
    assert_eq!(pulled["lease_ends_at"], "2026-01-01T00:00:30Z");
    // The list has no secret of the wake.
    assert!(!list()[1].to_string().contains("wake_id"));
}

#[test]
fn each_tenant_lists_its_own_subscriptions_page_by_page() {
    let (_, server) = guarded();
    let mut own: Vec<Value> = Vec::new();
    for number in 0..7 {
        for (token, prefix) in [(TENANT, "a/b"), ("token-of-tenant-c", "c")] {
            let body = json!({
                "type": "pull-wake", "pattern": format!("{prefix}/*"),
                "wake_stream": format!("{prefix}/w"),
            });
            let path = format!("subscriptions/{number}");
            let create = ds("PUT", &path).body(body.to_string());
            assert_eq!(call(&server, with(token, create)).status, 201);
        }
        own.push(json!(number.to_string()));
    }
    for (token, count) in [(OPERATOR, 14), (TENANT, 7), ("token-of-tenant-c", 7)] {
        for limit in [1, 3, 100] {
            let (mut found, mut after) = (Vec::new(), String::new());
            loop {
                let before = server.env().ops();
                let page = subscriptions(&server, token, &format!("limit={limit}{after}"));
                assert!(server.env().ops() - before <= limit + 1);
                let entries = page["subscriptions"].as_array().unwrap();
                found.extend(entries.clone());
                match page["next"].as_str() {
                    Some(next) => after = format!("&after={next}"),
                    None => break,
                }
            }
            assert_eq!(found.len(), count, "{token} by {limit}");
            found.sort_by_key(|entry| (entry["prefix"].to_string(), entry["id"].to_string()));
            for (index, entry) in found.iter().enumerate() {
                assert_eq!(entry["id"], own[index % 7]);
                let expected = match (token, index) {
                    (OPERATOR, 7..) | ("token-of-tenant-c", _) => "c",
                    _ => "a/b",
                };
                assert_eq!(entry["prefix"], expected);
            }
        }
    }
}

/// Hashes of ids would let a tenant test guesses of another tenant's ids.
#[test]
fn no_cursor_has_the_hash_of_a_name_or_an_id() {
    use base64::Engine as _;
    let (_, server) = guarded();
    let id = crate::subscription::id::full("c", "one");
    let body = json!({"type": "pull-wake", "pattern": "c/*", "wake_stream": "c/w"});
    for one in ["one", "two"] {
        let create = ds("PUT", &format!("subscriptions/{one}")).body(body.to_string());
        ok(call(&server, with("token-of-tenant-c", create)));
    }
    let two = crate::subscription::id::full("c", "two");
    let mut cursors = vec![subscriptions(&server, TENANT, "limit=1")["next"].clone()];
    let streams = ok(call(&server, with(TENANT, ds("GET", "streams?limit=1"))));
    cursors.push(json_of(&streams)["next"].clone());
    for cursor in cursors {
        let text = cursor.as_str().unwrap();
        let bytes = base64::prelude::BASE64_URL_SAFE_NO_PAD
            .decode(text)
            .unwrap();
        for hash in [
            NameHash::of_subscription(&id),
            NameHash::of_subscription(&two),
            NameHash::of("c/x"),
            NameHash::of("a/b"),
        ] {
            let part = &hash.bytes()[..4];
            assert!(!bytes.windows(4).any(|window| window == part));
        }
    }
}
