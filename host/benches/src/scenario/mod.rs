//! The scenarios, and the results of one run.

mod fan_out;
mod requests;

use crate::cli::{Measure, Scenario, Syncs};
use crate::disk::{self, Disk};
use crate::histogram::Histogram;
use crate::measurement::Measurement;
use crate::process::Process;
use crate::target::Target;
use crate::window::{Cost, Watched};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

/// Result of one run.
#[derive(Debug)]
pub(crate) struct ScenarioResult {
    pub(crate) operations: u64,
    pub(crate) latencies: Histogram,
    pub(crate) failures: Failures,
    pub(crate) cost: Cost,
}

/// Failures by kind, including those of the warm-up.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failures(pub(crate) BTreeMap<String, u64>);

impl Failures {
    pub(crate) fn add(&mut self, kind: String, count: u64) {
        *self.0.entry(kind).or_default() += count;
    }
}

/// Time for the rest of a run: connecting, and requests still under way at its end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a scenario, prints its result and writes it to the file given in the arguments.
pub(crate) fn measure(args: &Measure) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let measurement = LocalSet::new().block_on(&runtime, run(args))?;
    println!("{measurement}");
    if let Some(path) = &args.json {
        measurement.write(path)?;
    }
    Ok(())
}

/// Measures syncs and prints their duration.
pub(crate) fn measure_syncs(args: &Syncs) -> Result<()> {
    let time = Duration::from_secs_f64(args.seconds);
    let latencies = disk::measure_syncs(&args.directory, time)?;
    println!(
        "A write of 512 bytes and its sync take {:.0} us in the mean, {:.0} us at p50, {:.0} us at \
         p99 here.",
        latencies.mean_us(),
        latencies.quantile_us(0.50),
        latencies.quantile_us(0.99)
    );
    Ok(())
}

async fn run(args: &Measure) -> Result<Measurement> {
    let target = Target::parse(&args.url)?;
    let disk = args.disk.as_deref().map(Disk::under).transpose()?;
    let watched = Watched {
        server: args.pid.map(Process::new),
        disk: disk.flatten(),
    };
    let patience = PATIENCE + Duration::from_secs_f64(args.warm_up + args.seconds);
    let scenario = async {
        match args.scenario {
            Scenario::Append | Scenario::Tail | Scenario::Read => {
                requests::run(args, &target, watched).await
            }
            Scenario::FanOut => fan_out::run(args, &target, watched).await,
        }
    };
    let outcome = tokio::time::timeout(patience, scenario)
        .await
        .context("the server did not answer in time")??;
    let memory = watched.server.map(Process::memory).transpose()?;
    Ok(Measurement::of(args, outcome, memory))
}
