//! Medians over the rounds, and ratios to a baseline.

use crate::cli;
use crate::cli::Scenario;
use crate::measurement::Measurement;
use crate::table;
use anyhow::{Context, Result, bail};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Name of the file with the summary, in the directory of the results.
const FILE: &str = "summary.json";

/// Medians over the rounds of one scenario against one server.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Medians {
    scenario: Scenario,
    connections: usize,
    description: String,
    server: String,
    rounds: usize,
    per_second: f64,
    /// Ratio to the baseline; above one is better.
    rate_ratio: Option<f64>,
    server_cpu_us: Option<f64>,
    /// Ratio to the baseline; below one is better.
    cpu_ratio: Option<f64>,
    p50_us: f64,
    p99_us: f64,
    flushes_per_second: Option<f64>,
    rss_kib: Option<u64>,
    /// Sum over the rounds.
    failed: u64,
}

/// Prints the table, writes it as JSON, and fails if any request failed.
pub(crate) fn summarize(args: &cli::Summary) -> Result<()> {
    let measurements = read_all(&args.directory)?;
    let medians = medians(&measurements, args.baseline.as_deref());
    print!("{}", table_of(&medians, args.baseline.as_deref()));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "Medians over the rounds. Load generator and server share {cores} cores: rates, p50 and p99\n\
         are those of both together; the server's CPU is the main figure."
    );
    let path = args.directory.join(FILE);
    std::fs::write(&path, serde_json::to_string_pretty(&medians)? + "\n")
        .with_context(|| path.display().to_string())?;
    let failed: u64 = medians.iter().map(|row| row.failed).sum();
    if failed > 0 {
        bail!("{failed} requests or deliveries failed");
    }
    Ok(())
}

fn read_all(directory: &Path) -> Result<Vec<Measurement>> {
    let mut measurements = Vec::new();
    let entries = std::fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        let is_json = path
            .extension()
            .is_some_and(|extension| extension == "json");
        if is_json && path.file_name().is_none_or(|name| name != FILE) {
            measurements.push(Measurement::read(&path)?);
        }
    }
    Ok(measurements)
}

fn medians(measurements: &[Measurement], baseline: Option<&str>) -> Vec<Medians> {
    let mut groups: BTreeMap<(Scenario, usize, &str), Vec<&Measurement>> = BTreeMap::new();
    for measurement in measurements {
        let connections = measurement.load.connections;
        let key = (
            measurement.scenario,
            connections,
            measurement.server.as_str(),
        );
        groups.entry(key).or_default().push(measurement);
    }
    let mut rows: Vec<Medians> = groups
        .into_iter()
        .map(|((scenario, connections, server), rounds)| {
            let of = |figure: fn(&Measurement) -> Option<f64>| {
                median(rounds.iter().filter_map(|round| figure(round)).collect())
            };
            Medians {
                scenario,
                connections,
                description: rounds
                    .first()
                    .map_or_else(String::new, |round| round.description()),
                server: server.to_owned(),
                rounds: rounds.len(),
                per_second: of(|round| Some(round.per_second)).unwrap_or_default(),
                rate_ratio: None,
                server_cpu_us: of(|round| round.server_cpu_us),
                cpu_ratio: None,
                p50_us: of(|round| Some(round.p50_us)).unwrap_or_default(),
                p99_us: of(|round| Some(round.p99_us)).unwrap_or_default(),
                flushes_per_second: of(|round| round.flushes_per_second),
                rss_kib: of(|round| round.rss_kib.map(|kib| kib as f64)).map(|kib| kib as u64),
                failed: rounds.iter().map(|round| round.failed()).sum(),
            }
        })
        .collect();
    let baselines: Vec<Medians> = rows
        .iter()
        .filter(|row| Some(row.server.as_str()) == baseline)
        .cloned()
        .collect();
    for row in &mut rows {
        let of_scenario = |other: &&Medians| {
            (other.scenario, other.connections) == (row.scenario, row.connections)
        };
        if let Some(base) = baselines.iter().find(of_scenario) {
            row.rate_ratio = Some(row.per_second / base.per_second);
            let cpu = row.server_cpu_us.zip(base.server_cpu_us);
            row.cpu_ratio = cpu.map(|(own, base)| own / base);
        }
    }
    rows
}

/// The middle value, or the mean of the two middle values.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get(values.len().saturating_sub(1) / 2)?;
    Some((lower + upper) / 2.0)
}

fn table_of(rows: &[Medians], baseline: Option<&str>) -> String {
    let ratio = baseline.map_or_else(String::new, |label| format!("x {label}"));
    let heading = [
        "scenario",
        "server",
        "rounds",
        "per second",
        &ratio,
        "server CPU us",
        &ratio,
        "p50 ms",
        "p99 ms",
        "flushes/s",
        "RSS MiB",
        "failed",
    ];
    let mut cells = vec![heading.map(str::to_owned)];
    for row in rows {
        cells.push([
            format!("{} ({})", row.description, row.scenario.unit().0),
            row.server.clone(),
            row.rounds.to_string(),
            format!("{:.0}", row.per_second),
            row.rate_ratio
                .map_or_else(String::new, |x| format!("{x:.2}")),
            row.server_cpu_us
                .map_or_else(String::new, |us| format!("{us:.1}")),
            row.cpu_ratio
                .map_or_else(String::new, |x| format!("{x:.2}")),
            format!("{:.2}", row.p50_us / 1e3),
            format!("{:.2}", row.p99_us / 1e3),
            row.flushes_per_second
                .map_or_else(String::new, |each| format!("{each:.0}")),
            row.rss_kib
                .map_or_else(String::new, |kib| (kib / 1024).to_string()),
            row.failed.to_string(),
        ]);
    }
    table::lines(&cells)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Load;

    fn measurement(server: &str, per_second: f64, cpu: f64) -> Measurement {
        Measurement {
            server: server.to_owned(),
            scenario: Scenario::Append,
            round: 1,
            load: Load {
                connections: 1,
                streams: 1,
                body_bytes: 1,
                readers: 1,
                rate: 1,
            },
            seconds: 1.0,
            operations: 1,
            per_second,
            server_cpu_us: Some(cpu),
            flushes_per_second: None,
            generator_cpu_us: 1.0,
            p50_us: 1.0,
            p99_us: 2.0,
            max_us: 3.0,
            rss_kib: None,
            peak_rss_kib: None,
            failures: BTreeMap::from([("status 503".to_owned(), 1)]),
        }
    }

    #[test]
    fn ratios_are_those_of_the_medians() {
        let rounds = [
            measurement("ours", 100.0, 10.0),
            measurement("ours", 900.0, 90.0),
            measurement("ours", 200.0, 20.0),
            measurement("seed", 90.0, 30.0),
            measurement("seed", 110.0, 50.0),
        ];
        let rows = medians(&rounds, Some("seed"));
        let [ours, seed] = rows.as_slice() else {
            panic!("one row for each server: {rows:?}");
        };
        assert_eq!(ours.rate_ratio, Some(2.0));
        assert_eq!(ours.cpu_ratio, Some(0.5));
        assert_eq!((ours.rounds, ours.failed), (3, 3));
        assert_eq!((seed.rate_ratio, seed.per_second), (Some(1.0), 100.0));
    }

    #[test]
    fn a_result_is_read_as_it_was_written() {
        let directory = std::env::temp_dir().join(format!("bench-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let measurement = measurement("ours", 1.5, 2.5);
        measurement.write(&directory.join("a.json")).unwrap();
        assert_eq!(read_all(&directory).unwrap(), [measurement]);
        std::fs::remove_dir_all(directory).unwrap();
    }
}
