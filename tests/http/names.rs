//! Section 12.2 and `protocol::name`: valid names of streams.

use crate::common::{ServerUnderTest, Stream, shared};

/// The stream at this raw path below the base path, below a name of its own.
fn at(raw: &str) -> Stream {
    let place = shared().name("text/plain");
    Stream {
        path: format!("{}/{raw}", place.path),
        ..place
    }
}

fn refused(stream: &Stream) {
    for method in ["PUT", "POST", "GET", "DELETE"] {
        let request = stream.request(method).header("Content-Type", "text/plain");
        let answer = request.body("x").send();
        answer.problem(400, "INVALID_STREAM_NAME");
    }
    stream.head().send().expect(400);
}

#[test]
fn a_name_may_have_several_segments_and_any_letters() {
    for raw in [
        "a",
        "a/b/c",
        "A.B-c_d~e",
        "%E2%82%AC",
        "%F0%9F%A6%80/x",
        "a%20b",
        "a+b",
        "a:b@c!$&'()*,;=",
    ] {
        let stream = at(raw);
        stream.create();
        stream.append("data");
        stream.read("-1").with_body("data");
    }
}

#[test]
fn an_escaped_letter_is_the_letter() {
    let stream = at("abc/d");
    stream.create();
    stream.append("data");
    for same in ["%61bc/d", "a%62c%2Fd", "abc%2fd"] {
        let path = stream.path.replace("abc/d", same);
        let other = Stream {
            path,
            ..stream.clone()
        };
        other.read("-1").with_body("data");
    }
}

#[test]
fn an_escape_is_decoded_once() {
    let stream = at("a%2541");
    stream.create();
    let path = stream.path.replace("%2541", "%41");
    let other = Stream {
        path,
        ..stream.clone()
    };
    other.head().send().expect(404);
    stream.head().send().expect(200);
}

#[test]
fn a_question_mark_in_a_name_is_escaped() {
    let stream = at("what%3Foffset=now");
    stream.create();
    stream.append("data");
    stream.read("-1").with_body("data");
}

#[test]
fn names_differ_by_case() {
    let (lower, upper) = (at("name"), at("NAME"));
    lower.create();
    upper.head().send().expect(404);
}

#[test]
fn the_url_of_a_new_stream_leads_to_it() {
    for raw in [
        "a b".replace(' ', "%20"),
        "%E2%82%AC/%3F%23".to_owned(),
        "%25".to_owned(),
    ] {
        let stream = at(&raw);
        let location = stream.create().header("location").map(str::to_owned);
        let location = location.unwrap_or_default();
        let (_, path) = location
            .split_once(&stream.address.to_string())
            .unwrap_or_default();
        let other = Stream {
            path: path.to_owned(),
            ..stream.clone()
        };
        other.head().send().expect(200);
    }
}

#[test]
fn an_empty_or_dotted_segment_is_400() {
    for raw in [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        ".",
        "..",
        "a/.",
        "a/..",
        "./a",
        "../a",
        "a/../b",
        "a/./b",
        "%2e",
        "%2E%2e",
        "a/%2e%2E/b",
        "a%2F",
        "a%2F%2Fb",
        "a%2F..%2Fb",
        "..%2f..%2fetc",
    ] {
        refused(&at(raw));
    }
}

#[test]
fn dots_inside_a_segment_are_letters() {
    for raw in ["...", ".a", "a.", "..a", "a..b"] {
        at(raw).create();
    }
}

#[test]
fn a_malformed_escape_is_400() {
    for raw in [
        "%",
        "a%",
        "%1",
        "%zz",
        "%4",
        "%-1",
        "a%2",
        "%%41",
        "%e2%82",
        "%FF",
        "%C0%AF",
        "%ED%A0%80",
    ] {
        refused(&at(raw));
    }
}

#[test]
fn a_control_character_is_400() {
    for raw in ["%00", "a%00b", "%0A", "a%0D%0Ab", "%1F", "%7F", "%09"] {
        refused(&at(raw));
    }
}

