//! The scenarios, and what one run of one of them gives.

mod fan_out;
mod requests;

use crate::cli::{Measure, Scenario};
use crate::histogram::Histogram;
use crate::measurement::Measurement;
use crate::process::Process;
use crate::target::Target;
use crate::window::Cost;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

/// What a run gave.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) operations: u64,
    pub(crate) latencies: Histogram,
    pub(crate) failures: Failures,
    pub(crate) cost: Cost,
}

/// What did not succeed, in the warm-up too, by its kind.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failures(pub(crate) BTreeMap<String, u64>);

impl Failures {
    pub(crate) fn add(&mut self, kind: String, count: u64) {
        *self.0.entry(kind).or_default() += count;
    }
}

/// How long a run may take for all that is not its own time: connecting, and what is under way
/// when it ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a scenario, prints what it gave and writes it where the arguments say.
pub(crate) fn measure(args: &Measure) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let measurement = LocalSet::new().block_on(&runtime, run(args))?;
    println!("{measurement}");
    if let Some(path) = &args.json {
        measurement.write(path)?;
    }
    Ok(())
}

async fn run(args: &Measure) -> Result<Measurement> {
    let target = Target::parse(&args.url)?;
    let server = args.pid.map(Process::new);
    let patience = PATIENCE + Duration::from_secs_f64(args.warm_up + args.seconds);
    let scenario = async {
        match args.scenario {
            Scenario::Append | Scenario::Tail | Scenario::Read => {
                requests::run(args, &target, server).await
            }
            Scenario::FanOut => fan_out::run(args, &target, server).await,
        }
    };
    let outcome = tokio::time::timeout(patience, scenario)
        .await
        .context("the server did not answer in time")??;
    let memory = server.map(Process::memory).transpose()?;
    Ok(Measurement::of(args, outcome, memory))
}
