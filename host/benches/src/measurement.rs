//! Result of one run of a scenario, for printing and storing.

use crate::cli::{DEFAULT_CONNECTIONS, Load, Measure, Scenario};
use crate::process::Memory;
use crate::scenario::ScenarioResult;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// The result of one run. An operation is a request or a delivery, depending on the scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measurement {
    pub(crate) server: String,
    pub(crate) scenario: Scenario,
    pub(crate) round: u32,
    pub(crate) load: Load,
    /// Length of the measured time.
    pub(crate) seconds: f64,
    pub(crate) operations: u64,
    pub(crate) per_second: f64,
    /// CPU of the server's process for each operation, in microseconds.
    pub(crate) server_cpu_us: Option<f64>,
    /// Flushes of the server's disk.
    pub(crate) flushes_per_second: Option<f64>,
    /// CPU of the generator for each operation, in microseconds.
    pub(crate) generator_cpu_us: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) max_us: f64,
    /// Resident memory of the server at the end of the run, and its peak.
    pub(crate) rss_kib: Option<u64>,
    pub(crate) peak_rss_kib: Option<u64>,
    /// Failures by kind, including those of the warm-up.
    pub(crate) failures: BTreeMap<String, u64>,
}

impl Measurement {
    pub(crate) fn of(args: &Measure, outcome: ScenarioResult, memory: Option<Memory>) -> Self {
        let ScenarioResult {
            operations,
            latencies,
            failures,
            cost,
        } = outcome;
        let seconds = cost.elapsed.as_secs_f64();
        let each = |used: Duration| used.as_secs_f64() * 1e6 / operations.max(1) as f64;
        Self {
            server: args.label.clone(),
            scenario: args.scenario,
            round: args.round,
            load: args.load.clone(),
            seconds,
            operations,
            per_second: operations as f64 / seconds,
            server_cpu_us: cost.server.map(each),
            flushes_per_second: cost.flushes.map(|flushes| flushes as f64 / seconds),
            generator_cpu_us: each(cost.generator),
            p50_us: latencies.quantile_us(0.50),
            p99_us: latencies.quantile_us(0.99),
            max_us: latencies.max_us(),
            rss_kib: memory.map(|memory| memory.now),
            peak_rss_kib: memory.map(|memory| memory.peak),
            failures: failures.0,
        }
    }

    /// The scenario, with the number of connections if it is not the default.
    pub(crate) fn description(&self) -> String {
        match self.load.connections {
            DEFAULT_CONNECTIONS => self.scenario.to_string(),
            connections => format!("{} x{connections}", self.scenario),
        }
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let mut json = serde_json::to_string_pretty(self)?;
        json.push('\n');
        std::fs::write(path, json).with_context(|| path.display().to_string())
    }

    pub(crate) fn read(path: &Path) -> Result<Self> {
        let json = std::fs::read(path).with_context(|| path.display().to_string())?;
        serde_json::from_slice(&json).with_context(|| path.display().to_string())
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, units) = self.scenario.unit();
        write!(
            out,
            "{:<8} {:<16} {:>8.0} {units}/s",
            self.description(),
            self.server,
            self.per_second,
        )?;
        if let Some(us) = self.server_cpu_us {
            write!(out, ", server CPU {us:.1} us/{unit}")?;
        }
        write!(
            out,
            ", p50 {:.2} ms, p99 {:.2} ms",
            self.p50_us / 1e3,
            self.p99_us / 1e3
        )?;
        if let Some(flushes) = self.flushes_per_second {
            write!(out, ", {flushes:.0} flushes/s")?;
        }
        if let Some(kib) = self.rss_kib {
            write!(out, ", RSS {} MiB", kib / 1024)?;
        }
        for (kind, count) in &self.failures {
            write!(out, "\n    FAILED {count}: {kind}")?;
        }
        Ok(())
    }
}