#[test]
fn a_name_has_at_most_1024_bytes_once_decoded() {
    let Some(server) = ServerUnderTest::start(&[]) else {
        return;
    };
    let named = |raw: String| Stream {
        path: format!("/v1/stream/{raw}"),
        ..server.name("text/plain")
    };
    named("x".repeat(1024)).create();
    named("%41".repeat(1024)).create();
    named("%E2%82%AC".repeat(341)).create();
    refused(&named("x".repeat(1025)));
    refused(&named("%E2%82%AC".repeat(342)));
    server.expect_alive();
}

#[test]
fn a_name_has_at_most_8_segments() {
    let Some(server) = ServerUnderTest::start(&[]) else {
        return;
    };
    let named = |raw: &str| Stream {
        path: format!("/v1/stream/{raw}"),
        ..server.name("text/plain")
    };
    named("1/2/3/4/5/6/7/8").create();
    refused(&named("1/2/3/4/5/6/7/8/9"));
    refused(&named("1/2/3/4/5/6/7/8%2F9"));
}

#[test]
fn the_limits_of_names_are_variables() {
    let Some(server) =
        ServerUnderTest::start(&[("max_name_bytes", "10"), ("max_name_segments", "2")])
    else {
        return;
    };
    let named = |raw: &str| Stream {
        path: format!("/v1/stream/{raw}"),
        ..server.name("text/plain")
    };
    named("1234/67890").create();
    refused(&named("1234/678901"));
    refused(&named("1/2/3"));
}

#[test]
fn streams_live_under_the_base_path() {
    let Some(server) = ServerUnderTest::start(&[("base_path", "/streams")]) else {
        return;
    };
    let stream = Stream {
        path: "/streams/a/b".to_owned(),
        ..server.name("text/plain")
    };
    let answer = stream.create();
    let location = format!("http://{}/streams/a/b", server.address);
    assert_eq!(answer.header("location"), Some(location.as_str()));
    stream.append("data");
    stream.read("-1").with_body("data");
    let answer = server.request("GET", "/v1/stream/a/b").send();
    answer.problem(404, "ROUTE_NOT_FOUND");
    server.request("GET", "/health").send().expect(200);
    server
        .request("POST", "/streams/__ds/tick")
        .body("")
        .send()
        .expect_success();
}

#[test]
fn the_base_path_may_be_the_whole_server() {
    let Some(server) = ServerUnderTest::start(&[("base_path", "/")]) else {
        return;
    };
    let stream = Stream {
        path: "/a/b".to_owned(),
        ..server.name("text/plain")
    };
    let answer = stream.create();
    let location = format!("http://{}/a/b", server.address);
    assert_eq!(answer.header("location"), Some(location.as_str()));
    stream.append("data");
    stream.read("-1").with_body("data");
    for probe in ["/health", "/healthz", "/readyz"] {
        server.request("GET", probe).send().expect(200);
        let refused = server.request("PUT", probe).body("").send();
        assert!((400..500).contains(&refused.status), "{refused:?}");
    }
    let tick = server.request("POST", "/__ds/tick").body("");
    tick.send().expect_success();
}

#[test]
fn the_reserved_name_is_reserved_in_every_spelling() {
    let server = shared();
    for path in ["__ds/x", "%5F_ds/x", "__%64s/x", "__ds%2Fx"] {
        let target = format!("/v1/stream/{path}");
        server.request("PUT", &target).body("").send().expect(404);
    }
    at("__ds").create();
}

#[test]
fn long_names_that_differ_at_their_end_are_two_streams() {
    let long = "n".repeat(900);
    let place = shared().name("text/plain");
    let stream = |end: &str| Stream {
        path: format!("{}/{long}{end}", place.path),
        ..place.clone()
    };
    let (first, second) = (stream("1"), stream("2"));
    first.create();
    first.append("first");
    second.create();
    second.append("second");
    first.read("-1").with_body("first");
    second.read("-1").with_body("second");
}
