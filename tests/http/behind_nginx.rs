//! Event streams through a real nginx with default settings, which make it buffer responses.

use crate::common::server::{shared, store, via};
use crate::common::sse::Events;
use crate::common::{Request, Stream};
use std::path::Path;
use test_support::{NginxServer, nginx_program};

/// Returns an nginx in front of the shared server, in one combination of store and interface only:
/// nginx does not depend on them. Without an installed nginx the tests are skipped, but fail in CI.
fn nginx() -> Option<NginxServer> {
    if (store().as_str(), via().as_str()) != ("memory", "exchange") {
        return None;
    }
    let program = match nginx_program() {
        Ok(program) => program,
        Err(why) => {
            let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
            assert!(!is_ci, "{why}");
            println!("skipped: behind nginx: {why}");
            return None;
        }
    };
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let server = NginxServer::start(&program, parent, shared().address);
    Some(server.expect("nginx starts"))
}

/// Returns the stream as reached through nginx.
fn through(nginx: &NginxServer, stream: &Stream) -> Stream {
    Stream {
        address: nginx.address(),
        ..stream.clone()
    }
}

#[test]
fn a_reader_behind_nginx_gets_each_event_when_it_is_appended() {
    let Some(nginx) = nginx() else { return };
    let stream = shared().stream("text/plain");
    stream.append("before");
    let reader = through(&nginx, &stream);
    let query = format!("{}?offset=-1&live=sse", reader.path);
    // An nginx that buffers sends nothing, not even the head, before the response ends.
    let mut events = Events::of(Request::new(reader.address, "GET", &query).open());
    let (data, control) = events.until_up_to_date();
    assert_eq!((data.concat().as_str(), control.closed), ("before", false));
    for number in 0..5 {
        let text = format!("event {number}");
        let tail = stream.append(&text);
        let (data, control) = events.pair();
        assert_eq!((data, control.next_offset), (text, tail));
    }
    stream.close();
    assert!(events.event().control().closed);
    events.expect_end();
}

/// Appends through nginx reach readers through nginx.
#[test]
fn appends_and_pages_pass_through_nginx_as_they_are() {
    let Some(nginx) = nginx() else { return };
    let stream = through(&nginx, &shared().name("application/octet-stream"));
    stream.create();
    let content = vec![7; 300_000];
    stream.append(&content);
    assert!(stream.read_all("-1") == content);
}
