//! Traces: their spans, their propagation, and their export.

use crate::common::collector::{Collector, Span, tree};
use crate::common::receiver::Receiver;
use crate::common::server::{swaps_are_sure, via};
use crate::common::{Request, ServerUnderTest, Stream, eventually};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::{Value, json};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const OTHER: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "00f067aa0ba902b7";

fn start(
    collector: &Collector,
    variables: &[(&str, &str)],
    more: &[(&str, &str)],
) -> ServerUnderTest {
    let environment = collector.environment();
    let environment: Vec<_> = environment
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .chain(more.iter().copied())
        .collect();
    ServerUnderTest::start_with_environment(variables, &environment)
}

/// An append within a trace of its client.
fn traced(stream: &Stream, trace: &str, flags: &str) -> Request {
    let parent = format!("00-{trace}-{CALLER}-{flags}");
    stream.post("x").header("traceparent", parent)
}

fn is_append(span: &Span, trace: &str) -> bool {
    span.name == "append" && span.trace == trace
}

fn child<'a>(spans: &'a [Span], parent: &Span, name: &str) -> &'a Span {
    let mut children = spans.iter().filter(|span| span.parent == parent.id);
    let found = children.find(|span| span.name == name);
    found.unwrap_or_else(|| panic!("no {name} below {parent:?}: {spans:?}"))
}

#[test]
fn an_append_continues_the_trace_of_its_client_down_to_the_store() {
    let mut collector = Collector::start();
    let server = start(&collector, &[], &[]);
    let stream = server.stream("text/plain");
    traced(&stream, TRACE, "01").send().expect(204);
    let spans = collector.until(|span| is_append(span, TRACE)).to_vec();
    let request = spans
        .iter()
        .find(|span| is_append(span, TRACE))
        .expect("it came");
    assert_eq!((request.parent.as_str(), request.kind), (CALLER, 2));
    assert_eq!(request.attributes["http.request.method"], "POST");
    assert_eq!(request.attributes["http.response.status_code"], "204");
    assert_eq!(request.attributes["url.path"], stream.path);
    let of_trace: Vec<_> = spans
        .iter()
        .filter(|span| span.trace == TRACE)
        .cloned()
        .collect();
    println!("{}", tree(&of_trace, CALLER, 0));
    if via() == "exchange" {
        let step = child(&spans, request, "start");
        let swap = child(&spans, step, "swap");
        if swaps_are_sure() {
            assert_eq!(swap.attributes["ds.result"], "ok");
        }
        for (inner, outer) in [(step, request), (swap, step)] {
            assert!(inner.times[0] >= outer.times[0], "{inner:?} {outer:?}");
            assert!(inner.times[1] <= outer.times[1], "{inner:?} {outer:?}");
        }
    }
}

#[test]
fn a_request_that_its_client_does_not_sample_is_not_exported() {
    let mut collector = Collector::start();
    let server = start(&collector, &[], &[]);
    let stream = server.stream("text/plain");
    traced(&stream, OTHER, "00").send().expect(204);
    traced(&stream, TRACE, "01").send().expect(204);
    let spans = collector.until(|span| is_append(span, TRACE));
    assert!(spans.iter().all(|span| span.trace != OTHER), "{spans:?}");
}

#[test]
fn an_invalid_traceparent_begins_a_trace_and_the_sampler_decides() {
    let mut collector = Collector::start();
    let server = start(
        &collector,
        &[],
        &[("OTEL_TRACES_SAMPLER", "parentbased_always_off")],
    );
    let stream = server.stream("text/plain");
    let invalid = stream.post("x").header("traceparent", "00-0-0-01");
    invalid.send().expect(204);
    traced(&stream, TRACE, "01").send().expect(204);
    let spans = collector.until(|span| is_append(span, TRACE));
    assert!(spans.iter().all(|span| span.trace == TRACE), "{spans:?}");
}

