//! A mixed load at a steady rate for a long time, to find growth in the server.
//!
//! The load consists of actors, each with one connection and one stream at a time. An actor creates
//! a stream, appends to it at due times, and reads it back. It compares the stream with the
//! acknowledged bytes, and then deletes it or leaves it to expire. Then the actor begins the next
//! stream. After the first minute or two the amount of data in the server is constant, so memory
//! that still grows is a leak. Due times of appends do not depend on the server: a delayed append
//! is timed from its due time.

mod actor;
mod chart;
mod follow;
mod life;
mod report;
mod sample;
mod tally;

use crate::cli::Soak;
use crate::process::Process;
use crate::target::Target;
use anyhow::{Context, Result, ensure};
use sample::Sampler;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tally::Tally;
use tokio::runtime::Builder;
use tokio::task::{JoinSet, LocalSet};

/// Time for the last streams to end after the end of the load.
const PATIENCE: Duration = Duration::from_secs(120);

/// State shared by the actors.
#[derive(Debug)]
struct Shared {
    target: Target,
    begun: Instant,
    ends: Instant,
    /// Time from one append of an actor to its next.
    interval: Duration,
    /// Appends to each stream.
    appends: u32,
    tally: Tally,
}

impl Shared {
    fn is_over(&self) -> bool {
        Instant::now() >= self.ends
    }
}

/// Time over which the appends of one stream are spread. It is shorter than any limit of a live
/// connection.
const LIFE: Duration = Duration::from_secs(40);

/// Runs the load, prints its progress, and writes `soak.csv` and `soak.svg`.
///
/// # Errors
///
/// The load can't begin, the results can't be written, a request failed, or memory or latencies
/// grew.
pub(crate) fn soak(args: &Soak) -> Result<()> {
    ensure!(args.rate > 0, "the rate is at least one a second");
    ensure!(args.streams > 0, "at least one stream is needed");
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let report = LocalSet::new().block_on(&runtime, run(args))?;
    println!("{report}");
    report.write(&args.out)?;
    println!(
        "Charts and figures: {}",
        args.out.join("soak.svg").display()
    );
    ensure!(report.is_steady(), "the server did not stay as it was");
    Ok(())
}

async fn run(args: &Soak) -> Result<report::Report> {
    let begun = Instant::now();
    let interval = Duration::from_secs_f64(args.streams as f64 / f64::from(args.rate));
    let appends = LIFE.as_secs_f64() / interval.as_secs_f64();
    let shared = Rc::new(Shared {
        target: Target::parse(&args.url)?,
        begun,
        ends: begun + Duration::from_secs_f64(args.minutes * 60.0),
        interval,
        appends: (appends as u32).clamp(2, 2_000),
        tally: Tally::default(),
    });
    let mut actors = JoinSet::new();
    for number in 0..args.streams {
        actors.spawn_local(actor::act(Rc::clone(&shared), number, args.streams));
    }
    let mut sampler = Sampler::new(Process::new(args.pid), &args.disk, begun);
    let samples = sampler.sample_until(shared.ends, &shared.tally).await?;
    let ended = async { while actors.join_next().await.is_some() {} };
    tokio::time::timeout(PATIENCE, ended)
        .await
        .context("the last streams did not end")?;
    Ok(report::Report::new(samples, shared.tally.counts()))
}
