//! Tests of the changes that responses and webhook deliveries wait for.

use super::driver::Driver;
use super::lanes::Factories;
use crate::answers::{OwnAnswers, ResponseBody};
use crate::budget::Pool;
use crate::exchange::DeliveryResult;
use crate::meters::WebhookMeters;
use crate::outbound::Outbound;
use crate::store::held::HeldStore;
use crate::store::{Lost, Store};
use crate::worker::fake::{Script, request};
use bytes::Bytes;
use durable_streams_edge::limits::Config;
use futures::FutureExt;
use http::{Method, Response, StatusCode};
use http_body_util::BodyExt;
use metrics::Histogram;
use std::sync::Arc;

struct Setup {
    script: Arc<Script>,
    store: Arc<HeldStore>,
    driver: Arc<Driver>,
}

fn setup() -> Setup {
    let script = Arc::new(Script::default());
    let store = Arc::new(HeldStore::default());
    let seen: Arc<dyn Store> = Arc::clone(&store) as _;
    let outbound = Outbound::new(true, WebhookMeters::none());
    let own = OwnAnswers::new(Config::default(), false);
    let driver = Driver::new(
        &seen,
        Factories {
            short: vec![script.factory(&seen)],
            long: vec![script.factory(&seen)],
        },
        &outbound,
        &own,
        &Pool::new(1 << 20),
        &Histogram::noop(),
    );
    Setup {
        script,
        store,
        driver,
    }
}

type Answering = tokio::task::JoinHandle<Response<ResponseBody>>;

impl Setup {
    /// Sends a request and waits until its step has run; `starts` counts all steps so far.
    async fn bring(&self, method: Method, target: &str, body: &str, starts: usize) -> Answering {
        let request = request(method, target, body);
        let driver = Arc::clone(&self.driver);
        let answering =
            tokio::spawn(async move { driver.handle(request, None).await.expect("a response") });
        while self.script.log().starts.len() < starts {
            tokio::task::yield_now().await;
        }
        yield_often().await;
        answering
    }
}

/// Lets every runnable task proceed.
async fn yield_often() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

async fn status(answering: Answering) -> StatusCode {
    answering.await.expect("no panic").status()
}

/// Code of the problem in the answer, and whether the answer invites a retry.
async fn problem(answering: Answering) -> (String, bool) {
    let response = answering.await.expect("no panic");
    let retried = response.headers().contains_key("retry-after");
    let body = response.into_body().collect().await.expect("no reset");
    let body: serde_json::Value = serde_json::from_slice(&body.to_bytes()).expect("JSON");
    let code = body["code"].as_str().expect("a code");
    (code.to_owned(), retried)
}

async fn next(body: &mut ResponseBody) -> Bytes {
    let frame = body.frame().await.expect("not the end");
    frame.expect("no reset").into_data().expect("data")
}

