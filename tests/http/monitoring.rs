//! A real Prometheus over a server under load: the dashboard's queries, and the tests of the alerts.

use crate::common::collector::Collector;
use crate::common::receiver::Receiver;
use crate::common::watch::{ADMIN, Watch, runs_here};
use crate::common::{Connection, HOST, ServerUnderTest, Stream, eventually};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;
use test_support::PrometheusServer;

const DASHBOARD: &str = include_str!("../../host/deploy/dashboard.json");

/// Queries that may return zeros only under this load, and the fault or the chance that each needs.
const ZEROS: [(&str, &str); 13] = [
    (
        "Connections accepted and refused: refused, {{listener}}",
        "an address with too many connections",
    ),
    (
        "Steps that wait: {{length}}",
        "more requests than instances at the moment of a scrape",
    ),
    (
        "Instances, started and failed: started",
        "an instance that broke: all others start with the server",
    ),
    (
        "Instances, started and failed: failed",
        "an instance that breaks",
    ),
    (
        "Calls that did not work: {{result}}",
        "a store that fails, or two writers of one record",
    ),
    (
        "Losses and unknown outcomes: losses",
        "a failed sync, or a Redis that went back",
    ),
    (
        "Losses and unknown outcomes: unknown outcomes",
        "a store that fails in the middle of a write",
    ),
    ("Timeline: {{instance}}", "a restored store"),
    ("Full, and damage: full, {{instance}}", "a full disk"),
    (
        "Full, and damage: damaged records, {{instance}}",
        "damage on the disk",
    ),
    (
        "Keys, segments and queued changes: queued",
        "a batch that waits at the moment of a scrape",
    ),
    (
        "Log lines dropped, and spans of traces: log lines dropped",
        "a reader of the log that stops",
    ),
    (
        "Age of the backlog: {{instance}}",
        "a scrape in the millisecond after a piece of work",
    ),
];

/// A query of the dashboard.
struct Query {
    /// The panel's title and the query's legend.
    name: String,
    expression: String,
}

impl Query {
    fn may_be_zero(&self) -> bool {
        ZEROS.iter().any(|(name, _)| *name == self.name)
    }

    /// Whether the answer has a number, or one that is not zero if the query must have one.
    fn has_data(&self, watch: &Watch) -> bool {
        let series = watch.query(&self.expression);
        let numbers = series.iter().filter_map(|one| one["value"][1].as_str());
        let mut numbers = numbers.filter_map(|number| number.parse::<f64>().ok());
        numbers.any(|number| number.is_finite() && (number != 0.0 || self.may_be_zero()))
    }
}

/// Returns the queries of all panels, with values for the variables.
fn queries() -> Vec<Query> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let queries = panels.iter().flat_map(|panel| {
        let title = panel["title"].as_str().expect("a title");
        let targets = panel["targets"].as_array().into_iter().flatten();
        targets.map(move |target| {
            let legend = target["legendFormat"].as_str().expect("a legend");
            let query = target["expr"].as_str().expect("a query");
            let query = query.replace("$__rate_interval", "5s");
            Query {
                name: format!("{title}: {legend}"),
                expression: query.replace("$instance", ".*"),
            }
        })
    });
    queries.collect()
}

/// Starts a server over files that exports traces, limits two prefixes, and sends webhooks.
fn start(directory: &Path, collector: &Collector) -> ServerUnderTest {
    let store = format!("file:{}", directory.display());
    let component = HOST.component("exchange").display().to_string();
    let limits = "test:streams=100000,bytes=10GiB,requests=100000,readers=100";
    let arguments = [
        ["--listen", "127.0.0.1:0"],
        ["--admin", ADMIN],
        ["--store", &store],
        ["--component", &component],
        ["--limit", limits],
        ["--limit", "full:streams=0"],
        ["--variable", "webhook_allow_localhost=true"],
    ];
    let environment = collector.environment();
    let environment: Vec<_> = environment
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    ServerUnderTest::start_alone(arguments.as_flattened(), &environment)
}

