//! Limits and usage per prefix of stream names.

use crate::common::server::{new_redis, swaps_are_sure};
use crate::common::{Connection, Request, Response, ServerUnderTest, Stream, eventually};
use crate::redis::is_run_elsewhere;
use serde_json::Value;
use std::net::SocketAddr;

/// A server with these limits and an admin listener.
fn server(limits: &[&str]) -> Option<ServerUnderTest> {
    server_with(&[], limits)
}

/// A server that has counted its streams: until then it limits only those that it has counted.
fn server_with(variables: &[(&str, &str)], limits: &[&str]) -> Option<ServerUnderTest> {
    let server = ServerUnderTest::start_with_arguments(variables, &flags(limits))?;
    let is_open = variables.iter().all(|(name, _)| *name != "auth_tokens");
    if is_open && !limits.is_empty() {
        eventually("all streams are counted", || {
            usage(&server, "")["complete"] == true
        });
    }
    Some(server)
}

fn flags<'a>(limits: &[&'a str]) -> Vec<&'a str> {
    let limits = limits.iter().flat_map(|limit| ["--limit", *limit]);
    ["--admin", "127.0.0.1:0"]
        .into_iter()
        .chain(limits)
        .collect()
}

fn stream_at(address: SocketAddr, name: &str) -> Stream {
    Stream {
        address,
        path: format!("/v1/stream/{name}"),
        content_type: "text/plain".to_owned(),
    }
}

fn stream(server: &ServerUnderTest, name: &str) -> Stream {
    stream_at(server.address, name)
}

fn created(server: &ServerUnderTest, name: &str) -> Stream {
    let stream = stream(server, name);
    stream.create();
    stream
}

/// Asserts that a limit of a prefix is the reason of a refusal.
#[track_caller]
fn full(response: Response, prefix: &str, limit: &str) {
    let response = response.problem(507, "INSUFFICIENT_STORAGE");
    let document = response.json();
    let detail = document["detail"].as_str().expect("a detail");
    assert!(detail.contains(&format!("\"{prefix}\"")), "{detail}");
    assert!(detail.contains(limit), "{detail}");
}

#[track_caller]
fn many(response: Response, prefix: &str) {
    let response = response.problem(429, "TOO_MANY_REQUESTS");
    let secs = response.header("retry-after").expect("a time to wait");
    assert!(secs.parse::<u64>().is_ok_and(|secs| secs > 0), "{secs}");
    assert!(response.text().contains(prefix));
}

fn usage(server: &ServerUnderTest, query: &str) -> Value {
    let target = format!("/debug/usage{query}");
    server
        .admin_request("GET", &target)
        .send()
        .expect(200)
        .json()
}

/// Streams and bytes of a prefix, once all streams are counted.
fn used(server: &ServerUnderTest, prefix: &str) -> Option<(u64, u64)> {
    let page = usage(server, "?limit=1000");
    let entries = page["prefixes"].as_array().expect("prefixes");
    let entry = entries.iter().find(|entry| entry["prefix"] == prefix)?;
    let number = |of: &str| entry[of]["used"].as_u64().expect("a number");
    let is_complete = page["complete"] == true;
    is_complete.then(|| (number("streams"), number("bytes")))
}

#[track_caller]
fn expect_used(server: &ServerUnderTest, prefix: &str, streams: u64, bytes: u64) {
    let claim = format!("{prefix} has {streams} streams and {bytes} bytes");
    eventually(&claim, || used(server, prefix) == Some((streams, bytes)));
}

#[test]
fn a_prefix_has_at_most_its_streams_until_one_is_deleted() {
    if !swaps_are_sure() {
        return;
    }
    let Some(server) = server(&["a:streams=2"]) else {
        return;
    };
    let first = created(&server, "a/1");
    created(&server, "a/2");
    let third = stream(&server, "a/3");
    full(third.put().send(), "a", "(2)");
    full(stream(&server, "a").put().send(), "a", "(2)");
    full(stream(&server, "%61/3").put().send(), "a", "(2)");
    // Clients create the stream whenever they start.
    let again = first.put().header("Content-Type", "text/plain");
    again.send().expect(200);
    first.append("more");
    first.read("-1").expect(200).with_body("more");
    created(&server, "ab");
    created(&server, "b/1");
    first.delete().send().expect(204);
    third.put().send().expect(201);
    full(stream(&server, "a/4").put().send(), "a", "(2)");
    expect_used(&server, "a", 2, 0);
}

