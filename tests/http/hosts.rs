//! The authority of a request, which begins all URLs that the server returns, and other parts of a
//! request that only a host can judge.

use crate::common::server::via;
use crate::common::{Connection, Response, START, ServerUnderTest, shared};
use http::header::{CONTENT_TYPE, HOST, LOCATION};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;

/// Sends a head with these lines, and a body.
fn send(server: &ServerUnderTest, lines: &[&str], body: &str) -> Response {
    let mut connection = Connection::to(server.address);
    let request = format!("{}\r\n\r\n{body}", lines.join("\r\n"));
    connection.write(request.as_bytes()).expect("it is sent");
    connection.finish()
}

/// The server put the host of a request, valid or not, into `Location` and the URLs in webhooks.
#[test]
fn a_request_without_exactly_one_valid_host_is_400() {
    let server = shared();
    for hosts in [
        &[][..],
        &["Host: a.example", "Host: a.example"],
        &["Host: a.example", "Host: b.example"],
        &["Host:"],
        &["Host: a b"],
        &["Host: a.example, b.example"],
        &["Host: user@a.example"],
        &["Host: a.example/v1"],
        &["Host: a.example:99999"],
        &["Host: \u{e9}.example"],
    ] {
        let stream = server.name("text/plain");
        let put = format!("PUT {} HTTP/1.1", stream.path);
        let lines = [&[&*put][..], hosts].concat();
        let refused = send(server, &lines, "").problem(400, "BAD_REQUEST");
        assert_eq!(refused.json()["instance"], stream.path, "{hosts:?}");
        stream.head().send().expect(404);
    }
}

#[test]
fn a_host_in_the_target_overrides_the_field() {
    let stream = shared().name("text/plain");
    let put = format!("PUT http://a.example:80{} HTTP/1.1", stream.path);
    let location = format!("http://a.example:80{}", stream.path);
    let answer = send(shared(), &[&put, "Host: b.example"], "");
    answer.expect(201).with("location", &location);
    send(shared(), &[&put], "").problem(400, "BAD_REQUEST");
}

#[test]
fn http_1_0_needs_no_host_and_then_no_host_is_invented() {
    let server = ServerUnderTest::start_own(&[("webhook_allow_localhost", "true")]);
    let stream = server.name("text/plain");
    let put = format!("PUT {} HTTP/1.0", stream.path);
    let answer = send(&server, &[&put], "");
    if via() == "wasi-http-p2" {
        // A request of `wasi:http` 0.2 always has an authority.
        let location = format!("http://localhost{}", stream.path);
        answer.expect(201).with("location", &location);
        return;
    }
    answer.expect(201).with("location", &stream.path);

    let hook = json!({"url": "http://localhost:1/hook"});
    let body = json!({"type": "webhook", "pattern": "*", "webhook": hook}).to_string();
    let put = "PUT /v1/stream/__ds/subscriptions/s HTTP/1.0";
    let length = format!("Content-Length: {}", body.len());
    let refused = send(&server, &[put, &length], &body).expect(400);
    assert_eq!(refused.json()["error"]["code"], "INVALID_REQUEST");
    let put = send(&server, &[put, &length, "Host: a.example"], &body);
    let signing = put.expect(201).json()["webhook"]["signing"].clone();
    let expected = "http://a.example/v1/stream/__ds/jwks.json";
    assert_eq!(signing["jwks_url"], expected);
}

/// The status and the location in the answer to a `PUT` over HTTP/2.
fn put_over_http_2(target: &str, host: Option<&str>) -> (u16, Option<String>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(shared().address).await;
        let io = TokioIo::new(stream.expect("the server takes connections"));
        let client = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
        let (mut client, connection) = client.await.expect("HTTP/2");
        tokio::spawn(connection);
        let mut request = http::Request::put(target).header(CONTENT_TYPE, "text/plain");
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        let request = request.body(Full::<bytes::Bytes>::default());
        let answer = client.send_request(request.expect("a request")).await;
        let answer = answer.expect("an answer");
        let status = answer.status().as_u16();
        let location = answer.headers().get(LOCATION);
        let location = location.map(|value| value.to_str().expect("text").to_owned());
        answer.into_body().collect().await.expect("a whole body");
        (status, location)
    })
}

#[test]
fn in_http_2_host_and_authority_agree() {
    let path = |name: &str| format!("{}/{name}", shared().name("text/plain").path);
    for (authority, host, expected) in [
        ("a.example", None, 201),
        ("a.example", Some("A.example:80"), 201),
        ("a.example", Some("b.example"), 400),
        ("a.example", Some("a b"), 400),
        ("user@a.example", None, 400),
        ("a.example:99999", None, 400),
    ] {
        let url = format!("http://{authority}{}", path("x"));
        let (status, location) = put_over_http_2(&url, host);
        assert_eq!(status, expected, "{authority} {host:?}");
        let created = (status == 201).then_some(url);
        assert_eq!(location, created, "{authority} {host:?}");
    }
}

/// The server stored bytes that only the client could decode, and readers did not learn the coding.
#[test]
fn a_body_in_an_unsupported_transfer_coding_is_501() {
    let stream = shared().stream("text/plain");
    let post = format!("POST {} HTTP/1.1", stream.path);
    for codings in ["gzip, chunked", "chunked, chunked"] {
        let coding = format!("Transfer-Encoding: {codings}");
        let lines = [&*post, "Host: x", "Content-Type: text/plain", &coding];
        let answer = send(shared(), &lines, "1\r\nx\r\n0\r\n\r\n");
        answer.problem(501, "UNSUPPORTED_TRANSFER_ENCODING");
    }
    // The end of such a body is unknown, so this is not valid HTTP.
    let lines = [
        &*post,
        "Host: x",
        "Content-Type: text/plain",
        "Transfer-Encoding: gzip",
    ];
    send(shared(), &lines, "").expect(400);
    assert_eq!(stream.tail(), START);
}
