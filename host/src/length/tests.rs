use super::{Classifier, Length, Ticket};
use crate::limits::{LONG_BODY, LONG_CALLS, LONG_JSON};
use http::Method;
use http::request::Parts;

const STREAM: &str = "/v1/stream/a";
const CLAIM: &str = "/v1/stream/__ds/subscriptions/s/claim";

fn classifier() -> Classifier {
    Classifier::new("/v1/stream")
}

fn typed(method: Method, target: &str, content_type: &str) -> Parts {
    let request = http::Request::builder().method(method).uri(target);
    let request = request.header("content-type", content_type).body(());
    request.expect("a request").into_parts().0
}

fn post(target: &str) -> Parts {
    typed(Method::POST, target, "application/json")
}

/// The hash of a path in these tests.
fn hash(parts: &Parts) -> u64 {
    parts.uri.path().len() as u64
}

fn classify(classifier: &Classifier, parts: &Parts, body: usize) -> (Length, Ticket) {
    let class = classifier.classify(parts, hash(parts), body);
    let from = classifier.long_from(parts, hash(parts));
    let is_long = class.length == Length::Long;
    assert_eq!(
        is_long,
        body >= from,
        "before and after the body: {parts:?}"
    );
    (class.length, class.ticket)
}

fn length(classifier: &Classifier, parts: &Parts, body: usize) -> Length {
    classify(classifier, parts, body).0
}

#[test]
fn a_large_body_makes_a_request_long_and_json_sooner_than_other_types() {
    for (content_type, long_from) in [
        ("application/json", LONG_JSON),
        ("Application/JSON; charset=utf-8", LONG_JSON),
        ("text/plain", LONG_BODY),
        ("", LONG_BODY),
    ] {
        for method in [Method::POST, Method::PUT] {
            let parts = typed(method, STREAM, content_type);
            let below = length(&classifier(), &parts, long_from - 1);
            let at = length(&classifier(), &parts, long_from);
            assert_eq!((below, at), (Length::Short, Length::Long), "{content_type}");
        }
    }
}

#[test]
fn small_requests_to_streams_are_short() {
    for method in ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"] {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        for target in [STREAM, "/v1/stream/__dsx/subscriptions/s", "/health", "/"] {
            let parts = typed(method.clone(), target, "application/json");
            assert_eq!(length(&classifier(), &parts, 100), Length::Short);
        }
    }
}

#[test]
fn the_creation_of_a_subscription_is_long_in_every_spelling_of_its_path() {
    for target in [
        "/v1/stream/__ds/subscriptions/s",
        "/v1/stream/%5f_d%73/subscriptions/s?x",
        "/v1/stream/__ds%2Fsubscriptions%2Fs",
    ] {
        let parts = typed(Method::PUT, target, "application/json");
        assert_eq!(length(&classifier(), &parts, 0), Length::Long, "{target}");
    }
}

#[test]
fn a_request_for_a_large_page_of_a_list_is_long() {
    for (target, expected) in [
        ("/v1/stream/__ds/streams", Length::Short),
        ("/v1/stream/__ds/streams?limit=100", Length::Short),
        ("/v1/stream/__ds/streams?prefix=a&limit=101", Length::Long),
        ("/v1/stream/__ds/streams?limit=1000", Length::Long),
        ("/v1/stream/__ds%2Fstreams?l%69mit=1000", Length::Long),
        ("/v1/stream/__ds/subscriptions?limit=1000", Length::Long),
        ("/v1/stream/__ds/streams?limit=1001", Length::Short),
        ("/v1/stream/__ds/streams/a?limit=1000", Length::Short),
        ("/v1/stream/streams?limit=1000", Length::Short),
    ] {
        let parts = typed(Method::GET, target, "");
        assert_eq!(length(&classifier(), &parts, 0), expected, "{target}");
    }
}

#[test]
fn calls_of_a_subscription_are_long_after_a_step_of_many_store_calls() {
    let classifier = classifier();
    let (first, ticket) = classify(&classifier, &post(CLAIM), 10);
    ticket.note(u64::from(LONG_CALLS) - 1);
    let (second, ticket) = classify(&classifier, &post(CLAIM), 10);
    ticket.note(4096);
    assert_eq!((first, second), (Length::Short, Length::Short));
    for target in [
        CLAIM,
        "/v1/stream/__ds/subscriptions/s",
        "/v1/stream/__ds/subscriptions/%73/ack",
    ] {
        let long = length(&classifier, &post(target), 10);
        assert_eq!(long, Length::Long, "{target}");
    }
    let other = post("/v1/stream/__ds/subscriptions/other/claim");
    assert_eq!(length(&classifier, &other, 10), Length::Short);
}

#[test]
fn writes_of_a_path_are_long_after_one_that_took_many_store_calls_and_its_reads_are_not() {
    let classifier = classifier();
    classify(&classifier, &post(STREAM), 10).1.note(4096);
    assert_eq!(length(&classifier, &post(STREAM), 10), Length::Long);
    let read = typed(Method::GET, STREAM, "");
    assert_eq!(length(&classifier, &read, 0), Length::Short);
    let other = post("/v1/stream/other");
    assert_eq!(length(&classifier, &other, 10), Length::Short);
}

#[test]
fn results_of_webhooks_and_background_work_are_long_after_one_that_took_many_store_calls() {
    let classifier = classifier();
    let (delivery, work) = (classifier.delivery("https://a.example/"), classifier.work());
    assert_eq!(
        (delivery.length, work.length),
        (Length::Short, Length::Short)
    );
    delivery.ticket.note(4096);
    work.ticket.note(4096);
    let again = classifier.delivery("https://a.example/").length;
    assert_eq!(
        (again, classifier.work().length),
        (Length::Long, Length::Long)
    );
    let other = classifier.delivery("https://b.example/").length;
    assert_eq!(other, Length::Short);
}

#[test]
fn a_subscription_stays_long_through_some_short_steps_and_is_short_after_many() {
    let classifier = classifier();
    classify(&classifier, &post(CLAIM), 10).1.note(4096);
    let mut long_steps = 0;
    while length(&classifier, &post(CLAIM), 10) == Length::Long {
        classify(&classifier, &post(CLAIM), 10).1.note(3);
        long_steps += 1;
    }
    assert!((10..100).contains(&long_steps), "{long_steps}");
}

#[test]
fn writes_of_a_stream_follow_its_long_write_until_that_is_over() {
    let classifier = classifier();
    let (_, long) = classify(&classifier, &post(STREAM), LONG_JSON);
    let (follows, follower) = classify(&classifier, &post(STREAM), 10);
    assert_eq!(follows, Length::Long);
    let read = typed(Method::GET, STREAM, "");
    assert_eq!(length(&classifier, &read, 0), Length::Short);
    let other = post("/v1/stream/other");
    assert_eq!(length(&classifier, &other, 10), Length::Short);
    // The follower is still in progress.
    drop(long);
    assert_eq!(length(&classifier, &post(STREAM), 10), Length::Short);
    drop(follower);
}