/// Adds a webhook for all streams, live readers, and a client that takes no responses. The
/// connections stay open.
fn prepare(server: &ServerUnderTest, webhook: &str) -> Vec<Connection> {
    let hook = server.request("PUT", "/v1/stream/__ds/subscriptions/hook");
    let body = json!({
        "type": "webhook", "pattern": "test/*", "webhook": {"url": webhook},
    });
    let hook = hook.header("content-type", "application/json");
    hook.body(body.to_string()).send().expect(201);
    let stream = server.stream("text/plain");
    let readers = (0..3).map(|_| stream.get("offset=now&live=sse").open());
    let mut connections: Vec<_> = readers.collect();
    for _ in 0..12 {
        stream.append("x".repeat(900_000));
    }
    let _held = leased(server);
    let takers = (0..3).map(|_| stream.get("offset=-1").start());
    connections.extend(takers);
    connections
}

/// Creates a stream whose writer has a lease.
fn leased(server: &ServerUnderTest) -> Stream {
    let stream = server.name("text/plain");
    let put = stream.put().header("content-type", "text/plain");
    put.header("stream-lease", "600").send().expect(201);
    stream
}

/// Sends requests of each operation, also ones that are refused.
fn use_all(server: &ServerUnderTest, large: &Stream) {
    let stream = server.stream("application/json");
    let tail = stream.append("[1, 2]");
    let poll = stream.long_poll(&tail).start();
    let events = stream.get(&format!("offset={tail}&live=sse")).open();
    stream.append("[3]");
    poll.finish().expect(200);
    drop(events);
    stream.read("-1");
    large.read("-1");
    stream.head().send().expect(200);
    let lease = leased(server);
    let fork = server.name("application/json");
    let put = fork.put().header("stream-forked-from", &stream.path);
    put.send().expect(201);
    fork.close();
    let full = server.request("PUT", "/v1/stream/full/a");
    let full = full.header("content-type", "text/plain");
    full.send().problem(507, "INSUFFICIENT_STORAGE");
    server.name("text/plain").head().send().expect(404);
    let get = |target| server.request("GET", target).send();
    get("/v1/stream/__ds/streams?limit=10").expect(200);
    get("/readyz").expect(200);
    server.request("OPTIONS", &stream.path).send();
    for ended in [fork, stream, lease] {
        ended.delete().send().expect(204);
    }
}

#[test]
fn every_query_of_the_dashboard_returns_data_under_load() {
    if !runs_here() {
        return;
    }
    let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let collector = Collector::start();
    let server = start(directory.path(), &collector);
    let watch = Watch::over(server.admin(), &[]);
    let receiver = Receiver::start(r#"{"done":true}"#);
    let webhook = receiver.url();
    let queries = queries();
    for (name, _) in ZEROS {
        let is_there = queries.iter().any(|query| query.name == name);
        assert!(is_there, "no such query: {name}");
    }
    assert!(queries.len() > 60, "{}", queries.len());
    let mut left: Vec<&Query> = queries.iter().collect();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let _connections = prepare(&server, &webhook);
            let large = server.stream("text/plain");
            large.append("x".repeat(100_000));
            while !over.load(Ordering::Relaxed) {
                use_all(&server, &large);
            }
        });
        let begun = std::time::Instant::now();
        while !left.is_empty() && begun.elapsed() < crate::common::PATIENCE && !load.is_finished() {
            left.retain(|query| !query.has_data(&watch));
            std::thread::park_timeout(std::time::Duration::from_millis(100));
        }
        over.store(true, Ordering::Relaxed);
    });
    let left: Vec<_> = left.iter().map(|query| &query.name).collect();
    assert!(left.is_empty(), "no data: {left:#?}");
    eventually("a webhook came", || receiver.came().is_some());
    let (all, zeros) = (queries.len(), ZEROS.len());
    println!("{all} queries have data; {zeros} of them may be zero without a fault");
}

#[test]
fn promtool_accepts_the_alerts_and_their_tests() {
    if !runs_here() {
        return;
    }
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    for (action, file) in [("check", "alerts.yml"), ("test", "alerts_test.yml")] {
        let done = PrometheusServer::promtool(action, &deploy.join(file));
        done.unwrap_or_else(|error| panic!("{file}: {error}"));
    }
}
