//! Section 5.2: POST.

use crate::common::{Connection, Random, START, ServerUnderTest, shared};

#[test]
fn an_append_is_answered_204_with_the_new_tail() {
    let stream = shared().stream("text/plain");
    let answer = stream.post("hello").send().expect(204);
    answer.expect_security();
    let tail = answer.next_offset();
    assert!(tail.as_str() > START);
    assert_eq!(tail, stream.tail());
    answer.without("stream-closed").with_body("");
}

#[test]
fn appended_bytes_are_read_back_exactly() {
    let every_byte: Vec<u8> = (0..=255).collect();
    let stream = shared().stream("application/octet-stream");
    stream.append(&every_byte);
    stream.append(&every_byte);
    assert_eq!(stream.read_all("-1"), every_byte.repeat(2));
}

#[test]
fn a_chunked_append_is_as_one_with_a_length() {
    let stream = shared().stream("text/plain");
    let post = stream.request("POST").header("Content-Type", "text/plain");
    post.chunks(["a", "bc", "", "def"]).send().expect(204);
    assert_eq!(stream.read_all("-1"), b"abcdef");
}

#[test]
fn offsets_grow_with_every_append_and_compare_as_text() {
    let stream = shared().stream("text/plain");
    let mut last = START.to_owned();
    for number in 0..300 {
        let next = stream.append(format!("{number:0200}"));
        assert_eq!(next.len(), START.len());
        assert!(next > last, "{next} after {last}");
        last = next;
    }
}

#[test]
fn every_returned_offset_leads_to_the_appends_after_it() {
    let mut random = Random::seeded(1);
    let stream = shared().stream("application/octet-stream");
    let mut offsets = vec![(START.to_owned(), 0)];
    let mut all = Vec::new();
    // Small bodies, and sizes about the inline tail (16 KiB) and the largest segment (256 KiB).
    for near in [
        0, 1, 100, 16_383, 16_384, 16_385, 5, 40_000, 262_144, 262_145, 7, 600_000, 3,
    ] {
        let length = near + random.below(3).max(1);
        let body = random.bytes(length);
        all.extend_from_slice(&body);
        offsets.push((stream.append(&body), all.len()));
    }
    for (offset, position) in offsets {
        assert!(
            stream.read_all(&offset) == all[position..],
            "read from {offset}"
        );
    }
}

#[test]
fn appending_to_a_missing_stream_is_404_before_any_other_error() {
    let missing = shared().name("application/json");
    missing.post("1").send().problem(404, "NOT_FOUND");
    missing.post("{ not json").send().problem(404, "NOT_FOUND");
    let stale = missing.post("1").producer("p", 0, 7);
    stale.send().problem(404, "NOT_FOUND");
}

#[test]
fn an_append_without_a_content_type_is_400() {
    let stream = shared().stream("text/plain");
    let post = stream.request("POST").body("x");
    post.send().problem(400, "BAD_REQUEST");
    assert_eq!(stream.tail(), START);
}

#[test]
fn an_append_with_another_content_type_is_409() {
    let stream = shared().stream("text/plain");
    let post = stream.request("POST").body("x");
    for other in ["application/json", "text/html", "text/plain2"] {
        let answer = post.clone().header("Content-Type", other).send();
        answer.problem(409, "CONTENT_TYPE_MISMATCH");
    }
    for same in ["TEXT/PLAIN", "text/plain; charset=utf-8"] {
        post.clone().header("Content-Type", same).send().expect(204);
    }
    assert_eq!(stream.read_all("-1"), b"xx");
}

#[test]
fn an_empty_append_is_400() {
    let stream = shared().stream("text/plain");
    stream.post("").send().problem(400, "EMPTY_BODY");
    stream.request("POST").send().problem(400, "EMPTY_BODY");
    let chunked = stream.request("POST").chunks([""; 0]);
    chunked.send().problem(400, "EMPTY_BODY");
}

#[test]
fn stream_seq_must_grow_byte_by_byte() {
    let stream = shared().stream("text/plain");
    let post = |seq: &str| stream.post("x").header("Stream-Seq", seq).send();
    let refused = |seq: &str| post(seq).problem(409, "SEQUENCE_CONFLICT");
    post("09").expect(204);
    post("10").expect(204);
    refused("10");
    refused("0999");
    post("2").expect(204);
    refused("10");
    post("B").expect(204);
    post("a").expect(204);
    refused("B");
    stream.append("without one");
    refused("a");
    post("aa").expect(204);
}

