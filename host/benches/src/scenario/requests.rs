//! Connections that each send the next request after the last response.

use super::{Failures, ScenarioResult};
use crate::cli::{Load, Measure, Scenario};
use crate::histogram::Histogram;
use crate::http::{Answer, Connection};
use crate::target::Target;
use crate::window::{Mark, Watched};
use anyhow::{Context, Result, ensure};
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep;

const CONTENT_TYPE: &str = "application/octet-stream";

/// Appends that a small stream consists of.
const APPENDS_OF_A_SMALL_STREAM: usize = 4;

/// Expected response to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// Any 2xx.
    Success,
    /// 200 with a body of this length.
    Body(usize),
}

impl Expected {
    fn judge(self, answer: &Answer<'_>) -> Result<(), String> {
        match self {
            Self::Success if (200..300).contains(&answer.status) => Ok(()),
            Self::Body(length) if answer.status == 200 && answer.body.len() == length => Ok(()),
            Self::Body(_) if answer.status == 200 => {
                Err(format!("status 200 with {} bytes", answer.body.len()))
            }
            Self::Success | Self::Body(_) => Err(format!("status {}", answer.status)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    WarmUp,
    Measured,
    Over,
}

/// State shared by the connections.
#[derive(Debug)]
struct Shared {
    requests: Vec<Vec<u8>>,
    expected: Expected,
    phase: Cell<Phase>,
    operations: Cell<u64>,
    latencies: RefCell<Histogram>,
    failures: RefCell<Failures>,
}

impl Shared {
    fn succeeded(&self, latency: Duration) {
        if self.phase.get() == Phase::Measured {
            self.operations.set(self.operations.get() + 1);
            self.latencies.borrow_mut().record(latency);
        }
    }

    fn failed(&self, kind: String) {
        self.failures.borrow_mut().add(kind, 1);
    }
}

pub(super) async fn run(
    args: &Measure,
    target: &Target,
    watched: Watched,
) -> Result<ScenarioResult> {
    ensure!(args.load.streams > 0, "at least one stream is needed");
    let (requests, expected) = prepare(args.scenario, &args.load, target).await?;
    let shared = Rc::new(Shared {
        requests,
        expected,
        phase: Cell::new(Phase::WarmUp),
        operations: Cell::new(0),
        latencies: RefCell::default(),
        failures: RefCell::default(),
    });
    let mut connections = JoinSet::new();
    for number in 0..args.load.connections {
        // Connections start at different streams, and use one stream together only by chance.
        let first = number * args.load.streams / args.load.connections;
        connections.spawn_local(send(Rc::clone(&shared), target.address, first));
    }
    sleep(Duration::from_secs_f64(args.warm_up)).await;
    shared.phase.set(Phase::Measured);
    let begun = Mark::now(watched)?;
    sleep(Duration::from_secs_f64(args.seconds)).await;
    shared.phase.set(Phase::Over);
    let ended = Mark::now(watched)?;
    while let Some(connection) = connections.join_next().await {
        connection?;
    }
    Ok(ScenarioResult {
        operations: shared.operations.get(),
        latencies: shared.latencies.take(),
        failures: shared.failures.take(),
        cost: begun.until(&ended),
    })
}

/// Creates the streams and builds one request for each.
async fn prepare(
    scenario: Scenario,
    load: &Load,
    target: &Target,
) -> Result<(Vec<Vec<u8>>, Expected)> {
    let mut connection = Connection::open(target.address).await?;
    let body = vec![b'x'; load.body_bytes];
    let mut requests = Vec::new();
    for number in 0..load.streams {
        let stream = target.stream(number);
        let append = target.append(&stream, CONTENT_TYPE, &body);
        target
            .create(&mut connection, &stream, CONTENT_TYPE)
            .await?;
        if scenario == Scenario::Append {
            requests.push(append);
            continue;
        }
        let mut tail = String::new();
        for _ in 0..APPENDS_OF_A_SMALL_STREAM {
            let answer = connection.exchange(&append).await?;
            Expected::Success
                .judge(&answer)
                .map_err(anyhow::Error::msg)?;
            let offset = answer.field("stream-next-offset");
            tail = offset.context("an append without an offset")?.to_owned();
        }
        let offset = match scenario {
            Scenario::Tail => &tail,
            _ => "-1",
        };
        requests.push(target.read(&stream, "", offset));
    }
    let expected = match scenario {
        Scenario::Append => Expected::Success,
        Scenario::Tail => Expected::Body(0),
        _ => Expected::Body(APPENDS_OF_A_SMALL_STREAM * load.body_bytes),
    };
    Ok((requests, expected))
}

/// One connection: sends the requests in turn until the run is over.
async fn send(shared: Rc<Shared>, address: SocketAddr, first: usize) {
    let mut requests = shared.requests.iter().cycle().skip(first);
    while shared.phase.get() != Phase::Over {
        let mut connection = match Connection::open(address).await {
            Ok(connection) => connection,
            Err(error) => return shared.failed(format!("connect: {}", error.kind())),
        };
        for request in requests.by_ref() {
            if shared.phase.get() == Phase::Over {
                return;
            }
            let begun = Instant::now();
            match connection.exchange(request).await {
                Ok(answer) => match shared.expected.judge(&answer) {
                    Ok(()) => shared.succeeded(begun.elapsed()),
                    Err(kind) => shared.failed(kind),
                },
                Err(error) => {
                    shared.failed(error.to_string());
                    break;
                }
            }
        }
    }
}
