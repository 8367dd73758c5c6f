//! Section 4.2: forks.

use crate::common::{Request, START, Stream, eventually, shared};

const FROM: &str = "Stream-Forked-From";
const OFFSET: &str = "Stream-Fork-Offset";
const SUB: &str = "Stream-Fork-Sub-Offset";

/// A PUT that forks `source` under another name.
fn fork(name: &Stream, source: &Stream) -> Request {
    name.put().header(FROM, &source.path)
}

/// A name for a fork, and the fork.
#[track_caller]
fn forked(source: &Stream) -> Stream {
    let name = shared().name(&source.content_type);
    fork(&name, source).send().expect(201);
    name
}

#[test]
fn a_fork_reads_as_its_source_up_to_the_point_and_then_as_itself() {
    let source = shared().stream("text/plain");
    let middle = source.append("one ");
    source.append("two ");
    let name = shared().name("text/plain");
    let made = fork(&name, &source).header(OFFSET, &middle).body("own ");
    made.send()
        .expect(201)
        .with("content-type", "text/plain")
        .without("stream-forked-from")
        .without("stream-fork-offset");
    source.append("three ");
    name.append("more");
    assert_eq!(name.read_all("-1"), b"one own more");
    assert_eq!(name.read_all(&middle), b"own more");
    assert_eq!(source.read_all("-1"), b"one two three ");
    fork(&name, &source)
        .header(OFFSET, &middle)
        .send()
        .expect(200);
    fork(&name, &source)
        .header(OFFSET, START)
        .send()
        .problem(409, "ALREADY_EXISTS");
}

#[test]
fn a_large_source_is_shared_at_any_place() {
    let source = shared().stream("application/octet-stream");
    let mut bytes = Vec::new();
    let mut offsets = Vec::new();
    for n in 0..90_u8 {
        let part = vec![n; 20_000];
        offsets.push((source.append(&part), bytes.len() + part.len()));
        bytes.extend_from_slice(&part);
    }
    for (offset, length) in offsets.iter().step_by(11) {
        let name = shared().name("application/octet-stream");
        let made = fork(&name, &source)
            .header(OFFSET, offset)
            .header(SUB, if *length < bytes.len() { "7" } else { "0" });
        made.send().expect(201);
        name.append("end");
        let length = (length + 7).min(bytes.len());
        let expected = [&bytes[..length], b"end"].concat();
        assert!(name.read_all("-1") == expected, "at {offset}");
    }
}

#[test]
fn json_is_forked_between_messages_and_read_as_one_array() {
    let source = shared().stream("application/json");
    source.append(r#"[{"a":1},{"b":[2,"],"]},3]"#);
    let name = shared().name("application/json");
    let part = fork(&name, &source).header(OFFSET, START).header(SUB, "2");
    part.body("[4,5]")
        .send()
        .expect(201)
        .with("content-type", "application/json");
    assert_eq!(name.read_all("-1"), br#"[{"a":1},{"b":[2,"],"]},4,5]"#);
    let other = shared().name("application/json");
    let beyond = fork(&other, &source).header(OFFSET, START).header(SUB, "4");
    beyond.send().problem(400, "BAD_REQUEST");
}

#[test]
fn each_reason_against_a_fork_has_a_code_of_its_own() {
    let source = shared().stream("text/plain");
    source.append("data");
    let name = shared().name("text/plain");
    let refused = |request: Request, status, code: &str| {
        request.send().problem(status, code);
        name.head().send().expect(404);
    };
    let ask = || fork(&name, &source);
    refused(fork(&name, &name), 404, "NOT_FOUND");
    refused(name.put().header(FROM, "/elsewhere/a"), 404, "NOT_FOUND");
    refused(name.put().header(FROM, "a"), 400, "BAD_REQUEST");
    refused(
        ask().header("Content-Type", "text/html"),
        409,
        "CONTENT_TYPE_MISMATCH",
    );
    refused(ask().header(OFFSET, "x"), 400, "INVALID_OFFSET");
    let nines = "9999999999999999_9999999999999999";
    refused(ask().header(OFFSET, nines), 400, "BAD_REQUEST");
    refused(ask().header(SUB, "1"), 400, "BAD_REQUEST");
    refused(
        ask().header(OFFSET, START).header(SUB, "5"),
        400,
        "BAD_REQUEST",
    );
    refused(
        ask().header(OFFSET, START).header(SUB, "+1"),
        400,
        "BAD_REQUEST",
    );
    refused(name.put().header(OFFSET, START), 400, "BAD_REQUEST");
    refused(name.put().header(SUB, "0"), 400, "BAD_REQUEST");
    // The refused forks do not hold the source.
    source.delete().send().expect(204);
    source.head().send().expect(404);
}

#[test]
fn a_deleted_source_is_gone_for_all_readers_but_its_forks() {
    let source = shared().stream("text/plain");
    source.append("kept");
    let fork_of_it = forked(&source);
    let fork_of_fork = forked(&fork_of_it);
    source.delete().send().expect(204);
    fork_of_it.delete().send().expect(204);
    for gone in [&source, &fork_of_it] {
        gone.get("offset=-1").send().problem(410, "GONE");
        gone.long_poll("-1").send().problem(410, "GONE");
        gone.get("offset=-1&live=sse").send().problem(410, "GONE");
        gone.post("x").send().problem(410, "GONE");
        gone.delete().send().problem(410, "GONE");
        gone.head().send().expect(410);
        gone.put().send().problem(409, "PATH_BLOCKED");
        let name = shared().name("text/plain");
        fork(&name, gone).send().problem(409, "FORK_FROM_TOMBSTONE");
    }
    assert_eq!(fork_of_fork.read_all("-1"), b"kept");
    fork_of_fork.delete().send().expect(204);
    for gone in [&source, &fork_of_it] {
        eventually("the last fork takes its sources with it", || {
            // Background work removes the sources, and a tick does a part of it.
            Request::new(gone.address, "POST", "/v1/stream/__ds/tick").send();
            gone.head().send().status == 404
        });
        gone.create();
    }
}

#[test]
fn a_reader_of_a_fork_gets_its_own_appends_only() {
    let source = shared().stream("text/plain");
    source.append("old");
    let name = forked(&source);
    assert_eq!(name.long_poll("-1").send().expect(200).text(), "old");
    let tail = name.tail();
    let waiting = name.wait_at(&tail);
    source.append("other");
    name.append("own");
    assert_eq!(waiting.finish().expect(200).text(), "own");
}
