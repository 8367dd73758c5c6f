//! A stop button: a viewer ends the stream of a writer, through any host.

use crate::common::server::{new_redis, store};
use crate::common::sse::Events;
use crate::common::{Response, ServerUnderTest, Stream, shared};

const TOKENS: &str = r#"[
    {"token":"the-writer-of-the-chat","scope":"read write"},
    {"token":"a-viewer-with-a-button","scope":"read close","prefix":"test"}
]"#;
const WRITER: &str = "Bearer the-writer-of-the-chat";
const VIEWER: &str = "Bearer a-viewer-with-a-button";

fn stop(stream: &Stream) -> crate::common::Request {
    stream
        .request("POST")
        .header("Stream-Closed", "true")
        .header("Stream-Closed-Reason", "stopped")
        .body("")
}

fn is_stopped(answer: Response) -> Response {
    answer
        .with("stream-closed", "true")
        .with("stream-closed-reason", "stopped")
}

#[test]
fn a_stop_reaches_the_readers_and_the_next_append() {
    let stream = shared().stream("text/plain");
    let at = stream.append("token ");
    let poll = stream.wait_at(&at);
    let mut events: Events = stream.sse("now");
    events.event();
    is_stopped(stop(&stream).send().expect(204));
    is_stopped(poll.finish().expect(204));
    let last = events.event().control();
    assert_eq!(
        (last.closed, last.reason.as_deref()),
        (true, Some("stopped"))
    );
    events.expect_end();
    is_stopped(stream.post("late").send().problem(409, "STREAM_CLOSED"));
    is_stopped(stream.head().send().expect(200));
    // The button may be pressed twice, and a later close changes no reason.
    is_stopped(stop(&stream).send().expect(204));
    is_stopped(stream.close());
}

#[test]
fn a_viewers_token_stops_a_stream_and_does_nothing_else() {
    let Some(server) = ServerUnderTest::start(&[("auth_tokens", TOKENS)]) else {
        return;
    };
    let stream = server.name("text/plain");
    let put = stream.put().header("Authorization", WRITER);
    put.header("Content-Type", "text/plain").send().expect(201);
    let as_viewer =
        |request: crate::common::Request| request.header("Authorization", VIEWER).send();
    for refused in [
        stream.post("x"),
        stream.delete(),
        stream.request("POST").header("Stream-Lease", "5").body(""),
        stream.post("x").header("Stream-Closed", "true"),
        stop(&stream).producer("p", 0, 0),
        stop(&stream).header("Stream-Seq", "1"),
        stop(&stream).header("If-Match", "\"x\""),
        server.name("text/plain").put(),
    ] {
        as_viewer(refused).problem(403, "INSUFFICIENT_SCOPE");
    }
    as_viewer(stream.head())
        .expect(200)
        .without("stream-closed");
    is_stopped(as_viewer(stop(&stream)).expect(204));
    let late = stream.post("late").header("Authorization", WRITER);
    is_stopped(late.send().problem(409, "STREAM_CLOSED"));
}

#[test]
fn a_stop_through_one_host_reaches_a_writer_on_another() {
    if store() != "redis" {
        return;
    }
    let redis = new_redis(&[]);
    let hosts = [0, 1].map(|_| ServerUnderTest::start_over(&redis.url(), &[]));
    let here = hosts[0].stream("text/plain");
    let at = here.append("token ");
    let there = Stream {
        address: hosts[1].address,
        ..here.clone()
    };
    let poll = here.wait_at(&at);
    is_stopped(stop(&there).send().expect(204));
    is_stopped(here.post("late").send().problem(409, "STREAM_CLOSED"));
    is_stopped(poll.finish().expect(204));
}