#[test]
fn a_webhook_carries_the_trace_of_the_append_that_caused_it() {
    if via() != "exchange" {
        println!("elsewhere: the host does not know which request an instance works for");
        return;
    }
    let mut collector = Collector::start();
    let receiver = Receiver::start(r#"{"done": true}"#);
    let server = start(&collector, &[("webhook_allow_localhost", "true")], &[]);
    let stream = server.stream("text/plain");
    let body = json!({
        "type": "webhook", "pattern": "test/*", "webhook": {"url": receiver.url()},
        "lease_ttl_ms": 60_000,
    });
    let request = server.request("PUT", "/v1/stream/__ds/subscriptions/s");
    let request = request.header("content-type", "application/json");
    request.body(body.to_string()).send().expect_success();
    // Until its creation is settled, the subscription may notice an append by itself, in the trace of
    // the creation. Each append has one webhook, so a later append has a webhook of its own trace.
    let received = (0..50)
        .find_map(|_| {
            let append = traced(&stream, TRACE, "01").header("tracestate", "vendor=1");
            append.send().expect(204);
            let received = receiver.next();
            let parent = received.header("traceparent");
            parent
                .starts_with(&format!("00-{TRACE}-"))
                .then_some(received)
        })
        .expect("one of 50 appends is followed by a webhook of its trace");
    assert_eq!(received.header("tracestate"), "vendor=1");
    let parent = received.header("traceparent");
    let is_it = |span: &Span| parent == format!("00-{TRACE}-{}-01", span.id);
    let spans = collector.until(is_it);
    let webhook = spans.iter().find(|span| is_it(span)).expect("it came");
    assert_eq!(webhook.name, "webhook");
    assert_eq!(webhook.attributes["http.response.status_code"], "200");
    let cause = webhook.parent.clone();
    let spans = collector.until(|span| span.id == cause);
    let cause = spans.iter().find(|span| span.id == cause);
    assert!(is_append(cause.expect("it came"), TRACE), "{cause:?}");
}

#[test]
fn a_webhook_of_a_server_without_traces_has_no_traceparent() {
    let receiver = Receiver::start(r#"{"done": true}"#);
    let variables = [("webhook_allow_localhost", "true")];
    let Some(server) = ServerUnderTest::start(&variables) else {
        return;
    };
    let stream = server.stream("text/plain");
    let pattern = stream.path.trim_start_matches("/v1/stream/").to_owned();
    let body = json!({
        "type": "webhook", "pattern": pattern, "webhook": {"url": receiver.url()},
        "lease_ttl_ms": 60_000,
    });
    let id = format!("plain-{}", receiver.port());
    let request = server.request("PUT", &format!("/v1/stream/__ds/subscriptions/{id}"));
    let request = request.header("content-type", "application/json");
    request.body(body.to_string()).send().expect_success();
    traced(&stream, TRACE, "01").send().expect(204);
    let received = receiver.next();
    let mut names = received.headers.iter().map(|(name, _)| name.as_str());
    assert!(!names.any(|name| name.starts_with("trace")), "{received:?}");
}

#[test]
fn spans_are_protobuf_by_default_with_the_fields_and_resource_of_the_environment() {
    let collector = Collector::start();
    let more = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", ""),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20t"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment.environment.name=test",
        ),
    ];
    let server = start(&collector, &[], &more);
    let _stream = server.stream("text/plain");
    let received = collector.next();
    assert_eq!(received.path, "/v1/traces");
    assert_eq!(received.header("content-type"), "application/x-protobuf");
    assert_eq!(received.header("authorization"), "Bearer t");
    let export = ExportTraceServiceRequest::decode(&received.body[..]).expect("protobuf");
    let resource = export.resource_spans[0]
        .resource
        .as_ref()
        .expect("a resource");
    let resource = format!("{:?}", resource.attributes);
    for expected in [
        "durable-streams",
        "deployment.environment.name",
        "service.version",
    ] {
        assert!(resource.contains(expected), "{expected}: {resource}");
    }
}

#[test]
fn a_collector_that_is_away_costs_one_line_and_delays_neither_requests_nor_the_end() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    let endpoint = format!("http://{address}");
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "4"),
    ];
    let mut server = ServerUnderTest::start_with_environment(&[], &environment);
    let stream = server.stream("text/plain");
    let failures = |log: &[String]| {
        let failed = |line: &&String| line.contains("spans not exported");
        log.iter().filter(failed).count()
    };
    eventually("the failure is logged", || {
        stream.append("x");
        failures(&server.log()) > 0
    });
    (0..100).for_each(|_| drop(stream.append("x")));
    server.signal("TERM");
    assert!(server.wait().success());
    assert_eq!(failures(&server.log()), 1, "{:?}", server.log());
}

#[test]
fn values_of_variables_without_effect_are_warnings() {
    let collector = Collector::start();
    let server = start(&collector, &[], &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    eventually("the warning is logged", || {
        let log = server.log();
        log.iter()
            .any(|line| line.contains("OTEL_EXPORTER_OTLP_PROTOCOL=grpc is not supported"))
    });
}

#[test]
fn lines_of_the_component_join_the_span_of_their_request() {
    if via() != "exchange" {
        println!("elsewhere: the host does not know which request an instance works for");
        return;
    }
    let mut collector = Collector::start();
    let server = start(&collector, &[("log_level", "info")], &[]);
    let stream = server.stream("text/plain");
    traced(&stream, TRACE, "01").send().expect(204);
    let mut line = Value::Null;
    eventually("the append is logged", || {
        let log = server.log();
        let mut lines = log
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let found = lines.rfind(|line| line["ds.operation"] == "append");
        found.inspect(|found| line = found.clone()).is_some()
    });
    assert_eq!(line["trace_id"], TRACE);
    assert_eq!(line["ds.request"], "append");
    let span = line["span_id"].as_str().expect("a span").to_owned();
    let spans = collector.until(|one| one.id == span);
    assert!(
        spans
            .iter()
            .any(|one| one.id == span && one.name == "start")
    );
}
