//! Errors, routes and the service's own paths. Errors of one operation are tested with that
//! operation.

use crate::common::{Connection, Response, ServerUnderTest, shared};

fn allowed(answer: &Response) -> Vec<String> {
    let allow = answer.header("allow").unwrap_or_default();
    let mut methods: Vec<String> = allow
        .split(',')
        .map(|item| item.trim().to_owned())
        .collect();
    methods.sort();
    methods
}

#[test]
fn an_error_is_a_problem_document_about_the_stream() {
    let stream = shared().name("text/plain");
    let answer = stream.get("offset=-1").send().problem(404, "NOT_FOUND");
    let problem = answer.json();
    assert_eq!(problem["type"], "/errors/not-found");
    assert_eq!(problem["title"], "Stream Not Found");
    let instance = problem["instance"].as_str().unwrap_or_default();
    assert!(instance.starts_with(&stream.path), "{problem}");
    assert_eq!(
        answer.header("content-length"),
        Some(answer.body.len().to_string().as_str())
    );
}

#[test]
fn a_path_that_is_no_stream_is_404() {
    for target in [
        "/",
        "/v1",
        "/v1/",
        "/v1/stream",
        "/v1/streams/x",
        "/V1/stream/x",
        "/favicon.ico",
    ] {
        for method in ["GET", "PUT", "POST", "DELETE"] {
            let answer = shared().request(method, target).body("").send();
            answer.problem(404, "ROUTE_NOT_FOUND");
        }
    }
}

#[test]
fn a_method_that_streams_do_not_have_is_405_with_those_they_have() {
    let stream = shared().stream("text/plain");
    for method in ["PATCH", "TRACE", "PROPFIND", "get", "X"] {
        let answer = stream
            .request(method)
            .send()
            .problem(405, "METHOD_NOT_ALLOWED");
        let methods = allowed(&answer);
        for method in ["DELETE", "GET", "HEAD", "POST", "PUT"] {
            assert!(methods.contains(&method.to_owned()), "{methods:?}");
        }
    }
}

#[test]
fn a_long_target_is_414() {
    let target = format!("/v1/stream/x?{}", "y".repeat(8200));
    let answer = shared().request("GET", &target).send();
    answer.problem(414, "TARGET_TOO_LONG");
}

#[test]
fn a_large_header_section_is_431() {
    let stream = shared().stream("text/plain");
    let get = stream
        .get("offset=-1")
        .header("X-Large", "x".repeat(17_000));
    get.send().problem(431, "HEADERS_TOO_LARGE");
    let get = stream
        .get("offset=-1")
        .header("X-Large", "x".repeat(15_000));
    get.send().expect(200);
}

#[test]
fn a_protocol_field_given_twice_with_two_values_is_400() {
    let stream = shared().name("text/plain");
    let put = stream
        .put()
        .header("Stream-TTL", "60")
        .header("Stream-TTL", "61");
    put.send().problem(400, "BAD_REQUEST");
    let stream = shared().stream("text/plain");
    let post = stream
        .post("x")
        .header("Stream-Seq", "1")
        .header("Stream-Seq", "2");
    post.send().problem(400, "BAD_REQUEST");
    let post = stream
        .post("x")
        .producer("p", 0, 0)
        .header("Producer-Seq", "1");
    post.send().problem(400, "BAD_REQUEST");
    stream.read("-1").with_body("");
}

#[test]
fn field_names_are_compared_without_case() {
    let stream = shared().name("text/plain");
    let put = stream
        .put()
        .header("cOnTent-tYpe", "text/plain")
        .header("STREAM-TTL", "60");
    put.send().expect(201).with("content-type", "text/plain");
    stream.head().send().expect(200).with("stream-ttl", "60");
}

#[test]
fn health_and_readiness_are_answered() {
    for target in ["/health", "/healthz", "/readyz"] {
        let answer = shared().request("GET", target).send().expect(200);
        assert!(!answer.body.is_empty());
        answer.with("cache-control", "no-store");
        shared()
            .request("HEAD", target)
            .send()
            .expect(200)
            .with_body("");
        let answer = shared().request("POST", target).body("").send();
        let answer = answer.problem(405, "METHOD_NOT_ALLOWED");
        assert_eq!(allowed(&answer)[..2], ["GET", "HEAD"], "{answer:?}");
    }
}

#[test]
fn a_tick_says_whether_it_worked_and_is_open_without_a_token() {
    let stream = shared().stream("text/plain");
    stream.append("x".repeat(100_000));
    stream.delete().send().expect(204);
    for _ in 0..3 {
        let tick = shared().request("POST", "/v1/stream/__ds/tick");
        let answer = tick.body("").send().expect(200);
        // The host also does background work by itself, so there may be nothing left.
        assert!(answer.json()["worked"].is_boolean(), "{answer:?}");
    }
}

