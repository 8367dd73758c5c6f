//! Metrics: their form, their values after some traffic, and the dashboard and alerts built on them.

use crate::common::server::{swaps_are_sure, via};
use crate::common::{Connection, ServerUnderTest, eventually};
use std::collections::{BTreeMap, BTreeSet};

const DASHBOARD: &str = include_str!("../../host/deploy/dashboard.json");
const ALERTS: &str = include_str!("../../host/deploy/alerts.yml");
const GUIDE: &str = include_str!("../../host/docs/monitoring.md");
const OPERATIONS: &str = include_str!("../../host/docs/operations.md");
const PREFIX: &str = "durable_streams_";

/// A server with an admin listener, over this store.
fn server(store: Option<&str>) -> Option<ServerUnderTest> {
    match store {
        None => ServerUnderTest::start_with_arguments(&[], &["--admin", "127.0.0.1:0"]),
        Some(store) => {
            let flags = ["--admin", "127.0.0.1:0"];
            Some(ServerUnderTest::start_over_with(store, &flags))
        }
    }
}

fn metrics(server: &ServerUnderTest) -> String {
    let response = server.admin_request("GET", "/metrics").send();
    let response = response
        .expect(200)
        .with("content-type", "text/plain; version=0.0.4; charset=utf-8")
        .with("cache-control", "no-store")
        .without("access-control-allow-origin");
    response.text()
}

