//! Sections 4.1 and 5.3: closing.

use crate::common::{START, shared};

#[test]
fn closing_is_204_with_the_unchanged_tail_and_may_be_repeated() {
    let stream = shared().stream("text/plain");
    let tail = stream.append("data");
    for _ in 0..3 {
        stream
            .close()
            .with("stream-closed", "true")
            .with("stream-next-offset", &tail)
            .with_body("");
    }
    assert_eq!(stream.read_all("-1"), b"data");
}

#[test]
fn an_empty_stream_can_be_closed() {
    let stream = shared().stream("text/plain");
    stream.close().with("stream-next-offset", START);
    let page = stream.read("-1").with_body("");
    assert!(page.is_closed() && page.is_up_to_date());
}

#[test]
fn closing_ignores_the_content_type() {
    let stream = shared().stream("text/plain");
    let close = stream.request("POST").header("Stream-Closed", "true");
    let close = close.header("Content-Type", "application/json").body("");
    close.send().expect(204).with("stream-closed", "true");
}

#[test]
fn closing_a_missing_stream_is_404() {
    let stream = shared().name("text/plain");
    let close = stream.request("POST").header("Stream-Closed", "true");
    close.send().problem(404, "NOT_FOUND");
}

#[test]
fn an_append_that_closes_is_one_step_and_not_repeatable() {
    let stream = shared().stream("text/plain");
    let post = stream.post("last").header("Stream-Closed", "true");
    let answer = post.send().expect(204).with("stream-closed", "true");
    let tail = answer.next_offset();
    post.send()
        .problem(409, "STREAM_CLOSED")
        .with("stream-closed", "true")
        .with("stream-next-offset", &tail);
    let page = stream.read("-1").with_body("last");
    assert!(page.is_closed());
}

#[test]
fn a_closed_stream_refuses_appends_and_says_where_it_ends() {
    let stream = shared().stream("text/plain");
    let tail = stream.append("data");
    stream.close();
    stream
        .post("more")
        .send()
        .problem(409, "STREAM_CLOSED")
        .with("stream-closed", "true")
        .with("stream-next-offset", &tail);
    assert_eq!(stream.read_all("-1"), b"data");
}

#[test]
fn a_closed_stream_is_reported_before_any_other_error() {
    let stream = shared().stream("application/json");
    let first = stream.post("1").header("Stream-Seq", "5");
    first.send().expect(204);
    stream.close();
    let other_type = stream.request("POST").header("Content-Type", "text/plain");
    other_type.body("x").send().problem(409, "STREAM_CLOSED");
    stream.post("{").send().problem(409, "STREAM_CLOSED");
    let old_seq = stream.post("1").header("Stream-Seq", "4");
    old_seq.send().problem(409, "STREAM_CLOSED");
}

#[test]
fn the_value_true_is_recognised_without_case_and_spaces() {
    for value in ["true", "TRUE", "True", " true "] {
        let stream = shared().stream("text/plain");
        let close = stream.request("POST").header("Stream-Closed", value);
        close
            .body("")
            .send()
            .expect(204)
            .with("stream-closed", "true");
    }
}

#[test]
fn any_other_value_is_as_if_the_field_were_absent() {
    let stream = shared().stream("text/plain");
    for value in ["false", "yes", "1", "", "true, true", "tru"] {
        let close = stream.request("POST").header("Stream-Closed", value);
        close.body("").send().problem(400, "EMPTY_BODY");
        let append = stream.post("x").header("Stream-Closed", value);
        append.send().expect(204).without("stream-closed");
    }
}

#[test]
fn an_empty_array_does_not_close() {
    let stream = shared().stream("application/json");
    let post = stream.post("[]").header("Stream-Closed", "true");
    post.send().problem(400, "EMPTY_ARRAY");
    stream.append("1");
}

#[test]
fn a_refused_append_does_not_close() {
    let stream = shared().stream("application/json");
    let post = stream.post("{").header("Stream-Closed", "true");
    post.send().problem(400, "INVALID_JSON");
    let other = stream.request("POST").header("Content-Type", "text/plain");
    let other = other.header("Stream-Closed", "true").body("x");
    other.send().problem(409, "CONTENT_TYPE_MISMATCH");
    stream.append("1");
}

#[test]
fn a_reader_at_the_former_tail_learns_of_the_end() {
    let stream = shared().stream("text/plain");
    let tail = stream.append("data");
    assert!(!stream.read(&tail).is_closed());
    stream.close();
    let page = stream.read(&tail).with_body("");
    assert!(page.is_closed() && page.is_up_to_date());
}
