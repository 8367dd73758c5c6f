use super::driver::Driver;
use super::lanes::Factories;
use crate::answers::{OwnAnswers, ResponseBody};
use crate::budget::Pool;
use crate::meters::WebhookMeters;
use crate::outbound::Outbound;
use crate::store::{MemoryStore, Store};
use crate::worker::fake::{Script, request};
use bytes::Bytes;
use durable_streams_edge::limits::Config;
use http::{Method, Response, StatusCode};
use http_body_util::BodyExt;
use metrics::Histogram;
use std::sync::Arc;
use std::time::Duration;

struct Setup {
    script: Arc<Script>,
    driver: Arc<Driver>,
}

fn setup() -> Setup {
    let script = Arc::new(Script::default());
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let factories = Factories {
        short: (0..2).map(|_| script.factory(&store)).collect(),
        long: vec![script.factory(&store)],
    };
    let outbound = Outbound::new(false, WebhookMeters::none());
    let own = OwnAnswers::new(Config::default(), false);
    let driver = Driver::new(
        &store,
        factories,
        &outbound,
        &own,
        &Pool::new(1 << 20),
        &Histogram::noop(),
    );
    Setup { script, driver }
}

impl Setup {
    async fn send(&self, method: Method, target: &str, body: &str) -> Response<ResponseBody> {
        let request = request(method, target, body);
        self.driver.handle(request, None).await.expect("a response")
    }

    async fn get(&self, target: &str) -> Response<ResponseBody> {
        self.send(Method::GET, target, "").await
    }

    async fn append(&self, target: &str, body: &str) {
        let response = self.send(Method::POST, target, body).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
    }

