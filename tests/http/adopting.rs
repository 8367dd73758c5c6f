//! Adoptions of producers: the admin listener has them, and only for managers.

use crate::common::{Request, ServerUnderTest};
use serde_json::{Value, json};

const FREE: [&str; 2] = ["--admin", "127.0.0.1:0"];
const TOKENS: &str = r#"[
    {"token":"manager-of-the-server","scope":"read write manage"},
    {"token":"manager-of-a-tenant-a","scope":"manage","prefix":"a"},
    {"token":"writer-of-all-names","scope":"read write"}
]"#;
const ADOPTION: &str = "/v1/stream/__ds/streams/a/b/producers";
/// First half of the SHA-256 of `me`.
const ME: &str = "2744ccd10c7533bd736ad890f9dd5cab";

/// A server with these variables, an admin listener and the empty stream `a/b`.
fn server(variables: &[(&str, &str)]) -> Option<ServerUnderTest> {
    let server = ServerUnderTest::start_with_arguments(variables, &FREE)?;
    created(&server, "/v1/stream/a/b");
    Some(server)
}

fn created(server: &ServerUnderTest, path: &str) {
    let create = server.request("PUT", path);
    let create = create.header("Content-Type", "text/plain");
    as_manager(create).send().expect(201);
}

fn as_manager(request: Request) -> Request {
    request.header("Authorization", "Bearer manager-of-the-server")
}

fn body(seq: u64) -> Value {
    let me = json!({"id_hash": ME, "epoch": 7, "seq": seq});
    json!({"if_tail": "-1", "producers": [me]})
}

fn adoption(server: &ServerUnderTest, body: &Value) -> Request {
    server.admin_request("PUT", ADOPTION).body(body.to_string())
}

/// An append of `me` in epoch 7.
fn append(server: &ServerUnderTest, seq: u64) -> Request {
    let append = server.request("POST", "/v1/stream/a/b").body("x");
    append
        .header("Content-Type", "text/plain")
        .header("Producer-Id", "me")
        .header("Producer-Epoch", "7")
        .header("Producer-Seq", seq.to_string())
}

#[test]
fn an_adopted_producer_is_fenced_and_recognised_as_on_the_server_it_came_from() {
    let Some(server) = server(&[]) else { return };
    append(&server, 5).send().problem(409, "SEQUENCE_CONFLICT");
    for _ in 0..2 {
        adoption(&server, &body(4)).send().expect(204);
    }
    append(&server, 4).send().expect(204);
    append(&server, 5).send().expect(200);
    let refusal = |body: &Value, status: u16| {
        let refused = adoption(&server, body).send().expect(status).json();
        refused["error"]["code"].as_str().map(str::to_owned)
    };
    // The producer has written since.
    let moved = refusal(&body(4), 412);
    assert_eq!(moved.as_deref(), Some("PRECONDITION_FAILED"));
    let mut past = body(4);
    let head = server.request("HEAD", "/v1/stream/a/b").send().expect(200);
    past["if_tail"] = json!(head.header("stream-next-offset"));
    assert_eq!(refusal(&past, 409).as_deref(), Some("PRODUCER_PAST"));
    past["if_tail"] = json!("tail");
    assert_eq!(refusal(&past, 409).as_deref(), Some("INVALID_OFFSET"));
}

#[test]
fn producers_beyond_the_room_are_429() {
    let Some(server) = server(&[("max_producers", "1")]) else {
        return;
    };
    adoption(&server, &body(4)).send().expect(204);
    let mut other = body(4);
    other["producers"][0]["id_hash"] = json!(ME.replace('2', "3"));
    let refused = adoption(&server, &other).send().expect(429);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.json()["error"]["code"], "TOO_MANY_PRODUCERS");
}

/// A token that an operator gives would be a secret that opens the main listener.
#[test]
fn clients_can_not_adopt_whatever_token_they_send() {
    let given = "a-token-that-was-given";
    let Some(server) = server(&[("admin_token", given)]) else {
        return;
    };
    let on_main = || server.request("PUT", ADOPTION).body(body(4).to_string());
    on_main().send().problem(405, "METHOD_NOT_ALLOWED");
    for token in ["", "x", given] {
        let asked = on_main().header("Ds-Admin-Token", token);
        asked.send().problem(405, "METHOD_NOT_ALLOWED");
        // The admin listener replaces the field.
        let asked = adoption(&server, &body(4)).header("Ds-Admin-Token", token);
        asked.send().expect(204);
    }
    // Another spelling of the path gets no token.
    let path = ADOPTION.replace("/producers", "/%70roducers");
    let spelt = server.admin_request("PUT", &path).body(body(4).to_string());
    spelt
        .header("Ds-Admin-Token", given)
        .send()
        .problem(405, "METHOD_NOT_ALLOWED");
    let config = server.admin_request("GET", "/debug/config").send();
    assert!(!config.expect(200).text().contains(given));
}

#[test]
fn without_an_admin_listener_the_call_does_not_exist() {
    let given = ("admin_token", "a-token-that-was-given");
    let Some(server) = ServerUnderTest::start_with_arguments(&[given], &["--admin", "off"]) else {
        return;
    };
    created(&server, "/v1/stream/a/b");
    let asked = server.request("PUT", ADOPTION).body(body(4).to_string());
    let asked = asked.header("Ds-Admin-Token", given.1);
    asked.send().problem(405, "METHOD_NOT_ALLOWED");
}

#[test]
fn an_adoption_needs_a_manager_of_all_names_and_no_page_of_another_site() {
    let Some(server) = server(&[("auth_tokens", TOKENS)]) else {
        return;
    };
    let with = |token: &str| {
        let asked = adoption(&server, &body(4));
        asked.header("Authorization", format!("Bearer {token}"))
    };
    adoption(&server, &body(4))
        .send()
        .problem(401, "UNAUTHORIZED");
    for token in ["manager-of-a-tenant-a", "writer-of-all-names"] {
        with(token).send().problem(403, "INSUFFICIENT_SCOPE");
    }
    let manager = || with("manager-of-the-server");
    let other_site = manager().header("Sec-Fetch-Site", "cross-site");
    other_site.send().problem(403, "INSUFFICIENT_SCOPE");
    let other_host = manager().header("Host", "attacker.example");
    other_host.send().problem(421, "MISDIRECTED_REQUEST");
    let description = server.admin_request("GET", "/v1/stream/__ds/streams/a/b");
    let described = || as_manager(description.clone()).send().expect(200).json();
    assert_eq!(described()["producers"], json!([]));
    manager().send().expect(204);
    assert_eq!(described()["producers"][0]["id_hash"], ME);
}

#[test]
fn an_adoption_reaches_the_stream_under_another_base_path() {
    let variables = [("base_path", "/deep/er")];
    let Some(server) = ServerUnderTest::start_with_arguments(&variables, &FREE) else {
        return;
    };
    created(&server, "/deep/er/a/b");
    adoption(&server, &body(4)).send().expect(204);
    let main = ADOPTION.replace("/v1/stream", "/deep/er");
    let on_main = server.request("PUT", &main).body(body(4).to_string());
    on_main.send().problem(405, "METHOD_NOT_ALLOWED");
}