#[test]
fn appends_that_exceed_the_bytes_of_a_prefix_are_refused() {
    if !swaps_are_sure() {
        return;
    }
    let Some(server) = server(&["a:bytes=10"]) else {
        return;
    };
    let (one, other) = (created(&server, "a/1"), created(&server, "a/2"));
    one.append("123456");
    full(other.post("12345").send(), "a", "6 bytes");
    other.append("1234");
    full(one.post("x").send(), "a", "10 bytes");
    let chunked = one.request("POST").header("Content-Type", "text/plain");
    full(chunked.chunks(["x"]).send(), "a", "10 bytes");
    full(
        stream(&server, "a/3").put().body("x").send(),
        "a",
        "10 bytes",
    );
    // Reads, closes, creations without bytes and deletions go on.
    created(&server, "a/3");
    one.read("-1").expect(200).with_body("123456");
    one.close().expect(204);
    created(&server, "b").append("a text of more than ten bytes");
    expect_used(&server, "a", 3, 10);
    one.delete().send().expect(204);
    other.append("567890");
    full(other.post("x").send(), "a", "10 bytes");
}

#[test]
fn more_requests_a_second_than_a_prefix_has_are_refused() {
    let Some(server) = server(&["a:requests=3", "*:requests=5"]) else {
        return;
    };
    let read = |name: &str| stream(&server, name).head().send();
    let refused = |name: &str| {
        let mut responses = (0..1000).map(|_| stream(&server, name).get("").send());
        responses.find(|response| response.status != 404)
    };
    many(refused("a/1").expect("a refusal"), "a");
    // Another prefix has its own allowance.
    read("b/1").expect(404);
    many(refused("b/2").expect("a refusal"), "b");
    read("c/1").expect(404);
    eventually("the allowance is there again", || read("a/2").status == 404);
    // Operators are not limited, and neither are control calls.
    for _ in 0..20 {
        let on_admin = stream_at(server.admin(), "a/1");
        on_admin.head().send().expect(404);
        let list = server.request("GET", "/v1/stream/__ds/streams?limit=1");
        list.send().expect(200);
    }
}

#[test]
fn more_live_readers_than_a_prefix_has_are_refused_until_one_leaves() {
    let Some(server) = server(&["a:readers=2"]) else {
        return;
    };
    let (one, other) = (created(&server, "a/1"), created(&server, "b/1"));
    let sse = one.get("offset=now&live=sse").open();
    let poll = one.get("offset=now&live=long-poll").start();
    let readers = || usage(&server, "")["prefixes"][0]["readers"]["used"].clone();
    eventually("two readers", || readers() == 2);
    for query in [
        "offset=now&live=sse",
        "offset=now&live=long-poll",
        "offset=now&%6Cive=%73se",
    ] {
        many(one.get(query).send(), "a");
    }
    one.read("-1").expect(200);
    let open: Vec<Connection> = (0..3)
        .map(|_| other.get("offset=now&live=sse").open())
        .collect();
    drop((open, sse));
    eventually("one reader is left", || readers() == 1);
    drop(one.get("offset=now&live=sse").open());
    one.append("a");
    drop(poll);
    eventually("no reader is left", || readers() == 0);
}