/// The value of a series, given with its labels.
fn value(metrics: &str, series: &str) -> Option<f64> {
    let line = metrics.lines().find(|line| {
        let rest = line
            .strip_prefix(PREFIX)
            .and_then(|line| line.strip_prefix(series));
        rest.is_some_and(|rest| rest.starts_with(' '))
    })?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Names of the samples, with the suffixes of histograms.
fn samples(metrics: &str) -> BTreeSet<&str> {
    let lines = metrics
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let names = lines.filter_map(|line| line.split(['{', ' ']).next());
    names.collect()
}

/// Names of metrics in a text that is not only about them.
fn named(text: &str) -> BTreeSet<&str> {
    let words = text.split(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_');
    words
        .filter(|word| word.starts_with(PREFIX) && *word != PREFIX)
        .collect()
}

/// A bit of everything that is counted.
fn traffic(server: &ServerUnderTest) {
    let stream = server.stream("text/plain");
    stream.append("a");
    stream.append("b");
    assert_eq!(stream.read_all("-1"), b"ab");
    server
        .request("GET", "/v1/stream/no-such-stream")
        .send()
        .expect(404);
}

#[test]
fn requests_bytes_and_connections_are_counted() {
    if !swaps_are_sure() {
        return;
    }
    let Some(server) = server(None) else { return };
    traffic(&server);
    let text = metrics(&server);
    let at_least = |series: &str, least: f64| {
        let value = value(&text, series);
        assert!(
            value.is_some_and(|value| value >= least),
            "{series} is {value:?}: {text}"
        );
    };
    for (series, least) in [
        (r#"requests_total{operation="create",status="201"}"#, 1.0),
        (r#"requests_total{operation="append",status="204"}"#, 2.0),
        (r#"requests_total{operation="read",status="200"}"#, 1.0),
        (r#"requests_total{operation="read",status="404"}"#, 1.0),
        (r#"request_duration_seconds_count{operation="append"}"#, 2.0),
        (
            r#"request_duration_seconds_sum{operation="append"}"#,
            0.000_001,
        ),
        (r#"received_bytes_total{listener="main"}"#, 200.0),
        (r#"sent_bytes_total{listener="main"}"#, 200.0),
        (r#"connections_accepted_total{listener="main"}"#, 5.0),
        (r#"connections{listener="admin"}"#, 1.0),
        (r#"connection_places{listener="admin"}"#, 64.0),
        (r#"unsent_limit_bytes{listener="main"}"#, 134_217_728.0),
        (r#"store_calls_total{call="swap",result="ok"}"#, 3.0),
        ("store_writable", 1.0),
        ("process_resident_memory_bytes", 1_000_000.0),
        ("process_open_fds", 5.0),
    ] {
        at_least(series, least);
    }
    assert_eq!(value(&text, "unknown_outcomes_total"), Some(0.0));
    let fault = r#"requests_total{operation="append",status="503"}"#;
    assert_eq!(value(&text, fault), Some(0.0));
}

#[test]
fn live_readers_are_counted_until_they_leave() {
    let Some(server) = server(None) else { return };
    let stream = server.stream("text/plain");
    let series = r#"live_readers{mode="sse"}"#;
    let readers = || value(&metrics(&server), series);
    assert_eq!(readers(), Some(0.0));
    let open: Vec<Connection> = (0..3)
        .map(|_| stream.get("offset=now&live=sse").open())
        .collect();
    assert_eq!(readers(), Some(3.0));
    drop(open);
    eventually("no reader is left", || readers() == Some(0.0));
}

#[test]
fn every_metric_has_the_prefix_a_help_text_and_the_type_of_the_guide() {
    let Some(server) = server(None) else { return };
    traffic(&server);
    let text = metrics(&server);
    let (mut helped, mut typed) = (BTreeMap::new(), BTreeMap::new());
    for line in text.lines() {
        if let Some((name, help)) = line
            .strip_prefix("# HELP ")
            .and_then(|line| line.split_once(' '))
        {
            assert!(helped.insert(name, help).is_none(), "twice: {name}");
        }
        if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|line| line.split_once(' '))
        {
            assert!(typed.insert(name, kind).is_none(), "twice: {name}");
        }
    }
    for sample in samples(&text) {
        let bare = ["_bucket", "_sum", "_count"];
        let base = bare.iter().find_map(|suffix| sample.strip_suffix(suffix));
        let base = base.filter(|base| typed.get(base) == Some(&"histogram"));
        let name = base.unwrap_or(sample);
        assert!(name.starts_with(PREFIX), "{name}");
        assert!(
            helped.get(name).is_some_and(|help| !help.is_empty()),
            "no help: {name}"
        );
        let kind = typed.get(name).copied().unwrap_or_default();
        let row = format!("| `{name}` | {kind} |");
        assert!(GUIDE.contains(&row), "not in the guide: {row}");
    }
}

/// Names of streams are many, and Prometheus keeps every value of a label.
#[test]
fn no_label_grows_with_the_traffic() {
    let Some(server) = server(None) else { return };
    traffic(&server);
    let series = || {
        let text = metrics(&server);
        text.lines().filter(|line| !line.starts_with('#')).count()
    };
    // The first request for metrics is counted itself.
    series();
    let before = series();
    for _ in 0..20 {
        traffic(&server);
    }
    assert_eq!(series(), before);
    let directory = server.name("text/plain").path;
    let directory = directory.rsplit_once('/').expect("a path").0.to_owned();
    assert!(!metrics(&server).contains(&directory));
}

#[test]
fn every_metric_of_the_dashboard_and_the_alerts_is_served() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = format!("file:{}", directory.path().display());
    // Metrics of prefixes are served for those that a limit names.
    let limit = "test:streams=1000,bytes=1GiB,requests=1000,readers=10";
    let flags = ["--admin", "127.0.0.1:0", "--limit", limit];
    let server = ServerUnderTest::start_over_with(&store, &flags);
    traffic(&server);
    let text = metrics(&server);
    let served = samples(&text);
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array());
    let mut expressions: Vec<&str> = targets
        .flatten()
        .map(|target| target["expr"].as_str().expect("a query"))
        .collect();
    assert!(expressions.len() > 30, "{}", expressions.len());
    let alerts = ALERTS.split("- alert:").skip(1);
    expressions.extend(alerts.filter(|alert| !alert.contains("expr: 'up{")));
    for expression in expressions {
        let names = named(expression);
        assert!(!names.is_empty(), "{expression}");
        for name in names.into_iter().filter(|name| has_this_way(name)) {
            assert!(served.contains(name), "{name} is not served: {expression}");
        }
    }
}

/// Whether a host that calls the component in this way has the metric: some are of pinned instances.
fn has_this_way(series: &str) -> bool {
    let is_of_series = |line: &&str| {
        let name = line.split('`').nth(1).unwrap_or_default();
        let suffix = series.strip_prefix(name);
        !name.is_empty()
            && suffix.is_some_and(|rest| ["", "_bucket", "_count", "_sum"].contains(&rest))
    };
    let mut rows = GUIDE
        .lines()
        .filter(|line| line.starts_with("| `durable_streams_"));
    let row = rows.find(is_of_series).unwrap_or_default();
    via() == "exchange" || !row.contains("Only with --via exchange.")
}

#[test]
fn the_run_book_has_an_entry_for_each_alert_and_no_others() {
    let lines = |text: &'static str, prefix: &str| -> Vec<&str> {
        let lines = text.lines();
        lines
            .filter_map(|line| line.trim().strip_prefix(prefix))
            .collect()
    };
    let alerts = lines(ALERTS, "- alert: ");
    assert!(alerts.len() > 10);
    assert_eq!(lines(OPERATIONS, "### DurableStreams"), {
        let names = alerts
            .iter()
            .map(|name| name.strip_prefix("DurableStreams"));
        names
            .map(|name| name.expect("a prefix"))
            .collect::<Vec<_>>()
    });
}

#[test]
fn figures_of_files_are_served() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = format!("file:{}", directory.path().display());
    let Some(server) = server(Some(&store)) else {
        return;
    };
    traffic(&server);
    let text = metrics(&server);
    for (series, least) in [
        ("log_bytes", 100.0),
        ("log_live_bytes", 100.0),
        ("log_segments", 1.0),
        ("log_keys", 1.0),
        ("log_sync_duration_seconds_count", 3.0),
        ("log_commit_duration_seconds_count", 3.0),
        ("disk_free_bytes", 1.0),
    ] {
        let value = value(&text, series);
        assert!(
            value.is_some_and(|value| value >= least),
            "{series} is {value:?}: {text}"
        );
    }
    assert_eq!(value(&text, "disk_full"), Some(0.0));
    assert_eq!(value(&text, "log_damage_total"), Some(0.0));
}

#[test]
fn leases_that_begin_end_and_lapse_are_counted() {
    if !swaps_are_sure() {
        return;
    }
    let Some(server) = server(None) else { return };
    let leased = |secs: &str| {
        let stream = server.name("text/plain");
        let put = stream.put().header("content-type", "text/plain");
        put.header("stream-lease", secs).send().expect(201);
        stream
    };
    let (ended, held, _) = (leased("600"), leased("600"), leased("1"));
    let end = ended.request("POST").header("stream-lease", "0");
    end.body("").send().expect(204);
    let renewal = held.request("POST").header("stream-lease", "600");
    renewal.body("").send().expect(204);
    let change =
        |text: &str, change: &str| value(text, &format!("leases_total{{change=\"{change}\"}}"));
    eventually("a lease lapsed", || {
        change(&metrics(&server), "lapsed") == Some(1.0)
    });
    let text = metrics(&server);
    assert_eq!(change(&text, "begun"), Some(3.0));
    assert_eq!(change(&text, "ended"), Some(1.0));
}
