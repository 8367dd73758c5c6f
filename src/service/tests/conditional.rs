//! Conditional appends: `If-Match` with the expected tail.

use super::driver::{Ask, Response, Server, ask, call, serve, start};
use super::world::{Quirk, World};

fn created() -> (Server, String) {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    let create = ask("PUT", "s").content_type("text/plain").body("abc");
    let offset = call(&server, create).offset().to_owned();
    (server, offset)
}

fn append(tag: &str) -> Ask {
    let append = ask("POST", "s").content_type("text/plain").body("x");
    append.header("if-match", tag)
}

fn quoted(offset: &str) -> String {
    format!("\"{offset}\"")
}

#[test]
fn an_append_with_the_tail_as_its_tag_is_accepted_once() {
    let (server, offset) = created();
    for tag in [quoted(&offset), offset] {
        let (server, _) = created();
        let done = call(&server, append(&tag));
        assert_eq!(done.status, 204);
        assert_eq!(done.get("etag"), quoted(done.offset()));
        let late = call(&server, append(&tag));
        assert_eq!((late.status, &*late.code()), (412, "PRECONDITION_FAILED"));
        assert_eq!(late.offset(), done.offset());
        assert_eq!(late.get("etag"), done.get("etag"));
        // The problem names the tail, so the next try succeeds.
        assert_eq!(call(&server, append(late.get("etag"))).status, 204);
    }
    let plain = ask("POST", "s").content_type("text/plain").body("x");
    let done = call(&server, plain);
    assert_eq!(done.get("etag"), quoted(done.offset()));
}

#[test]
fn tags_that_are_no_tail_fail_and_malformed_ones_are_refused() {
    let (server, offset) = created();
    let page_tag = call(&server, ask("GET", "s")).get("etag").to_owned();
    let cases = [
        (format!("W/{}", quoted(&offset)), 412),
        (page_tag, 412),
        ("\"\"".to_owned(), 412),
        ("\"-1\"".to_owned(), 412),
        ("\"now\"".to_owned(), 412),
        ("\"0000000100000000_0000000000000030\"".to_owned(), 412),
        ("*".to_owned(), 400),
        ("now".to_owned(), 400),
        ("-1".to_owned(), 400),
        (String::new(), 400),
        ("W/x".to_owned(), 400),
        ("\"a".to_owned(), 400),
        ("\"a b\"".to_owned(), 400),
        (format!("{}, {}", quoted(&offset), quoted(&offset)), 400),
    ];
    for (tag, status) in cases {
        let response = call(&server, append(&tag));
        assert_eq!(response.status, status, "{tag}: {response:?}");
    }
    let twice = append(&quoted(&offset)).header("if-match", "\"other\"");
    assert_eq!(call(&server, twice).status, 400);
    let producer = append(&quoted(&offset)).producer("p", 0, 0);
    assert_eq!(call(&server, producer).status, 400);
    assert_eq!(call(&server, ask("HEAD", "s")).offset(), offset);
}

/// The order of the checks: existence, close, content type, `If-Match`, `Stream-Seq`.
#[test]
fn the_tag_is_judged_after_the_close_and_before_the_sequence() {
    let (server, offset) = created();
    let other = "\"0000000000000000_0000000000000990\"";
    let typed = |tag: &str, kind: &str| {
        ask("POST", "s")
            .content_type(kind)
            .body("x")
            .header("if-match", tag)
    };
    assert_eq!(call(&server, typed(other, "a/b")).status, 409);
    let first = append(&quoted(&offset)).header("stream-seq", "5");
    let tail = call(&server, first).get("etag").to_owned();
    let stale = |tag: &str| append(tag).header("stream-seq", "4");
    assert_eq!(call(&server, stale(other)).status, 412);
    assert_eq!(call(&server, stale(&tail)).status, 409);
    assert_eq!(
        call(
            &server,
            ask("POST", "none")
                .content_type("a/b")
                .body("x")
                .header("if-match", other)
        )
        .status,
        404
    );
    let close = |tag: &str| {
        ask("POST", "s")
            .header("stream-closed", "true")
            .header("if-match", tag)
    };
    assert_eq!(call(&server, close(other)).status, 412);
    assert_eq!(call(&server, close(&tail)).status, 204);
    assert_eq!(call(&server, append(other)).status, 409);
    // A close without a body of a closed stream repeats the close. No tail is expected.
    assert_eq!(call(&server, close(other)).status, 204);
}

fn together(server: &Server, asks: &[Ask]) -> Vec<Response> {
    let raws: Vec<_> = asks.iter().map(Ask::raw).collect();
    let answers = start(server, &raws, |_| {});
    let response = |answer: crate::service::exchange::Answer| {
        let head = answer.head.unwrap();
        Response {
            status: head.status,
            headers: head.headers,
            body: answer.body,
            reset: false,
        }
    };
    answers.into_iter().map(response).collect()
}

#[test]
fn in_one_commit_only_the_first_writer_can_meet_the_tail() {
    let (server, offset) = created();
    let tag = quoted(&offset);
    let plain = ask("POST", "s").content_type("text/plain").body("y");
    let answers = together(
        &server,
        &[append(&tag), append(&tag), plain.clone(), append(&tag)],
    );
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [204, 412, 204, 412]);
    // A refused writer reads on from the tail that its answer names.
    assert_eq!(answers[1].offset(), answers[0].offset());
    assert_eq!(answers[3].offset(), answers[2].offset());
    let behind = together(&server, &[plain, append(answers[2].get("etag"))]);
    assert_eq!(behind[1].status, 412);
    assert_eq!(call(&server, ask("GET", "s")).text(), "abcxyy");
}

#[test]
fn the_tail_of_an_empty_stream_can_be_expected() {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    let created = call(&server, ask("PUT", "s").content_type("text/plain"));
    let first = append(&quoted(created.offset()));
    assert_eq!(call(&server, first.clone()).status, 204);
    assert_eq!(call(&server, first).status, 412);
}