#[tokio::test]
async fn an_append_is_answered_when_it_has_settled_and_not_before() {
    let setup = setup();
    let append = setup.bring(Method::POST, "/a", "text", 1).await;
    assert!(!append.is_finished(), "it is not durable");
    setup.store.confirm();
    assert_eq!(status(append).await, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_read_is_sent_when_it_has_settled_and_not_before() {
    let setup = setup();
    let append = setup.bring(Method::POST, "/a", "text", 1).await;
    let read = setup.bring(Method::GET, "/a", "", 2).await;
    let other = setup.bring(Method::GET, "/b", "", 3).await;
    assert_eq!(status(other).await, StatusCode::OK, "it depends on nothing");
    assert!(
        !read.is_finished(),
        "it was sent before its data was durable"
    );
    setup.store.confirm();
    assert_eq!(status(read).await, StatusCode::OK);
    assert_eq!(status(append).await, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_follower_gets_an_append_when_it_has_settled_and_never_one_that_was_lost() {
    let setup = setup();
    let follow = setup.bring(Method::GET, "/a?follow", "", 1).await;
    let mut follower = follow.await.expect("no panic").into_body();
    let append = setup.bring(Method::POST, "/a", "lost", 2).await;
    assert!(next(&mut follower).now_or_never().is_none(), "not durable");
    setup.store.lose("/a", "", Lost::NoSpace);
    assert_eq!(status(append).await, StatusCode::INSUFFICIENT_STORAGE);
    yield_often().await;
    assert!(next(&mut follower).now_or_never().is_none(), "it is gone");
    let append = setup.bring(Method::POST, "/a", "kept", 3).await;
    setup.store.confirm();
    assert_eq!(status(append).await, StatusCode::NO_CONTENT);
    assert_eq!(next(&mut follower).await, "kept");
}

#[tokio::test]
async fn a_lost_append_gets_the_code_of_its_possible_outcome() {
    let cases = [
        (Lost::NoSpace, "INSUFFICIENT_STORAGE", false),
        (Lost::NotWritten, "UNAVAILABLE", true),
        (Lost::NotConfirmed, "OUTCOME_UNKNOWN", false),
    ];
    for (lost, code, retry) in cases {
        let setup = setup();
        let append = setup.bring(Method::POST, "/a", "text", 1).await;
        setup.store.lose("/a", "", lost);
        assert_eq!(problem(append).await, (code.to_owned(), retry));
    }
}

/// The disk filled up before a read noted its access, and the read became a 503, though its bytes
/// were available.
#[tokio::test]
async fn a_read_whose_step_was_lost_is_retried_once() {
    for (method, lost) in [
        (Method::GET, Lost::NoSpace),
        (Method::HEAD, Lost::NotWritten),
        (Method::GET, Lost::NotConfirmed),
    ] {
        let setup = setup();
        let append = setup.bring(Method::POST, "/a", "text", 1).await;
        setup.store.confirm();
        assert_eq!(status(append).await, StatusCode::NO_CONTENT);
        let read = setup.bring(method, "/a?touch", "", 2).await;
        assert!(!read.is_finished(), "that it was there is not durable");
        setup.store.lose("/touched", "", lost);
        yield_often().await;
        assert!(!read.is_finished(), "nor is it the second time");
        setup.store.confirm();
        assert_eq!(status(read).await, StatusCode::OK, "{lost:?}");
        assert_eq!(setup.script.log().starts.len(), 3);
    }
}

#[tokio::test]
async fn a_read_whose_step_was_lost_twice_is_unavailable() {
    let setup = setup();
    let read = setup.bring(Method::GET, "/a?touch", "", 1).await;
    for _ in 0..2 {
        setup.store.lose("/touched", "", Lost::NoSpace);
        yield_often().await;
    }
    assert_eq!(problem(read).await, ("UNAVAILABLE".to_owned(), true));
    assert_eq!(setup.script.log().starts.len(), 2);
}

/// A read that saw another request's change runs again without it if the change is lost.
#[tokio::test]
async fn a_read_of_a_lost_value_reads_the_current_value_instead() {
    let setup = setup();
    let append = setup.bring(Method::POST, "/a", "lost", 1).await;
    let read = setup.bring(Method::GET, "/a", "", 2).await;
    setup.store.lose("/a", "kept", Lost::NotWritten);
    assert_eq!(status(append).await, StatusCode::SERVICE_UNAVAILABLE);
    let response = read.await.expect("no panic");
    let body = response.into_body().collect().await.expect("no reset");
    assert_eq!(body.to_bytes(), "kept");
}

#[tokio::test]
async fn an_instance_that_may_have_seen_a_lost_change_is_replaced() {
    let setup = setup();
    let append = setup.bring(Method::POST, "/a", "text", 1).await;
    setup.store.lose("/a", "", Lost::NotWritten);
    assert_eq!(status(append).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(setup.script.log().instances, 1);
    let append = setup.bring(Method::POST, "/a", "text", 2).await;
    setup.store.confirm();
    assert_eq!(status(append).await, StatusCode::NO_CONTENT);
    assert_eq!(setup.script.log().instances, 2);
}

#[tokio::test]
async fn an_attempt_that_read_a_lost_change_is_not_started_again() {
    let setup = setup();
    // Another writer has written the key that the attempt read, and that write is not durable.
    setup
        .store
        .set("/again", Bytes::from_static(b"x"))
        .expect("memory takes it");
    let append = setup.bring(Method::POST, "/again", "text", 1).await;
    assert!(!append.is_finished());
    setup.store.lose("/again", "", Lost::NotConfirmed);
    assert_eq!(status(append).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        setup.script.log().starts.len(),
        1,
        "it was not started again"
    );
}

/// The first step may have written durably. The answers were a 507 and a 503, and both claimed that
/// nothing was applied.
#[tokio::test]
async fn a_write_whose_later_step_is_lost_has_an_unknown_outcome() {
    for lost in [Lost::NoSpace, Lost::NotWritten] {
        let setup = setup();
        let write = setup.bring(Method::PUT, "/again", "text", 2).await;
        assert!(!write.is_finished(), "it is not durable");
        setup.store.lose("/again", "", lost);
        let unknown = ("OUTCOME_UNKNOWN".to_owned(), false);
        assert_eq!(problem(write).await, unknown, "{lost:?}");
        assert_eq!(setup.script.log().starts.len(), 2);
    }
}

#[tokio::test]
async fn a_write_whose_later_step_has_no_instance_has_an_unknown_outcome() {
    let setup = setup();
    *setup.script.instances.lock().expect("no test panicked") = Some(1);
    let others = setup.store.set("/again", Bytes::from_static(b"x"));
    others.expect("memory takes it");
    let write = setup.bring(Method::PUT, "/again", "text", 1).await;
    assert!(
        !write.is_finished(),
        "its first step read data that is not durable"
    );
    setup.store.confirm();
    // Before its second step, which needs an instance without knowledge of this request.
    setup.store.lose("/other", "", Lost::NoSpace);
    let unknown = ("OUTCOME_UNKNOWN".to_owned(), false);
    assert_eq!(problem(write).await, unknown);
    assert_eq!(setup.script.log().starts.len(), 1, "there is no other one");
}

#[tokio::test]
async fn a_step_that_would_wait_for_the_disk_is_done_again_when_the_value_is_there() {
    let setup = setup();
    let append = setup.bring(Method::POST, "/a", "text", 1).await;
    setup.store.confirm();
    assert_eq!(status(append).await, StatusCode::NO_CONTENT);
    for (method, body) in [(Method::GET, ""), (Method::POST, " more")] {
        setup.store.evict("/a");
        let before = setup.script.log().starts.len();
        let answering = setup.bring(method, "/a", body, before + 2).await;
        setup.store.confirm();
        assert!(status(answering).await.is_success());
        assert_eq!(setup.script.log().starts.len(), before + 2);
    }
    let text = setup.store.get("/a").expect("memory answers").value;
    assert_eq!(text.as_deref(), Some(&b"text more"[..]), "applied once");
}

/// Listens at the delivery URL.
async fn hook(setup: &Setup) -> tokio::net::TcpListener {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let mut hook = setup.script.hook.lock().expect("no test panicked");
    *hook = format!("http://{address}/hook");
    drop(hook);
    listener
}

/// Answers one delivery. Returns the delivery's text.
async fn answer_one(listener: &tokio::net::TcpListener) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (mut stream, _) = listener.accept().await.expect("a connection");
    let mut text = Vec::new();
    while !text.ends_with(b"told") {
        let read = stream.read_buf(&mut text).await.expect("no reset");
        assert!(read > 0, "it ended early");
    }
    let answer = b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\nok";
    stream.write_all(answer).await.expect("no reset");
    String::from_utf8(text).expect("text")
}

#[tokio::test]
async fn a_delivery_leaves_when_its_step_has_settled_and_not_before() {
    let setup = setup();
    let listener = hook(&setup).await;
    let append = setup.bring(Method::POST, "/tell/a", "told", 1).await;
    assert!(listener.accept().now_or_never().is_none(), "not durable");
    setup.store.confirm();
    assert_eq!(status(append).await, StatusCode::NO_CONTENT);
    let delivery = answer_one(&listener).await;
    assert!(
        delivery.starts_with("POST /hook HTTP/1.1\r\n"),
        "{delivery}"
    );
    while setup.script.log().outcomes.is_empty() {
        tokio::task::yield_now().await;
    }
    let outcome = setup.script.log().outcomes[0].clone();
    assert_eq!(outcome, DeliveryResult::Answered(202, Bytes::from("ok")));
}

#[tokio::test]
async fn a_delivery_of_a_step_that_was_lost_never_leaves() {
    let setup = setup();
    let listener = hook(&setup).await;
    let append = setup.bring(Method::POST, "/tell/a", "lost", 1).await;
    setup.store.lose("/tell/a", "", Lost::NoSpace);
    assert_eq!(status(append).await, StatusCode::INSUFFICIENT_STORAGE);
    let append = setup.bring(Method::POST, "/tell/a", "told", 2).await;
    setup.store.confirm();
    assert_eq!(status(append).await, StatusCode::NO_CONTENT);
    // The first delivery to arrive is the second one.
    assert!(answer_one(&listener).await.ends_with("told"));
}
