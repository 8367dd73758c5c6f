//! Sections 10 and 12.7: response fields for caches and browsers.

use crate::common::{Response, ServerUnderTest, Stream, shared};

const SHARED: &str = "public, max-age=60, stale-while-revalidate=300";

fn tag(response: &Response) -> String {
    let tag = response.header("etag").expect("every page has a tag");
    let quoted = tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"');
    assert!(quoted, "{tag}");
    tag.to_owned()
}

fn conditional(stream: &Stream, offset: &str, condition: &str) -> Response {
    let get = stream.get(&format!("offset={offset}"));
    get.header("If-None-Match", condition).send()
}

#[test]
fn data_of_a_shared_stream_may_be_cached() {
    let stream = shared().stream("text/plain");
    let middle = stream.append("some");
    stream.append("data");
    for at in ["-1", middle.as_str()] {
        stream.read(at).with("cache-control", SHARED);
        let answer = stream.long_poll(at).send().expect(200);
        answer.with("cache-control", SHARED);
    }
    stream
        .request("GET")
        .send()
        .expect(200)
        .with("cache-control", SHARED);
}

#[test]
fn empty_answers_at_the_tail_are_not_stored() {
    let stream = shared().stream("text/plain");
    stream.read("-1").with("cache-control", "no-store");
    let tail = stream.append("data");
    for at in [tail.as_str(), "now"] {
        stream.read(at).with("cache-control", "no-store");
        let answer = stream.long_poll(at).send().expect(204);
        answer.with("cache-control", "no-store");
    }
    let beyond = stream
        .get("offset=9999999999999999_9999999999999999")
        .send();
    beyond.expect(410).with("cache-control", "no-store");
}

#[test]
fn writes_and_errors_are_not_stored() {
    let stream = shared().name("text/plain");
    let no_store = |answer: Response| answer.with("cache-control", "no-store");
    no_store(stream.create());
    no_store(stream.post("x").send().expect(204));
    no_store(stream.head().send().expect(200));
    no_store(stream.get("offset=x").send().expect(400));
    no_store(stream.delete().send().expect(204));
    no_store(stream.get("offset=-1").send().expect(404));
}

#[test]
fn a_variable_makes_everything_private() {
    let Some(server) = ServerUnderTest::start(&[("cache_visibility", "private")]) else {
        return;
    };
    let stream = server.stream("text/plain");
    stream.append("data");
    let expected = SHARED.replace("public", "private");
    stream.read("-1").with("cache-control", &expected);
    let answer = stream.long_poll("-1").send().expect(200);
    answer.with("cache-control", &expected);
}

#[test]
fn a_page_that_was_not_changed_is_304_without_a_body() {
    let stream = shared().stream("text/plain");
    let tail = stream.append("data");
    for at in ["-1", tail.as_str()] {
        let page = stream.read(at);
        let tag = tag(&page);
        let answer = conditional(&stream, at, &tag).expect(304);
        answer.expect_security();
        let cache = page.header("cache-control").unwrap_or_default().to_owned();
        answer
            .with("etag", &tag)
            .with("cache-control", &cache)
            .with_body("");
    }
}

#[test]
fn a_condition_is_a_list_of_tags_that_may_be_weak_or_a_star() {
    let stream = shared().stream("text/plain");
    stream.append("data");
    let tag = tag(&stream.read("-1"));
    for condition in [
        format!("W/{tag}"),
        format!("\"other\", {tag}"),
        format!("{tag},\"other\""),
        format!(" W/\"a,b\" ,, W/{tag} "),
        "*".to_owned(),
    ] {
        conditional(&stream, "-1", &condition).expect(304);
    }
    let bare = tag.trim_matches('"');
    for condition in [
        "",
        "\"other\"",
        bare,
        "W/",
        "\"",
        ",",
        "**",
        &format!("w/{tag}x"),
    ] {
        conditional(&stream, "-1", condition)
            .expect(200)
            .with_body("data");
    }
}

#[test]
fn several_condition_fields_are_one_list() {
    let stream = shared().stream("text/plain");
    stream.append("data");
    let tag = tag(&stream.read("-1"));
    let get = stream.get("offset=-1").header("If-None-Match", "\"other\"");
    get.header("If-None-Match", &tag).send().expect(304);
}

#[test]
fn a_tag_changes_with_an_append() {
    let stream = shared().stream("text/plain");
    let tail = stream.append("data");
    let (whole, empty) = (tag(&stream.read("-1")), tag(&stream.read(&tail)));
    assert_ne!(whole, empty);
    stream.append("more");
    conditional(&stream, "-1", &whole)
        .expect(200)
        .with_body("datamore");
    conditional(&stream, &tail, &empty)
        .expect(200)
        .with_body("more");
}

