//! Live reads.

use super::script::Step;
use super::stream;
use crate::{Batch, Error, Follow, FollowOptions, Live, Start};

const BASE64: &str = "stream-sse-data-encoding: base64";

/// The page at the tail of a stream.
fn page(content_type: &str, body: &str) -> Step {
    let content_type = format!("content-type: {content_type}");
    let fields = [
        "stream-next-offset: 1",
        "stream-up-to-date: true",
        &content_type,
    ];
    Step::response("200 OK", &fields, body)
}

fn control(offset: u32, rest: &str) -> String {
    format!("event: control\ndata: {{\"streamNextOffset\":\"{offset}\"{rest}}}\n\n")
}

/// The data until the close.
async fn all(follow: &mut Follow) -> Vec<u8> {
    let mut data = Vec::new();
    while let Some(batch) = follow.next().await {
        data.extend_from_slice(&batch.unwrap().data);
    }
    data
}

#[tokio::test]
async fn a_data_event_counts_only_with_its_control_event() {
    let closed = control(3, ",\"streamClosed\":true,\"streamClosedReason\":\"done\"");
    let (stream, script) = stream([
        page("image/png", ""),
        Step::events(&[BASE64], &control(1, ",\"streamCursor\":\"7\"")),
        Step::events(&[BASE64], "event: data\ndata: YWI=\n\n"),
        Step::events(&[BASE64], &format!("event: data\ndata: YWI=\n\n{closed}")),
    ]);
    let mut follow = stream.follow(Start::Beginning, FollowOptions::default());
    let mut batches: Vec<Batch> = Vec::new();
    while let Some(batch) = follow.next().await {
        batches.push(batch.unwrap());
    }
    // The tail, then the data with the close.
    assert_eq!(batches.len(), 2);
    assert!(batches[0].is_empty() && batches[0].up_to_date);
    assert_eq!(batches[1].data, "ab");
    let reason = batches[1].closed.clone().unwrap().reason;
    assert_eq!(reason.as_deref(), Some("done"));
    let requests = script.requests();
    assert!(
        requests[1].starts_with("get /s?live=sse&offset=1 http"),
        "{}",
        requests[1]
    );
    assert!(
        requests[3].starts_with("get /s?cursor=7&live=sse&offset=1 http"),
        "{}",
        requests[3]
    );
}

#[tokio::test]
async fn text_that_events_may_have_changed_is_read_by_a_long_poll() {
    let fields = [
        "stream-next-offset: 9",
        "content-type: text/plain",
        "stream-closed: true",
    ];
    let (stream, script) = stream([
        page("text/plain", "x"),
        Step::events(
            &[],
            &format!(
                "event: data\ndata: y\n\n{}event: data\ndata: a\ndata:\n\n{}",
                control(2, ""),
                control(9, "")
            ),
        ),
        Step::response("200 OK", &fields, "a\r\n"),
    ]);
    let mut follow = stream.follow(Start::Beginning, FollowOptions::default());
    assert_eq!(all(&mut follow).await, b"xya\r\n");
    assert_eq!(follow.live(), Live::LongPoll);
    assert!(script.requests()[2].starts_with("get /s?live=long-poll&offset=2 http"));
}

#[tokio::test]
async fn a_proxy_that_holds_events_back_leads_to_long_polls() {
    let fields = ["stream-next-offset: 1", "stream-closed: true"];
    for held in [
        Step::Hang,
        Step::response("200 OK", &["content-type: text/html"], "hello"),
    ] {
        let end = Step::response("204 No Content", &fields, "");
        let (stream, _script) = stream([page("application/json", "[1]"), held, end]);
        let mut follow = stream.follow(Start::Beginning, FollowOptions::default());
        assert_eq!(all(&mut follow).await, b"[1]");
        assert_eq!(follow.live(), Live::LongPoll);
    }
}

#[tokio::test]
async fn three_responses_without_an_event_lead_to_long_polls() {
    let fields = ["stream-next-offset: 1", "stream-closed: true"];
    let cut = || Step::events(&[], ":\n\n");
    let end = Step::response("204 No Content", &fields, "");
    let (stream, script) = stream([
        page("application/json", "[]"),
        cut(),
        Step::cut(),
        cut(),
        end,
    ]);
    let mut follow = stream.follow(Start::Beginning, FollowOptions::default());
    assert_eq!(all(&mut follow).await, b"[]");
    assert_eq!(script.requests().len(), 5);
}

#[tokio::test]
async fn a_page_that_is_cut_is_read_again() {
    let whole = page("text/plain", "abc");
    let Step::Send(bytes) = whole.clone() else {
        unreachable!();
    };
    for length in 0..bytes.len() {
        let cut = Step::Send(bytes[..length].to_vec());
        let (stream, script) = stream([cut, whole.clone()]);
        let mut pages = stream.read(Start::Beginning);
        assert_eq!(
            pages.next().await.unwrap().unwrap().data,
            "abc",
            "cut at {length}"
        );
        assert!(pages.next().await.is_none());
        assert_eq!(script.requests().len(), 2);
    }
}

#[tokio::test]
async fn an_offset_that_is_gone_ends_the_read_with_the_place_to_go_on() {
    let gone = Step::response("410 Gone", &["stream-next-offset: 4"], "");
    let (stream, _script) = stream([page("application/json", "[1]"), gone]);
    let mut follow = stream.follow(Start::Beginning, FollowOptions::default());
    follow.next().await.unwrap().unwrap();
    let error = follow.next().await.unwrap().unwrap_err();
    assert!(matches!(error, Error::OffsetGone { .. }), "{error}");
    assert!(follow.next().await.is_none());
}