#[test]
fn a_stream_seq_that_is_empty_or_too_long_is_400() {
    let stream = shared().stream("text/plain");
    let post = |seq: &str| stream.post("x").header("Stream-Seq", seq).send();
    post("").problem(400, "BAD_REQUEST");
    post(&"x".repeat(257)).problem(400, "BAD_REQUEST");
    post(&"x".repeat(256)).expect(204);
}

#[test]
fn a_refused_append_takes_no_stream_seq() {
    let stream = shared().stream("application/json");
    let post = |body| stream.post(body).header("Stream-Seq", "5").send();
    post("{").problem(400, "INVALID_JSON");
    post("[]").problem(400, "EMPTY_ARRAY");
    post("1").expect(204);
}

/// The server stored the encoded bytes, and readers did not learn that they were compressed.
#[test]
fn a_body_that_is_encoded_is_415() {
    let stream = shared().stream("text/plain");
    let post = |coding| stream.post("x").header("Content-Encoding", coding);
    for coding in ["gzip", "br", "identity, gzip"] {
        let refused = post(coding).send();
        refused
            .problem(415, "UNSUPPORTED_CONTENT_ENCODING")
            .with("accept-encoding", "identity");
    }
    assert_eq!(stream.tail(), START);
    post("identity").send().expect(204);
    let new = shared().name("text/plain");
    let put = new.put().header("Content-Encoding", "gzip").body("x");
    put.send().problem(415, "UNSUPPORTED_CONTENT_ENCODING");
}

#[test]
fn a_body_over_the_limit_is_refused_by_its_length_before_it_is_read() {
    let stream = shared().stream("application/octet-stream");
    let mut connection = Connection::to(stream.address);
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: 10485761\r\n\r\n",
        stream.path
    );
    connection.write(head.as_bytes()).expect("the head is sent");
    connection.finish().problem(413, "PAYLOAD_TOO_LARGE");
    assert_eq!(stream.tail(), START);
}

#[test]
fn a_chunked_body_is_refused_as_soon_as_it_passes_the_limit() {
    let Some(server) = ServerUnderTest::start(&[("max_append_bytes", "10000")]) else {
        return;
    };
    let stream = server.stream("text/plain");
    let mut connection = Connection::to(stream.address);
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n\
         Transfer-Encoding: chunked\r\n\r\n2711\r\n{}\r\n",
        stream.path,
        "x".repeat(0x2711)
    );
    // The client promises a longer body, but sends no more of it.
    connection.write(head.as_bytes()).expect("the head is sent");
    connection.finish().problem(413, "PAYLOAD_TOO_LARGE");
    assert_eq!(stream.tail(), START);
    server.expect_alive();
}

#[test]
fn a_body_at_the_limit_is_taken() {
    let stream = shared().stream("application/octet-stream");
    let body = Random::seeded(2).bytes(10 * 1024 * 1024);
    stream.append(&body);
    assert!(stream.read_all("-1") == body);
}

#[test]
fn a_stream_takes_no_more_than_max_stream_bytes() {
    let Some(server) = ServerUnderTest::start(&[("max_stream_bytes", "1000")]) else {
        return;
    };
    let stream = server.stream("text/plain");
    stream.append("x".repeat(900));
    stream
        .post("x".repeat(101))
        .send()
        .problem(413, "STREAM_FULL");
    stream.append("x".repeat(100));
    stream.post("x").send().problem(413, "STREAM_FULL");
    assert_eq!(stream.read_all("-1").len(), 1000);
    stream.close();
}

#[test]
fn an_append_whose_client_leaves_in_the_middle_is_not_applied() {
    let stream = shared().stream("text/plain");
    let mut connection = Connection::to(stream.address);
    let part = format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nhalf",
        stream.path
    );
    connection.write(part.as_bytes()).expect("it is sent");
    connection.stop_writing();
    assert!(
        !connection
            .try_read_head()
            .is_ok_and(|answered| { answered && connection.head().status < 400 })
    );
    stream.append("whole");
    assert_eq!(stream.read_all("-1"), b"whole");
}

#[test]
fn several_requests_share_one_connection() {
    let stream = shared().stream("text/plain");
    let mut connection = Connection::to(stream.address);
    for number in 0..20 {
        let request = format!(
            "POST {} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n\
             {number:02}",
            stream.path
        );
        connection.write(request.as_bytes()).expect("it is sent");
        assert_eq!(connection.read_head().status, 204);
        connection.read_body();
    }
    let expected: String = (0..20).map(|number| format!("{number:02}")).collect();
    assert_eq!(stream.read_all("-1"), expected.as_bytes());
}