    /// Waits until no reader waits for any key.
    async fn quiet(&self) {
        while self.driver.waited_keys() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

async fn next(response: &mut Response<ResponseBody>) -> Option<Bytes> {
    let frame = response.body_mut().frame().await?;
    frame.expect("no reset").into_data().ok()
}

async fn all(response: Response<ResponseBody>) -> Bytes {
    let body = response.into_body().collect().await;
    body.expect("no reset").to_bytes()
}

async fn code(response: Response<ResponseBody>) -> String {
    let document: serde_json::Value =
        serde_json::from_slice(&all(response).await).expect("a document");
    document["code"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn an_exchange_that_is_over_at_once_has_a_body_of_known_length() {
    let setup = setup();
    setup.append("/a", "text").await;
    let response = setup.get("/a").await;
    let hint = http_body::Body::size_hint(response.body());
    assert_eq!(hint.exact(), Some(4));
    assert_eq!(all(response).await, "text");
}

/// The host gave the event stream of a closed stream a length, since all of its bytes were there.
#[tokio::test]
async fn a_complete_body_without_a_length_from_the_component_has_none() {
    let setup = setup();
    setup.append("/a", "text").await;
    let response = setup.get("/a?events").await;
    let hint = http_body::Body::size_hint(response.body());
    assert_eq!(hint.exact(), None);
    assert_eq!(all(response).await, "text");
}

#[tokio::test]
async fn many_readers_of_one_stream_cost_one_step_a_change() {
    let setup = setup();
    let mut readers = Vec::new();
    for _ in 0..1000 {
        readers.push(setup.get("/a?follow").await);
    }
    for body in ["one", "two"] {
        setup.append("/a", body).await;
        for reader in &mut readers {
            assert_eq!(next(reader).await.as_deref(), Some(body.as_bytes()));
        }
    }
    assert_eq!(setup.script.resumes("changed"), 2);
}

#[tokio::test]
async fn readers_that_left_are_forgotten_at_once() {
    let setup = setup();
    let mut readers = Vec::new();
    for path in ["/a?follow", "/b?follow", "/a?follow"] {
        readers.push(setup.get(path).await);
    }
    assert_eq!(setup.driver.waited_keys(), 2);
    drop(readers.remove(1));
    drop(readers.remove(1));
    setup.append("/a", "x").await;
    assert_eq!(next(&mut readers[0]).await.as_deref(), Some(&b"x"[..]));
    drop(readers);
    setup.quiet().await;
}

#[tokio::test]
async fn a_long_poll_that_is_given_up_is_forgotten() {
    let setup = setup();
    let poll = setup
        .driver
        .handle(request(Method::GET, "/a?poll", ""), None);
    let left = tokio::time::timeout(Duration::from_millis(1), poll).await;
    assert!(left.is_err(), "there was nothing to answer");
    setup.quiet().await;
}

#[tokio::test]
async fn a_long_poll_gets_the_held_fields_with_its_late_head() {
    let setup = setup();
    let (response, ()) = tokio::join!(setup.get("/a?poll"), setup.append("/a", "late"));
    assert_eq!(response.headers()["vary"], "origin");
    assert_eq!(all(response).await, "late");
}

#[tokio::test]
async fn a_wait_that_is_over_is_resumed_with_timeout() {
    let setup = setup();
    *setup.script.max_wait.lock().expect("no panic") = Some(Duration::from_millis(2));
    let response = setup.get("/a?poll").await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    let mut follower = setup.get("/a?follow").await;
    for _ in 0..2 {
        assert_eq!(next(&mut follower).await.as_deref(), Some(&b":"[..]));
    }
    assert_eq!(setup.script.resumes("timeout"), 3);
}

#[tokio::test]
async fn waits_that_are_over_together_cost_one_step() {
    let setup = setup();
    *setup.script.max_wait.lock().expect("no panic") = Some(Duration::from_millis(50));
    let mut readers = Vec::new();
    for _ in 0..100 {
        readers.push(setup.get("/a?follow").await);
    }
    for reader in &mut readers {
        assert_eq!(next(reader).await.as_deref(), Some(&b":"[..]));
    }
    let steps = setup.script.resumes("timeout");
    assert!(steps < 50, "{steps} steps");
}

#[tokio::test]
async fn a_connection_that_is_old_enough_is_ended_by_expired() {
    let setup = setup();
    *setup.script.max_age.lock().expect("no panic") = Some(Duration::from_millis(2));
    let response = setup.get("/a?follow").await;
    assert_eq!(all(response).await, "");
    assert_eq!(setup.script.resumes("expired"), 1);
    setup.quiet().await;
}

#[tokio::test]
async fn an_exchange_that_always_has_more_data_ends_at_its_age() {
    let setup = setup();
    setup.append("/a", "abc").await;
    *setup.script.max_age.lock().expect("no panic") = Some(Duration::ZERO);
    all(setup.get("/a?chunks").await).await;
    assert_eq!(setup.script.resumes("ready"), 0);
    assert!(setup.script.resumes("expired") > 0);
}

#[tokio::test]
async fn the_next_step_waits_until_the_client_took_the_sent_bytes() {
    let setup = setup();
    setup.append("/a", "abc").await;
    let mut response = setup.get("/a?chunks").await;
    assert_eq!(setup.script.resumes("ready"), 0);
    for (steps, chunk) in ["a", "b", "c"].into_iter().enumerate() {
        assert_eq!(next(&mut response).await.as_deref(), Some(chunk.as_bytes()));
        assert_eq!(setup.script.resumes("ready"), steps + 1);
    }
    assert_eq!(next(&mut response).await, None);
}

#[tokio::test]
async fn a_slow_reader_is_ended_after_its_last_complete_event() {
    let setup = setup();
    let slow = setup.get("/a?follow").await;
    let mut quick = setup.get("/a?follow").await;
    let event = "x".repeat(super::reader::MAX_UNSENT / 4);
    for _ in 0..8 {
        setup.append("/a", &event).await;
        assert_eq!(next(&mut quick).await.as_deref(), Some(event.as_bytes()));
    }
    // The fifth event exceeded the limit, so it was the last one.
    assert_eq!(all(slow).await.len(), event.len() * 5);
}

#[tokio::test]
async fn draining_ends_waiting_readers_and_those_that_join() {
    let setup = setup();
    let before = setup.get("/a?follow").await;
    setup.driver.drain();
    assert_eq!(all(before).await, "");
    assert_eq!(all(setup.get("/b?follow").await).await, "");
    let poll = setup.get("/b?poll").await;
    assert_eq!(poll.status(), StatusCode::NO_CONTENT);
    assert_eq!(setup.script.resumes("draining"), 3);
    setup.append("/a", "appends in flight finish").await;
}

#[tokio::test]
async fn a_broken_instance_reports_whether_requests_may_have_been_applied() {
    let setup = setup();
    let write = setup.send(Method::POST, "/break", "x").await;
    assert_eq!(write.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(!write.headers().contains_key("retry-after"));
    assert_eq!(code(write).await, "OUTCOME_UNKNOWN");
    let read = setup.get("/break").await;
    assert_eq!(read.headers()["retry-after"], "1");
    assert_eq!(read.headers()["content-type"], "application/problem+json");
    assert_eq!(code(read).await, "UNAVAILABLE");
    *setup.script.instances.lock().expect("no panic") = Some(0);
    let none = setup.send(Method::POST, "/a", "x").await;
    assert_eq!(code(none).await, "UNAVAILABLE");
}

#[tokio::test]
async fn readers_outlive_the_instance_they_were_started_on() {
    let setup = setup();
    let mut reader = setup.get("/brittle?follow").await;
    setup.append("/brittle", "x").await;
    assert_eq!(next(&mut reader).await.as_deref(), Some(&b"x"[..]));
    assert_eq!(setup.script.log().instances, 2);
}

/// The host reset these readers' connections, though a reader outside a group got an answer.
#[tokio::test]
async fn readers_in_a_group_whose_step_fails_are_asked_to_retry() {
    let setup = setup();
    let readers = async { tokio::join!(setup.get("/brittle?poll"), setup.get("/brittle?poll")) };
    let fail = async {
        while setup.script.log().starts.len() < 2 || setup.driver.waited_keys() == 0 {
            tokio::task::yield_now().await;
        }
        *setup.script.instances.lock().expect("no panic") = Some(0);
        setup.append("/brittle", "x").await;
    };
    let ((first, second), ()) = tokio::join!(readers, fail);
    for answer in [first, second] {
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers()["retry-after"], "1");
        assert_eq!(code(answer).await, "UNAVAILABLE");
    }
    setup.quiet().await;
}

/// The head already says 200, so only a reset is left.
#[tokio::test]
async fn a_follower_whose_step_fails_is_reset() {
    let setup = setup();
    let mut reader = setup.get("/brittle?follow").await;
    *setup.script.instances.lock().expect("no panic") = Some(0);
    setup.append("/brittle", "x").await;
    let frame = reader.body_mut().frame().await.expect("no clean end");
    assert!(frame.is_err());
}

#[tokio::test]
async fn a_reset_before_the_head_is_no_response() {
    let setup = setup();
    let aborted = setup
        .driver
        .handle(request(Method::GET, "/a?reset", ""), None);
    assert!(aborted.await.is_err());
}

/// Readers of several kinds race with writers on other threads; each must see every byte once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_readers_see_every_byte_once() {
    const WRITERS: usize = 4;
    const APPENDS: usize = 200;
    let setup = Arc::new(setup());
    let follower = |index: usize| {
        let setup = Arc::clone(&setup);
        async move {
            // Some readers come late and join groups in progress.
            for _ in 0..index {
                tokio::task::yield_now().await;
            }
            let mut response = setup.get("/race?follow").await;
            let mut seen = 0;
            while seen < WRITERS * APPENDS {
                seen += next(&mut response).await.expect("no end").len();
            }
            assert_eq!(seen, WRITERS * APPENDS);
        }
    };
    let followers: Vec<_> = (0..50).map(|index| tokio::spawn(follower(index))).collect();
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let setup = Arc::clone(&setup);
            tokio::spawn(async move {
                for append in 0..APPENDS {
                    setup.append("/race", "x").await;
                    if append % 8 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
            })
        })
        .collect();
    for task in writers.into_iter().chain(followers) {
        task.await.expect("the task ends");
    }
    setup.quiet().await;
}
