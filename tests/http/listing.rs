//! Lists and descriptions under `__ds`.

use crate::common::{Response, ServerUnderTest, shared};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const BASE: &str = "/v1/stream/__ds";

fn get(server: &ServerUnderTest, path: &str) -> Response {
    server.request("GET", &format!("{BASE}{path}")).send()
}

fn put(server: &ServerUnderTest, name: &str, fields: &[(&str, &str)]) {
    let mut request = server.request("PUT", &format!("/v1/stream/{name}"));
    for (field, value) in fields {
        request = request.header(field, value);
    }
    request.send().expect(201);
}

/// The entries of all pages.
fn walk(server: &ServerUnderTest, query: &str) -> Vec<Value> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page = get(server, &format!("/streams?{query}{after}")).expect(200);
        let page = page
            .with("content-type", "application/json")
            .with("cache-control", "no-store")
            .json();
        all.extend(page["streams"].as_array().expect("a list").clone());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return all,
        }
    }
}

/// An unused name of the server's streams.
fn unused(server: &ServerUnderTest) -> String {
    let path = server.name("text/plain").path;
    let name = path.strip_prefix("/v1/stream/");
    name.expect("a path of a stream").to_owned()
}

fn names(entries: &[Value]) -> Vec<String> {
    let names = entries.iter().map(|entry| entry["name"].as_str());
    names.map(|name| name.expect("a name").to_owned()).collect()
}

#[test]
fn pages_together_have_every_stream_below_a_prefix_once() {
    let server = shared();
    let base = unused(server);
    let mut expected = BTreeSet::new();
    for number in 0..40 {
        let name = format!("{base}/{number}");
        put(server, &name, &[]);
        expected.insert(name);
    }
    put(server, &format!("{base}-of-others"), &[]);
    for number in 0..10 {
        let name = format!("{base}/{number}");
        let delete = server.request("DELETE", &format!("/v1/stream/{name}"));
        delete.send().expect(204);
        expected.remove(&name);
    }
    for limit in [7, 100, 1000] {
        let found = names(&walk(server, &format!("prefix={base}&limit={limit}")));
        let distinct: BTreeSet<String> = found.iter().cloned().collect();
        assert_eq!(distinct.len(), found.len(), "by {limit}: {found:?}");
        assert_eq!(distinct, expected, "by {limit}");
    }
}

#[test]
fn a_description_has_the_fields_of_the_entry_and_the_producers() {
    let server = shared();
    let base = unused(server);
    let (name, source) = (&*format!("{base}/fork"), &*format!("{base}/source"));
    put(
        server,
        source,
        &[("content-type", "text/plain"), ("stream-ttl", "3600")],
    );
    put(
        server,
        name,
        &[("stream-forked-from", &format!("/v1/stream/{source}"))],
    );
    let append = server.request("POST", &format!("/v1/stream/{name}"));
    let append = append
        .header("content-type", "text/plain")
        .producer("me", 3, 0);
    let tail = append.body("hello").send().expect(200);
    let described = get(server, &format!("/streams/{name}")).expect(200).json();
    assert_eq!(described["name"], name);
    assert_eq!(described["content_type"], "text/plain");
    assert_eq!(described["forked_from"], source);
    assert_eq!(
        (&described["ttl_secs"], &described["closed"]),
        (&json!(3600), &json!(false))
    );
    let next = described["next_offset"].as_str();
    assert_eq!(next, tail.header("stream-next-offset"));
    let producer = &described["producers"][0];
    assert_eq!(
        (&producer["epoch"], &producer["seq"]),
        (&json!(3), &json!(0))
    );
    let entries = walk(server, &format!("prefix={base}&forked_from={source}"));
    assert_eq!(names(&entries), [name]);
    for (field, value) in entries[0].as_object().expect("an object") {
        assert_eq!(described.get(field), Some(value), "{field}");
    }
    let missing = get(server, &format!("/streams/{base}/none"))
        .expect(404)
        .json();
    assert_eq!(missing["error"]["code"], "NOT_FOUND");
}

#[test]
fn lists_answer_head_and_refuse_what_is_not_valid() {
    let server = shared();
    for path in ["", "/", "/streams", "/streams?limit=1", "/subscriptions"] {
        let head = server.request("HEAD", &format!("{BASE}{path}")).send();
        head.expect(200)
            .with("content-type", "application/json")
            .with("cache-control", "no-store")
            .with("access-control-allow-origin", "*")
            .with_body("");
    }
    for path in [
        "/streams?limit=1001",
        "/streams?after=x",
        "/streams?prefix=a/",
        "/subscriptions?after=x",
    ] {
        let refused = get(server, path).expect(400).json();
        assert_eq!(refused["error"]["code"], "INVALID_REQUEST", "{path}");
    }
}

#[test]
fn the_server_says_what_it_is() {
    let described = get(shared(), "").expect(200).json();
    assert_eq!(described["server"], "durable-streams-edge");
    assert_eq!(described["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(described["limits"]["list_max"], 1000);
}

#[test]
fn a_token_with_a_prefix_lists_only_its_own_streams() {
    let tokens = r#"[
        {"token":"everything-of-all-names","scope":"read write manage"},
        {"token":"everything-below-a/b","scope":"read write manage","prefix":"a/b"}
    ]"#;
    let Some(server) = ServerUnderTest::start(&[("auth_tokens", tokens)]) else {
        return;
    };
    let with = |token: &str, method: &str, path: &str| {
        let request = server.request(method, &format!("/v1/stream/{path}"));
        request
            .header("authorization", format!("Bearer {token}"))
            .send()
    };
    for name in ["a", "a/b/x", "a/bc"] {
        with("everything-of-all-names", "PUT", name).expect(201);
    }
    for (token, path, count) in [
        ("everything-of-all-names", "streams", 3),
        ("everything-below-a/b", "streams", 1),
        ("everything-below-a/b", "streams?prefix=a/b", 1),
    ] {
        let page = with(token, "GET", &format!("__ds/{path}"))
            .expect(200)
            .json();
        assert_eq!(
            page["streams"].as_array().map(Vec::len),
            Some(count),
            "{page}"
        );
    }
    for path in ["streams?prefix=a", "streams/a"] {
        with("everything-below-a/b", "GET", &format!("__ds/{path}"))
            .problem(403, "INSUFFICIENT_SCOPE");
    }
    get(&server, "/streams").problem(401, "UNAUTHORIZED");
    get(&server, "").expect(200);
}

#[test]
fn without_a_registry_there_is_no_list() {
    let Some(server) = ServerUnderTest::start(&[("registry", "false")]) else {
        return;
    };
    let refused = get(&server, "/streams").expect(409).json();
    assert_eq!(refused["error"]["code"], "REGISTRY_OFF");
    put(&server, "s", &[]);
    get(&server, "/streams/s").expect(200);
}
