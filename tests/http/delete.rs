//! Sections 5.4 and 5.5: DELETE and HEAD.

use crate::common::{START, shared};

#[test]
fn a_deleted_stream_is_404_to_every_method() {
    let stream = shared().stream("text/plain");
    stream.append("data");
    stream.delete().send().expect(204).with_body("");
    stream.get("offset=-1").send().problem(404, "NOT_FOUND");
    stream.get("offset=now").send().problem(404, "NOT_FOUND");
    stream.long_poll("-1").send().problem(404, "NOT_FOUND");
    stream
        .get("offset=-1&live=sse")
        .send()
        .problem(404, "NOT_FOUND");
    stream.post("x").send().problem(404, "NOT_FOUND");
    stream.delete().send().problem(404, "NOT_FOUND");
    stream.head().send().expect(404);
}

#[test]
fn a_large_stream_can_be_deleted_and_its_name_used_again() {
    let stream = shared().stream("application/octet-stream");
    for _ in 0..80 {
        stream.append(vec![7; 40_000]);
    }
    stream.delete().send().expect(204);
    stream.create();
    stream.append("new");
    assert_eq!(stream.read_all("-1"), b"new");
}

#[test]
fn head_returns_content_type_and_tail_without_a_body() {
    let stream = shared().stream("text/plain");
    let tail = stream.append("some data");
    let answer = stream.head().send().expect(200);
    answer.expect_security();
    answer
        .with("content-type", "text/plain")
        .with("stream-next-offset", &tail)
        .with("cache-control", "no-store")
        .without("stream-closed")
        .without("stream-ttl")
        .without("stream-expires-at")
        // A length of 0 would make caches drop the page they have (RFC 9111, section 4.3.5).
        .without("content-length")
        .with_body("");
}

#[test]
fn head_of_an_empty_stream_has_the_all_zeros_tail() {
    let stream = shared().stream("text/plain");
    assert_eq!(stream.tail(), START);
}

#[test]
fn head_of_a_missing_stream_is_404_with_the_fields_of_an_error_and_no_body() {
    let answer = shared().name("text/plain").head().send().expect(404);
    answer.expect_security();
    answer
        .with("content-type", "application/problem+json")
        .with("cache-control", "no-store")
        .with_body("");
}

#[test]
fn head_reports_that_a_stream_is_closed() {
    let stream = shared().stream("text/plain");
    stream.close();
    stream
        .head()
        .send()
        .expect(200)
        .with("stream-closed", "true");
}
