//! Each fault fires its alerts, and they clear after it. A real Prometheus scrapes the server and
//! evaluates `host/deploy/alerts.yml`. Only durations are shorter, see [`Watch`].

mod clients;
mod disk;
mod load;
mod outage;
mod sync;

use crate::common::watch::{ADMIN, ALERTS, Watch, runs_here};
use crate::common::{ServerUnderTest, Stream, full};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A fault, and the alerts that it must fire.
struct Fault {
    name: &'static str,
    alerts: &'static [&'static str],
    run: fn(&Self),
}

/// Faults of every run.
static FAULTS: [Fault; 7] = [
    Fault {
        name: "the disk is full",
        alerts: &["DurableStreamsDiskFull", "DurableStreamsErrors"],
        run: disk::is_full,
    },
    Fault {
        name: "a sync fails",
        alerts: &[
            "DurableStreamsWritesRefused",
            "DurableStreamsStoreLoss",
            "DurableStreamsUnknownOutcomes",
        ],
        run: sync::fails,
    },
    Fault {
        name: "a stored value is damaged",
        alerts: &["DurableStreamsDamage"],
        run: disk::is_damaged,
    },
    Fault {
        name: "the store begins a new timeline",
        alerts: &["DurableStreamsTimelineRaised"],
        run: outage::raises_the_timeline,
    },
    Fault {
        name: "Redis is away",
        alerts: &["DurableStreamsStoreAway"],
        run: outage::takes_redis,
    },
    Fault {
        name: "deletions outrun background work",
        alerts: &["DurableStreamsBacklog"],
        run: load::outruns_background_work,
    },
    Fault {
        name: "clients take no responses",
        alerts: &["DurableStreamsResponsesFull"],
        run: clients::take_nothing,
    },
];

/// Faults of long runs.
static MORE_FAULTS: [Fault; 5] = [
    Fault {
        name: "the server is gone",
        alerts: &["DurableStreamsDown"],
        run: outage::takes_the_server,
    },
    Fault {
        name: "the disk fills up",
        alerts: &["DurableStreamsDiskFilling"],
        run: disk::fills_up,
    },
    Fault {
        name: "each sync takes 1.2 s",
        alerts: &["DurableStreamsSlowAppends"],
        run: sync::takes_long,
    },
    Fault {
        name: "clients take nearly all places",
        alerts: &["DurableStreamsConnections"],
        run: clients::take_all_places,
    },
    Fault {
        name: "webhooks are answered 500",
        alerts: &["DurableStreamsWebhooks"],
        run: clients::refuse_webhooks,
    },
];

/// Alerts that no fault here fires, and why.
const UNTRIED: [(&str, &str); 2] = [
    (
        "DurableStreamsInstancesFail",
        "no request breaks an instance; a unit test counts the steps of a fake that breaks",
    ),
    (
        "DurableStreamsQueue",
        "a queue of 1,000 steps takes more clients than fit into a test",
    ),
];

/// Makes these faults at once, each with a server and a Prometheus of its own.
fn try_all(faults: &[Fault]) {
    if !runs_here() {
        return;
    }
    std::thread::scope(|scope| {
        let tries = faults.iter().map(|fault| {
            let name = fault.name.to_owned();
            let thread = std::thread::Builder::new().name(name);
            let running = thread.spawn_scoped(scope, move || (fault.run)(fault));
            (fault, running.expect("a thread"))
        });
        let tries: Vec<_> = tries.collect();
        let failed = tries.into_iter().filter_map(|(fault, running)| {
            let is_failed = running.join().is_err();
            is_failed.then_some(fault.name)
        });
        let failed: Vec<_> = failed.collect();
        assert!(failed.is_empty(), "see the panics above: {failed:?}");
    });
}

#[test]
fn a_fault_fires_its_alerts_and_they_clear_after_it() {
    try_all(&FAULTS);
}

#[test]
fn a_fault_of_long_runs_fires_its_alert_and_it_clears_after_it() {
    match full() {
        true => try_all(&MORE_FAULTS),
        false => println!("elsewhere: runs with --full"),
    }
}

#[test]
fn every_alert_has_a_fault_or_a_reason_for_none() {
    let lines = ALERTS.lines();
    let alerts = lines.filter_map(|line| line.trim().strip_prefix("- alert: "));
    let alerts: BTreeSet<&str> = alerts.collect();
    let faults = FAULTS.iter().chain(&MORE_FAULTS);
    let tried = faults.flat_map(|fault| fault.alerts).copied();
    let tried: BTreeSet<&str> = tried.chain(UNTRIED.map(|(alert, _)| alert)).collect();
    assert_eq!(alerts, tried);
}

/// Prints that a fault can't be made here.
fn skip(fault: &Fault, why: &str) {
    println!("skipped: {}: {why}", fault.name);
}

/// A new directory for a store.
fn directory() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}

fn in_files(directory: &Path) -> String {
    format!("file:{}", directory.display())
}

/// Starts a server over this store, with an admin listener at `admin`.
fn serve(store: &str, admin: &str, more: &[&str]) -> ServerUnderTest {
    let flags: Vec<&str> = ["--admin", admin].iter().chain(more).copied().collect();
    ServerUnderTest::start_over_with(store, &flags)
}

fn stop(mut server: ServerUnderTest) {
    server.signal("TERM");
    server.wait();
}

/// The stream, on a server that has started again.
fn on(server: &ServerUnderTest, stream: &Stream) -> Stream {
    Stream {
        address: server.address,
        ..stream.clone()
    }
}

/// Runs a program, and returns whether it succeeded.
fn run(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}