#[test]
fn each_first_segment_without_a_limit_of_its_own_has_that_of_all_others() {
    if !swaps_are_sure() {
        return;
    }
    let Some(server) = server(&["*:streams=1", "a:streams=2", "b/c:streams=1"]) else {
        return;
    };
    for name in ["a/1", "a/2", "b/c", "b/d", "x/1", "y"] {
        created(&server, name);
    }
    for (name, prefix) in [
        ("a/3", "a"),
        ("b/c/d", "b/c"),
        ("b/e", "b"),
        ("x/2", "x"),
        ("y/2", "y"),
    ] {
        full(stream(&server, name).put().send(), prefix, "streams");
    }
    let page = usage(&server, "?limit=2");
    let names = |page: &Value| -> Vec<String> {
        let entries = page["prefixes"].as_array().expect("prefixes").iter();
        let names = entries.map(|entry| entry["prefix"].as_str().expect("a name").to_owned());
        names.collect()
    };
    assert_eq!(names(&page), ["a", "b"]);
    assert_eq!(page["next"], "b");
    let rest = usage(&server, "?after=b");
    assert_eq!(names(&rest), ["b/c", "x", "y"]);
    assert_eq!(rest["next"], Value::Null);
    assert_eq!(rest["uncounted"]["streams"], 0);
    for query in ["?limit=0", "?limit=1001", "?limit=x"] {
        let target = format!("/debug/usage{query}");
        let refused = server.admin_request("GET", &target).send();
        refused.problem(400, "BAD_REQUEST");
    }
    // Prefixes without streams take no room.
    stream(&server, "y").delete().send().expect(204);
    eventually("y is gone", || {
        names(&usage(&server, "?after=x")).is_empty()
    });
}

#[test]
fn streams_that_expire_and_forks_are_counted_as_they_come_and_go() {
    let Some(server) = server(&["a:streams=2"]) else {
        return;
    };
    let source = created(&server, "a/source");
    source.append("1234");
    let fork = stream(&server, "a/fork").put();
    let fork = fork.header("Stream-Forked-From", &source.path);
    let forked = fork.send();
    if forked.status != 201 {
        panic!("no fork: {} {}", forked.status, forked.text());
    }
    // A fork has its own copy of bytes that were not in a segment yet.
    expect_used(&server, "a", 2, 8);
    full(stream(&server, "a/3").put().send(), "a", "(2)");
    // The source keeps its bytes while there are forks.
    source.delete().send().expect(204);
    expect_used(&server, "a", 2, 8);
    stream(&server, "a/fork").delete().send().expect(204);
    expect_used(&server, "a", 0, 0);
    let short = stream(&server, "a/short").put().header("Stream-TTL", "1");
    short.send().expect(201);
    expect_used(&server, "a", 0, 0);
}

#[test]
fn a_restart_keeps_the_counts() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = format!("file:{}", directory.path().display());
    let limits = ["a:streams=3,bytes=20", "*:streams=1"];
    let start = || ServerUnderTest::start_over_with(&store, &flags(&limits));
    let server = start();
    if !server.has_admin() {
        return;
    }
    for number in 0..3 {
        created(&server, &format!("a/{number}")).append("12345");
    }
    created(&server, "b/1");
    stream(&server, "a/0").delete().send().expect(204);
    drop(server);
    let server = start();
    expect_used(&server, "a", 2, 10);
    expect_used(&server, "b", 1, 0);
    full(
        stream(&server, "a/1").post("12345678901").send(),
        "a",
        "10 bytes",
    );
    full(stream(&server, "b/2").put().send(), "b", "(1)");
    created(&server, "a/3");
    full(stream(&server, "a/4").put().send(), "a", "(3)");
    // Operators are not exempt from limits of streams and bytes.
    full(stream_at(server.admin(), "a/4").put().send(), "a", "(3)");
}

/// Each host counts its own commits at once, and those of others by walks.
#[test]
fn streams_of_another_host_are_counted_too() {
    if is_run_elsewhere() {
        return;
    }
    let redis = new_redis(&[]);
    let start = || ServerUnderTest::start_over_with(&redis.url(), &flags(&["a:streams=2"]));
    let hosts = [start(), start()];
    created(&hosts[0], "a/1").append("123");
    created(&hosts[1], "a/2");
    for host in &hosts {
        expect_used(host, "a", 2, 3);
        full(stream(host, "a/3").put().send(), "a", "(2)");
    }
    stream(&hosts[0], "a/1").delete().send().expect(204);
    for host in &hosts {
        expect_used(host, "a", 1, 0);
    }
}

