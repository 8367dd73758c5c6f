//! A Prometheus that scrapes a server often, and evaluates our alerts with short durations.

use super::client::Request;
use super::{eventually, server};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use test_support::{PrometheusServer, prometheus_program};

/// The alerts as they are shipped.
pub(crate) const ALERTS: &str = include_str!("../../../host/deploy/alerts.yml");

/// An address of its own for admin listeners. Clients connect from 127.0.0.1, so no client's port is
/// taken here, and a server that starts again gets the same port.
pub(crate) const ADMIN: &str = "127.0.0.2:0";

/// Interval of scrapes, and of evaluations of the alerts.
const INTERVAL: &str = "500ms";

/// Duration of a condition until its alert fires, instead of minutes.
const FOR: &str = "500ms";

/// Range of rates and changes, instead of minutes and hours.
const RANGE: &str = "4s";

/// Age of a backlog in seconds, instead of 600. Without a backlog it goes up to 2, the pause between two
/// looks for work.
const BACKLOG: &str = "5";

/// Whether tests with a Prometheus run: with one pair of store and way of calling the component, and
/// where there is a Prometheus. Without one they fail under `CI=true`.
pub(crate) fn runs_here() -> bool {
    if (server::store().as_str(), server::via().as_str()) != ("memory", "exchange") {
        println!("elsewhere: runs with --store memory --via exchange");
        return false;
    }
    let Err(why) = prometheus_program() else {
        return true;
    };
    let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    let is_left_out = std::env::var_os("DS_TEST_PROMETHEUS").is_some();
    assert!(!is_ci || is_left_out, "{why}");
    println!("skipped: {why}");
    false
}

/// Returns the alerts with every duration shortened: `for`, the ranges, and the age of a backlog.
/// Expressions, labels and other thresholds stay.
fn shortened() -> String {
    let backlog = format!("behind_seconds > {BACKLOG}\n");
    let mut rules = ALERTS.replace("behind_seconds > 600\n", &backlog);
    assert!(rules.contains(&backlog), "the age of a backlog: {ALERTS}");
    for range in ["[1m]", "[5m]", "[10m]", "[1h]"] {
        rules = rules.replace(range, &format!("[{RANGE}]"));
    }
    let ranges: BTreeSet<&str> = rules.split('[').skip(1).collect();
    let is_short = |rest: &&str| rest.starts_with(&format!("{RANGE}]"));
    assert!(ranges.iter().all(is_short), "ranges: {ranges:?}");
    let lines = rules
        .lines()
        .map(|line| match line.trim_start().starts_with("for: ") {
            true => format!("        for: {FOR}\n"),
            false => format!("{line}\n"),
        });
    lines.collect()
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// Times of an alert in a test.
struct Observed {
    alert: &'static str,
    /// Time from the fault until the alert fired.
    fired: Option<Duration>,
    /// Time from the end of the fault until the alert cleared.
    cleared: Option<Duration>,
}

/// A Prometheus with one target.
pub(crate) struct Watch {
    prometheus: PrometheusServer,
    _directory: TempDir,
    observed: Vec<Observed>,
}

impl Watch {
    /// Starts a Prometheus that scrapes this admin listener, to observe these alerts. Returns once it
    /// has scraped the listener twice, and none of the alerts fires.
    #[track_caller]
    pub(crate) fn over(target: SocketAddr, alerts: &[&'static str]) -> Self {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let rules = directory.path().join("alerts.yml");
        std::fs::write(&rules, shortened()).expect("it writes");
        let settings = format!(
            "global: {{scrape_interval: {INTERVAL}, scrape_timeout: {INTERVAL}, \
             evaluation_interval: {INTERVAL}}}\n\
             rule_files: [alerts.yml]\nscrape_configs:\n  - job_name: durable-streams\n    \
             static_configs: [{{targets: ['{target}']}}]\n"
        );
        let file = directory.path().join("prometheus.yml");
        std::fs::write(file, settings).expect("it writes");
        PrometheusServer::promtool("check", &rules).expect("the short rules are valid");
        let observed = alerts.iter().map(|&alert| Observed {
            alert,
            fired: None,
            cleared: None,
        });
        let watch = Self {
            prometheus: started(directory.path()),
            _directory: directory,
            observed: observed.collect(),
        };
        eventually("Prometheus has two scrapes", || {
            let scrapes = "count_over_time(durable_streams_build_info[1m]) > 1";
            !watch.query(scrapes).is_empty()
        });
        eventually("no alert of the test fires", || {
            let firing = watch.firing();
            let mut observed = watch.observed.iter();
            observed.all(|one| !firing.contains(one.alert))
        });
        watch
    }

    /// Returns the series of an expression, now.
    pub(crate) fn query(&self, expression: &str) -> Vec<Value> {
        let target = format!("/api/v1/query?query={}", percent_encoded(expression));
        let answer = Request::new(self.prometheus.address(), "GET", &target).send();
        // It answers 503 while it starts.
        if answer.status == 503 {
            return Vec::new();
        }
        let answer = answer.expect(200).json();
        let series = answer["data"]["result"].as_array();
        series.cloned().unwrap_or_default()
    }

    /// Names of the alerts that fire.
    fn firing(&self) -> BTreeSet<String> {
        let series = self.query("ALERTS{alertstate=\"firing\"}");
        let names = series.iter().filter_map(|one| {
            let name = one["metric"]["alertname"].as_str();
            name.map(str::to_owned)
        });
        names.collect()
    }

    /// Repeats a fault until each alert has fired.
    #[track_caller]
    pub(crate) fn expect_fires(&mut self, mut fault: impl FnMut()) {
        let begun = Instant::now();
        let alerts: Vec<_> = self.observed.iter().map(|one| one.alert).collect();
        eventually(&format!("these fire: {alerts:?}"), || {
            fault();
            let firing = self.firing();
            for one in &mut self.observed {
                if one.fired.is_none() && firing.contains(one.alert) {
                    one.fired = Some(begun.elapsed());
                }
            }
            self.observed.iter().all(|one| one.fired.is_some())
        });
    }

    /// Waits until no alert fires any more, and prints the times of each.
    #[track_caller]
    pub(crate) fn expect_clears(&mut self, fault: &str) {
        let begun = Instant::now();
        let alerts: Vec<_> = self.observed.iter().map(|one| one.alert).collect();
        eventually(&format!("these clear: {alerts:?}"), || {
            let firing = self.firing();
            for one in &mut self.observed {
                if one.cleared.is_none() && !firing.contains(one.alert) {
                    one.cleared = Some(begun.elapsed());
                }
            }
            self.observed.iter().all(|one| one.cleared.is_some())
        });
        for one in &self.observed {
            let [fired, cleared] = [one.fired, one.cleared].map(|time| {
                let time = time.expect("it was observed");
                time.as_secs_f64()
            });
            let alert = one.alert;
            println!("{alert}: {fault}: fired after {fired:.1} s, cleared after {cleared:.1} s");
        }
    }
}

/// Starts a Prometheus, and waits until it listens. It may have lost its port to another process.
fn started(directory: &Path) -> PrometheusServer {
    let program = prometheus_program().expect("it was found");
    let mut prometheus = PrometheusServer::start(&program, directory).expect("it starts");
    let mut begun = Instant::now();
    eventually("Prometheus listens", || {
        if TcpStream::connect(prometheus.address()).is_ok() {
            return true;
        }
        if begun.elapsed() > Duration::from_secs(10) {
            prometheus = PrometheusServer::start(&program, directory).expect("it starts");
            begun = Instant::now();
        }
        false
    });
    prometheus
}
