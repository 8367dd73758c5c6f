//! Subscriptions (sections 6 and 7): wakes by webhook and by stream, and cases without a wake.

use crate::common::receiver::{Received, Receiver};
use crate::common::{Request, Response, ServerUnderTest, eventually};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64_URL;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Value, json};

const BASE: &str = "/v1/stream/__ds";

fn server() -> Option<ServerUnderTest> {
    ServerUnderTest::start(&[("webhook_allow_localhost", "true")])
}

/// A server that does background work without any request.
fn server_with_a_timer() -> Option<ServerUnderTest> {
    let variables = [("webhook_allow_localhost", "true")];
    ServerUnderTest::start_native(&variables, "its timer")
}

fn ds(server: &ServerUnderTest, method: &str, path: &str) -> Request {
    server.request(method, &format!("{BASE}/{path}"))
}

fn ds_json(server: &ServerUnderTest, method: &str, path: &str, body: &Value) -> Request {
    let request = ds(server, method, path).header("content-type", "application/json");
    request.body(body.to_string())
}

fn webhook(server: &ServerUnderTest, id: &str, url: &str) -> Response {
    let body = json!({
        "type": "webhook", "pattern": format!("{id}/*"), "webhook": {"url": url},
        "lease_ttl_ms": 60_000,
    });
    ds_json(server, "PUT", &format!("subscriptions/{id}"), &body).send()
}

fn append(server: &ServerUnderTest, name: &str, body: &str) {
    let request = server.request("POST", &format!("/v1/stream/{name}"));
    let request = request.header("content-type", "text/plain").body(body);
    request.send().expect(204);
}

fn create(server: &ServerUnderTest, name: &str, content_type: &str) {
    let request = server.request("PUT", &format!("/v1/stream/{name}"));
    request
        .header("content-type", content_type)
        .send()
        .expect(201);
}

fn read(server: &ServerUnderTest, id: &str) -> Value {
    let response = ds(server, "GET", &format!("subscriptions/{id}")).send();
    response.expect(200).json()
}

fn code(response: &Response) -> String {
    let code = response.json()["error"]["code"].as_str().map(str::to_owned);
    code.unwrap_or_default()
}

/// Checks a signature with a library other than the server's.
fn assert_signed(server: &ServerUnderTest, received: &Received) {
    let signature = received.header("webhook-signature");
    let part = |name: &str| {
        let parts = signature.split(',');
        let value = parts.filter_map(|part| part.strip_prefix(name)).next();
        value.unwrap_or_else(|| panic!("no {name} in {signature}"))
    };
    let keys = ds(server, "GET", "jwks.json").send().expect(200).json();
    let mut keys = keys["keys"].as_array().expect("keys").iter();
    let key = keys
        .find(|key| key["kid"] == part("kid="))
        .expect("the key");
    let x = BASE64_URL
        .decode(key["x"].as_str().expect("text"))
        .expect("base64url");
    let signed = [format!("{}.", part("t=")).as_bytes(), &received.body].concat();
    let bytes = BASE64_URL.decode(part("ed25519=")).expect("base64url");
    let key = UnparsedPublicKey::new(&ED25519, x);
    assert!(key.verify(&signed, &bytes).is_ok(), "{received:?}");
    assert!(key.verify(&signed[1..], &bytes).is_err());
}