#[test]
fn limits_count_below_any_base_path() {
    if !swaps_are_sure() {
        return;
    }
    for base_path in ["/", "/deep/er"] {
        let Some(server) = server_with(&[("base_path", base_path)], &["a:streams=1"]) else {
            return;
        };
        let base = base_path.trim_end_matches('/');
        let put = |name: &str| {
            let target = format!("{base}/{name}");
            let put = Request::new(server.address, "PUT", &target);
            put.header("Content-Type", "text/plain").send()
        };
        put("a/1").expect(201);
        full(put("a/2"), "a", "(1)");
        full(stream_at(server.admin(), "a/2").put().send(), "a", "(1)");
    }
}

/// A sender without a token could use up the allowance of a tenant, or learn how much it uses.
#[test]
fn senders_without_rights_on_a_prefix_are_not_counted() {
    const TOKENS: &str = r#"[
        {"token":"writer-of-the-tenant-a","scope":"read write","prefix":"a"},
        {"token":"writer-of-the-tenant-b","scope":"read write","prefix":"b"},
        {"token":"manager-of-the-server","scope":"manage"}
    ]"#;
    let limits = ["a:requests=2,streams=0"];
    let Some(server) = server_with(&[("auth_tokens", TOKENS)], &limits) else {
        return;
    };
    let with = |request: Request, token: &str| {
        request
            .header("Authorization", format!("Bearer {token}"))
            .send()
    };
    for _ in 0..20 {
        let put = || stream(&server, "a/1").put();
        put().send().problem(401, "UNAUTHORIZED");
        with(put(), "a-token-of-nobody-at-all").problem(401, "UNAUTHORIZED");
        with(put(), "writer-of-the-tenant-b").problem(403, "INSUFFICIENT_SCOPE");
    }
    let own = with(stream(&server, "a/1").put(), "writer-of-the-tenant-a");
    full(own, "a", "(0)");
    let usage = || server.admin_request("GET", "/debug/usage");
    usage().send().problem(401, "UNAUTHORIZED");
    with(usage(), "writer-of-the-tenant-a").problem(403, "INSUFFICIENT_SCOPE");
    with(usage(), "manager-of-the-server").expect(200);
}

#[test]
fn metrics_have_the_prefixes_that_limits_name_and_no_others() {
    if !swaps_are_sure() {
        return;
    }
    let Some(server) = server(&["a:streams=1,bytes=100", "*:streams=1"]) else {
        return;
    };
    created(&server, "a/1").append("12345");
    full(stream(&server, "a/2").put().send(), "a", "(1)");
    created(&server, "other/1");
    full(stream(&server, "other/2").put().send(), "other", "(1)");
    expect_used(&server, "a", 1, 5);
    let text = server.admin_request("GET", "/metrics").send().text();
    for line in [
        "durable_streams_prefix_streams{prefix=\"a\"} 1",
        "durable_streams_prefix_bytes{prefix=\"a\"} 5",
        "durable_streams_prefix_live_readers{prefix=\"a\"} 0",
        "durable_streams_prefix_limit{prefix=\"a\",limit=\"bytes\"} 100",
        "durable_streams_prefix_limit{prefix=\"*\",limit=\"streams\"} 1",
        "durable_streams_prefix_refused_total{prefix=\"a\",limit=\"streams\"} 1",
        "durable_streams_prefix_refused_total{prefix=\"*\",limit=\"streams\"} 1",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line}: {text}");
    }
    assert!(!text.contains("prefix=\"other\""), "{text}");
}

#[test]
fn without_limits_there_is_no_usage_page() {
    let Some(server) = server(&[]) else { return };
    let page = server.admin_request("GET", "/debug/usage").send();
    let page = page.problem(404, "ROUTE_NOT_FOUND");
    assert!(page.text().contains("--limit"));
}