#[test]
fn a_tick_asks_for_its_token_where_there_is_one() {
    let Some(server) = ServerUnderTest::start(&[("tick_token", "secret")]) else {
        return;
    };
    let tick = || server.request("POST", "/v1/stream/__ds/tick").body("");
    let answer = tick().send().problem(401, "UNAUTHORIZED");
    assert!(
        answer
            .header("www-authenticate")
            .is_some_and(|value| value.starts_with("Bearer"))
    );
    for wrong in [
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Bearer secret2",
        "Basic secret",
        "secret",
    ] {
        let answer = tick().header("Authorization", wrong).send();
        answer.problem(401, "UNAUTHORIZED");
    }
    tick()
        .header("Authorization", "Bearer secret")
        .send()
        .expect_success();
    tick()
        .header("Authorization", "bearer secret")
        .send()
        .expect_success();
}

#[test]
fn the_reserved_paths_are_no_streams() {
    for path in [
        "__ds/x",
        "__ds/streams/",
        "__ds/subscriptions/",
        "__ds/jwks",
    ] {
        let target = format!("/v1/stream/{path}");
        for method in ["GET", "PUT", "DELETE", "POST"] {
            let answer = shared().request(method, &target).body("").send();
            assert_eq!(answer.status, 404, "{method} {path}: {answer:?}");
            answer.expect_security();
        }
    }
    for (method, path, allows) in [
        ("GET", "tick", "POST"),
        ("POST", "subscriptions/a", "PUT"),
        ("GET", "subscriptions/a/claim", "POST"),
        ("DELETE", "jwks.json", "GET"),
        ("PUT", "", "GET"),
        ("DELETE", "streams/a", "GET"),
        ("POST", "subscriptions", "GET"),
    ] {
        let target = format!("/v1/stream/__ds/{path}");
        let answer = shared().request(method, &target).body("").send();
        let answer = answer.problem(405, "METHOD_NOT_ALLOWED");
        assert!(allowed(&answer).contains(&allows.to_owned()), "{path}");
    }
}

#[test]
fn a_get_may_have_a_body() {
    let stream = shared().stream("text/plain");
    stream.append("data");
    stream
        .get("offset=-1")
        .body("ignored")
        .send()
        .expect(200)
        .with_body("data");
}

#[test]
fn http_2_without_tls_is_spoken_too() {
    let Some(curl) = curl() else {
        println!("skipped: curl with HTTP/2 is not installed");
        return;
    };
    let stream = shared().stream("text/plain");
    let url = format!("http://{}{}", stream.address, stream.path);
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(curl);
        command.args([
            "-sS",
            "--http2-prior-knowledge",
            "-w",
            "%{http_version} %{http_code}",
        ]);
        let out = command.args(args).arg(&url).output().expect("curl runs");
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let post = ["-H", "content-type: text/plain", "--data-binary", "by h2c"];
    assert_eq!(run(&post), "2 204");
    assert_eq!(run(&[]), "by h2c2 200");
}

fn curl() -> Option<&'static str> {
    let out = std::process::Command::new("curl")
        .arg("--version")
        .output()
        .ok()?;
    String::from_utf8_lossy(&out.stdout)
        .contains("HTTP2")
        .then_some("curl")
}

#[test]
fn http_1_0_is_answered() {
    let stream = shared().stream("text/plain");
    stream.append("data");
    let mut connection = Connection::to(stream.address);
    let get = format!("GET {}?offset=-1 HTTP/1.0\r\nHost: x\r\n\r\n", stream.path);
    connection.write(get.as_bytes()).expect("it is sent");
    connection.finish().expect(200).with_body("data");
}

/// Through `wasi:http` the connection was reset while the client was still sending, and the answer
/// was lost.
#[test]
fn a_body_that_is_too_large_is_413_for_a_client_that_sends_all_of_it_first() {
    let stream = shared().stream("text/plain");
    let large = vec![b'x'; 11_000_000];
    for _ in 0..5 {
        stream
            .request("POST")
            .header("content-type", "text/plain")
            .body(&large)
            .send()
            .expect(413);
    }
}

/// A proxy in front may have framed the body by the other field.
#[test]
fn a_body_with_two_lengths_is_400_in_any_order_and_in_later_requests() {
    let Some(server) = ServerUnderTest::start_native(&[], "the framing of bodies") else {
        return;
    };
    let stream = server.stream("text/plain");
    let length = "content-length: 5";
    let coding = "transfer-encoding: chunked";
    for fields in [[length, coding], [coding, length]] {
        for kept in [false, true] {
            let mut connection = Connection::to(server.address);
            let fields = fields.join("\r\n");
            let head = format!(
                "POST {} HTTP/1.1\r\nhost: a\r\ncontent-type: text/plain\r\n",
                stream.path
            );
            if kept {
                let first = format!("{head}{coding}\r\n\r\n1\r\nx\r\n0\r\n\r\n");
                connection.write(first.as_bytes()).expect("it is taken");
                connection.expects_body("POST");
                assert_eq!(connection.read_head().status, 204);
                connection.read_body();
            }
            let both = format!("{head}{fields}\r\n\r\n1\r\nx\r\n0\r\n\r\n");
            connection.write(both.as_bytes()).expect("it is taken");
            connection.expects_body("POST");
            assert_eq!(connection.read_head().status, 400, "{fields}");
        }
    }
}