#[test]
fn a_webhook_gets_new_data_signed_and_its_answer_acks_it() {
    let Some(server) = server() else {
        return;
    };
    let receiver = Receiver::start(r#"{"done":true}"#);
    webhook(&server, "hook", &receiver.url()).expect(201);
    create(&server, "hook/a", "text/plain");
    for (number, generation) in [("one", 1), ("two", 2)] {
        append(&server, "hook/a", number);
        let received = receiver.next();
        assert_eq!(received.path, "/hook?x=1");
        assert_eq!(received.header("content-type"), "application/json");
        assert_eq!(
            received.header("host"),
            format!("127.0.0.1:{}", receiver.port())
        );
        assert_signed(&server, &received);
        let wake = received.json();
        assert_eq!(
            (&wake["subscription_id"], &wake["generation"]),
            (&json!("hook"), &json!(generation))
        );
        let tail = wake["streams"][0]["tail_offset"].clone();
        eventually("the wake is acked", || {
            read(&server, "hook")["streams"][0]["acked_offset"] == tail
        });
    }
    assert!(receiver.came().is_none());
}

#[test]
fn a_url_that_leads_into_a_network_is_refused() {
    let Some(server) = server() else {
        return;
    };
    let off = [("webhook_allow_localhost", "false")];
    let Some(strict) = ServerUnderTest::start(&off) else {
        return;
    };
    for url in [
        "http://worker.example/",
        "ftp://worker.example/",
        "//worker.example/",
        "https://",
        "https://10.0.0.1/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://0/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://0.0.0.0/",
        "https://169.254.169.254/latest/meta-data/",
        "https://172.16.0.1/",
        "https://192.168.0.1/",
        "https://100.64.0.1/",
        "https://198.18.0.1/",
        "https://224.0.0.1/",
        "https://[::1]/",
        "https://[::]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[::ffff:a00:1]/",
        "https://[::10.0.0.1]/",
        "https://[64:ff9b::a00:1]/",
        "https://[2002:a00:1::]/",
        "https://[2001::1]/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://localhost/",
        "https://worker.localhost/",
        "https://printer.local/",
        "https://metadata.google.internal/",
        "https://intranet/",
        "https://user:secret@worker.example/",
        "https://worker.example@10.0.0.1/",
        "https://worker.example:22/",
        "https://worker.example:99999/",
        "https://worker.example/#fragment",
        "https://w\u{f6}rker.example/",
        "https://worker.example./",
        "http://[::1]:3000/",
        "http://0.0.0.0:3000/",
        "http://10.0.0.1:3000/",
    ] {
        for server in [&server, &strict] {
            let refused = webhook(server, "refused", url).expect(400);
            assert_eq!(code(&refused), "WEBHOOK_URL_REJECTED", "{url}");
        }
    }
    for url in ["http://localhost:3000/", "http://127.0.0.1:3000/"] {
        let refused = webhook(&strict, "refused", url).expect(400);
        assert_eq!(code(&refused), "WEBHOOK_URL_REJECTED", "{url}");
    }
}

#[test]
fn every_spelling_of_this_machine_that_is_excepted_is_delivered_to() {
    let Some(server) = server() else {
        return;
    };
    let receiver = Receiver::start(r#"{"done":true}"#);
    for (id, host) in [
        ("name", "localhost"),
        ("address", "127.0.0.1"),
        ("upper", "LOCALHOST"),
    ] {
        let url = format!("http://{host}:{}/{id}", receiver.port());
        webhook(&server, id, &url).expect(201);
        create(&server, &format!("{id}/a"), "text/plain");
        append(&server, &format!("{id}/a"), "one");
        let received = receiver.next();
        assert_eq!(received.path, format!("/{id}"));
        assert_signed(&server, &received);
    }
}

#[test]
fn a_redirect_is_not_followed_and_counts_as_a_failure() {
    let Some(server) = server_with_a_timer() else {
        return;
    };
    let (receiver, inside) = (Receiver::start(""), Receiver::start(""));
    let location = format!("location: {}\r\n", inside.url());
    receiver.answer_with("307 Temporary Redirect", &location, "");
    webhook(&server, "redirect", &receiver.url()).expect(201);
    create(&server, "redirect/a", "text/plain");
    append(&server, "redirect/a", "one");
    let first = receiver.next().json();
    eventually("the failure is noted", || {
        read(&server, "redirect")["status"] == "failed"
    });
    receiver.answer("200 OK", r#"{"done":true}"#);
    // The timer does it: no request arrives in the meantime.
    let again = receiver.next().json();
    assert_eq!(again["wake_id"], first["wake_id"]);
    eventually("it is well again", || {
        read(&server, "redirect")["status"] == "active"
    });
    assert!(inside.came().is_none());
}

#[test]
fn a_lease_that_ends_is_noticed_without_any_request() {
    let Some(server) = server_with_a_timer() else {
        return;
    };
    create(&server, "lease-wake", "application/json");
    let body = json!({
        "type": "pull-wake", "pattern": "lease/*", "wake_stream": "lease-wake", "lease_ttl_ms": 1000,
    });
    ds_json(&server, "PUT", "subscriptions/lease", &body)
        .send()
        .expect(201);
    create(&server, "lease/a", "text/plain");
    let wakes = |offset: &str| {
        let target = format!("/v1/stream/lease-wake?offset={offset}");
        let page = server.request("GET", &target).send().expect(200);
        (
            page.json().as_array().expect("events").len(),
            page.next_offset(),
        )
    };
    append(&server, "lease/a", "one");
    let (count, tail) = wakes("-1");
    assert_eq!(count, 1);
    let claim = ds_json(
        &server,
        "POST",
        "subscriptions/lease/claim",
        &json!({"worker": "w"}),
    );
    claim.send().expect(200);
    // The long-poll waits in the server for a second wake event.
    let target = format!("/v1/stream/lease-wake?offset={tail}&live=long-poll");
    let mut page = server.request("GET", &target).send();
    while page.status == 204 {
        page = server.request("GET", &target).send();
    }
    assert_eq!(page.expect(200).json()[0]["generation"], 2);
}

#[test]
fn one_worker_keeps_up_with_five_hundred_streams() {
    let Some(server) = server() else {
        return;
    };
    let (streams, appends) = (500, 2_000);
    create(&server, "many-wake", "application/json");
    let body = json!({"type": "pull-wake", "pattern": "many/*", "wake_stream": "many-wake"});
    ds_json(&server, "PUT", "subscriptions/many", &body)
        .send()
        .expect(201);
    for number in 0..streams {
        create(&server, &format!("many/{number}"), "text/plain");
    }
    let done = std::sync::atomic::AtomicBool::new(false);
    let order = std::sync::atomic::Ordering::SeqCst;
    let claims = std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let mut claims = 0;
            loop {
                let last = done.load(order);
                let path = "subscriptions/many/claim";
                let claim = ds_json(&server, "POST", path, &json!({"worker": "w"})).send();
                if claim.status == 409 {
                    assert_eq!(code(&claim), "NO_PENDING_WORK");
                    if last {
                        return claims;
                    }
                    std::thread::park_timeout(std::time::Duration::from_millis(1));
                    continue;
                }
                claims += 1;
                let claimed = claim.expect(200).json();
                let pending = claimed["streams"].as_array().expect("streams").iter();
                let acks: Vec<Value> = pending
                    .filter(|stream| stream["has_pending"] == true)
                    .map(|one| json!({"stream": one["path"], "offset": one["tail_offset"]}))
                    .collect();
                let body = json!({
                    "wake_id": claimed["wake_id"], "generation": claimed["generation"],
                    "acks": acks, "done": true,
                });
                let token = claimed["token"].as_str().expect("a token");
                let ack = ds_json(&server, "POST", "subscriptions/many/ack", &body);
                let ack = ack.header("authorization", format!("Bearer {token}"));
                ack.send().expect(200);
            }
        });
        for number in 0..appends {
            append(&server, &format!("many/{}", number * 7 % streams), "event");
        }
        done.store(true, order);
        worker.join().expect("the worker does its work")
    });
    let linked = read(&server, "many")["streams"].clone();
    let linked = linked.as_array().expect("streams");
    assert_eq!(linked.len(), streams);
    for stream in linked {
        let path = stream["path"].as_str().expect("a path");
        let head = server.request("HEAD", &format!("/v1/stream/{path}")).send();
        assert_eq!(
            stream["acked_offset"],
            head.expect(200).next_offset(),
            "{path}"
        );
    }
    let wakes = server
        .request("GET", "/v1/stream/many-wake")
        .send()
        .expect(200)
        .json();
    let wakes = wakes.as_array().expect("events");
    let generations: std::collections::BTreeSet<u64> = wakes
        .iter()
        .map(|wake| wake["generation"].as_u64().expect("a number"))
        .collect();
    assert_eq!(generations.len(), wakes.len(), "a wake was announced twice");
    println!(
        "{appends} appends to {streams} streams: {} wakes, {claims} claims",
        wakes.len()
    );
}