#[test]
fn a_tag_changes_when_the_stream_is_closed_without_data() {
    let stream = shared().stream("text/plain");
    let tail = stream.append("data");
    let (whole, empty) = (tag(&stream.read("-1")), tag(&stream.read(&tail)));
    stream.close();
    assert!(conditional(&stream, "-1", &whole).expect(200).is_closed());
    assert!(conditional(&stream, &tail, &empty).expect(200).is_closed());
    let closed = tag(&stream.read(&tail));
    let answer = conditional(&stream, &tail, &closed).expect(304);
    assert!(answer.is_closed());
}

#[test]
fn a_tag_is_of_one_life_of_a_name() {
    let stream = shared().stream("text/plain");
    stream.append("1st.");
    let tag = tag(&stream.read("-1"));
    stream.delete().send().expect(204);
    stream.create();
    stream.append("2nd.");
    conditional(&stream, "-1", &tag)
        .expect(200)
        .with_body("2nd.");
}

#[test]
fn a_page_in_the_middle_keeps_its_tag() {
    let Some(server) =
        ServerUnderTest::start(&[("page_bytes", "1000"), ("inline_tail_bytes", "500")])
    else {
        return;
    };
    let stream = server.stream("text/plain");
    for _ in 0..10 {
        stream.append("x".repeat(400));
    }
    let first = stream.read("-1");
    assert!(!first.is_up_to_date());
    stream.append("x");
    conditional(&stream, "-1", &tag(&first)).expect(304);
}

#[test]
fn every_answer_forbids_sniffing_and_names_its_origin_policy() {
    let stream = shared().name("text/plain");
    let answers = [
        stream
            .put()
            .header("Content-Type", "text/plain")
            .send()
            .expect(201),
        stream
            .put()
            .header("Content-Type", "text/plain")
            .send()
            .expect(200),
        stream.post("x").send().expect(204),
        stream.head().send().expect(200),
        stream.get("offset=-1").send().expect(200),
        stream.get("offset=-1&live=long-poll").send().expect(200),
        stream.get("offset=now&live=long-poll").send().expect(204),
        stream.get("offset=bad").send().expect(400),
        stream.request("OPTIONS").send().expect(204),
        stream.request("PATCH").send().expect(405),
        stream.delete().send().expect(204),
        stream.get("offset=-1").send().expect(404),
        shared().request("GET", "/nowhere").send().expect(404),
        shared().request("GET", "/health").send().expect(200),
    ];
    for answer in answers {
        answer.expect_security();
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("*"),
            "{answer:?}"
        );
    }
}

#[test]
fn a_browser_may_ask_first_and_may_see_the_fields_of_the_protocol() {
    let stream = shared().stream("text/plain");
    let preflight = stream
        .request("OPTIONS")
        .header("Origin", "https://app.example")
        .header("Access-Control-Request-Method", "PUT")
        .header(
            "Access-Control-Request-Headers",
            "if-none-match, producer-id",
        );
    let answer = preflight.send().expect(204).with_body("");
    let list = |answer: &Response, name: &str| -> Vec<String> {
        let value = answer.header(name).unwrap_or_default().to_lowercase();
        value
            .split(',')
            .map(|item| item.trim().to_owned())
            .collect()
    };
    let methods = list(&answer, "access-control-allow-methods");
    for method in ["get", "put", "post", "delete", "head"] {
        assert!(
            methods.contains(&method.to_owned()),
            "{method} of {methods:?}"
        );
    }
    let headers = list(&answer, "access-control-allow-headers");
    for header in [
        "content-type",
        "authorization",
        "if-none-match",
        "stream-seq",
        "stream-ttl",
        "stream-expires-at",
        "stream-closed",
        "producer-id",
        "producer-epoch",
        "producer-seq",
    ] {
        assert!(
            headers.contains(&header.to_owned()),
            "{header} of {headers:?}"
        );
    }
    let exposed = list(&stream.read("-1"), "access-control-expose-headers");
    for header in [
        "stream-next-offset",
        "stream-cursor",
        "stream-up-to-date",
        "stream-closed",
        "stream-ttl",
        "stream-expires-at",
        "stream-sse-data-encoding",
        "producer-epoch",
        "producer-seq",
        "producer-expected-seq",
        "producer-received-seq",
        "etag",
        "location",
    ] {
        assert!(
            exposed.contains(&header.to_owned()),
            "{header} of {exposed:?}"
        );
    }
}

#[test]
fn only_origins_of_the_list_are_allowed_where_there_is_one() {
    let Some(server) =
        ServerUnderTest::start(&[("cors_origins", "https://a.example, https://b.example")])
    else {
        return;
    };
    let stream = server.stream("text/plain");
    for (origin, allowed) in [
        ("https://a.example", Some("https://a.example")),
        ("https://b.example", Some("https://b.example")),
        ("https://c.example", None),
        ("https://a.example.evil", None),
        ("null", None),
    ] {
        let answer = stream.get("offset=-1").header("Origin", origin).send();
        let answer = answer.expect(200);
        assert_eq!(
            answer.header("access-control-allow-origin"),
            allowed,
            "{origin}"
        );
        let vary = answer.header("vary").unwrap_or_default().to_lowercase();
        assert!(vary.contains("origin"), "{vary:?} for {origin}");
    }
}
