//! Report of a soak: a table, a verdict, and the files.

use super::chart::{Chart, Panel, Series};
use super::sample::Sample;
use super::tally::{Counts, Latencies, TIMED, Timed};
use crate::histogram::Histogram;
use crate::table;
use anyhow::{Context, Result};
use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;

/// Begin and end of two windows of a run, as shares of its duration. Of an hour these are minutes 8
/// to 12 and the last four. The windows are wide so that each holds tens of thousands of requests.
const EARLY: (f64, f64) = (8.0 / 60.0, 12.0 / 60.0);
const LATE: (f64, f64) = (56.0 / 60.0, 1.0);

/// Greatest accepted ratio of the later window to the earlier one.
const MOST_GROWTH: f64 = 1.10;

/// One compared figure.
#[derive(Debug, Clone, Copy)]
struct Row {
    name: &'static str,
    unit: &'static str,
    early: f64,
    late: f64,
    /// Whether the verdict depends on this figure.
    judged: bool,
}

impl Row {
    /// Ratio of late to early; nothing if the early window has no records.
    fn ratio(self) -> Option<f64> {
        (self.early > 0.0).then(|| self.late / self.early)
    }

    fn is_steady(self) -> bool {
        !self.judged || self.ratio().is_none_or(|ratio| ratio <= MOST_GROWTH)
    }
}

/// All samples and counts of a run.
#[derive(Debug)]
pub(super) struct Report {
    samples: Vec<Sample>,
    counts: Counts,
}

impl Report {
    pub(super) const fn new(samples: Vec<Sample>, counts: Counts) -> Self {
        Self { samples, counts }
    }

    /// Whether no request failed, and neither memory nor latencies grew.
    pub(super) fn is_steady(&self) -> bool {
        self.counts.failed.is_empty() && self.rows().into_iter().all(Row::is_steady)
    }

    fn window(&self, (from, to): (f64, f64)) -> &[Sample] {
        let count = self.samples.len() as f64;
        let to = ((count * to).round() as usize).clamp(1, self.samples.len().max(1));
        let from = ((count * from).round() as usize).min(to - 1);
        self.samples.get(from..to).unwrap_or_default()
    }

    fn rows(&self) -> Vec<Row> {
        let (early, late) = (self.window(EARLY), self.window(LATE));
        let mean = |samples: &[Sample], of: fn(&Sample) -> f64| {
            samples.iter().map(of).sum::<f64>() / samples.len().max(1) as f64
        };
        let mut rows = vec![
            Row {
                name: "resident memory",
                unit: "MiB",
                early: mean(early, |sample| sample.memory_mib),
                late: mean(late, |sample| sample.memory_mib),
                judged: true,
            },
            Row {
                name: "disk",
                unit: "MiB",
                early: mean(early, |sample| sample.disk_mib),
                late: mean(late, |sample| sample.disk_mib),
                judged: false,
            },
        ];
        let together = |samples: &[Sample]| {
            let mut all = Latencies::default();
            for sample in samples {
                all.add(&sample.latencies);
            }
            all
        };
        let (early, late) = (together(early), together(late));
        let quantiles = [
            ("append p50", Timed::Append, 0.50, false),
            ("append p99", Timed::Append, 0.99, true),
            ("read p50", Timed::Read, 0.50, false),
            ("read p99", Timed::Read, 0.99, true),
            ("delivery p50", Timed::Delivery, 0.50, false),
            ("delivery p99", Timed::Delivery, 0.99, true),
        ];
        rows.extend(quantiles.map(|(name, timed, share, judged)| Row {
            name,
            unit: "ms",
            early: early.of(timed).quantile_us(share) / 1e3,
            late: late.of(timed).quantile_us(share) / 1e3,
            judged,
        }));
        rows
    }

    /// Writes `soak.csv` and `soak.svg` into a directory.
    pub(super) fn write(&self, directory: &Path) -> Result<()> {
        fs::create_dir_all(directory).context("the directory of the results")?;
        fs::write(directory.join("soak.csv"), self.csv()?).context("soak.csv")?;
        fs::write(directory.join("soak.svg"), self.chart().svg()?).context("soak.svg")
    }

    fn csv(&self) -> Result<String, fmt::Error> {
        let mut csv = "minutes,memory_mib,disk_mib".to_owned();
        for (_, name) in TIMED {
            write!(csv, ",{name}_p50_ms,{name}_p99_ms,{name}_max_ms")?;
        }
        csv.push('\n');
        for sample in &self.samples {
            write!(
                csv,
                "{:.2},{:.1},{:.1}",
                sample.minutes, sample.memory_mib, sample.disk_mib
            )?;
            for (timed, _) in TIMED {
                let [p50, p99, max] = figures(sample.latencies.of(timed));
                write!(csv, ",{p50:.3},{p99:.3},{max:.3}")?;
            }
            csv.push('\n');
        }
        Ok(csv)
    }

    fn chart(&self) -> Chart {
        let over_time = |of: &dyn Fn(&Sample) -> f64| -> Vec<(f64, f64)> {
            let points = self.samples.iter();
            points.map(|sample| (sample.minutes, of(sample))).collect()
        };
        let series = |name: &str, of: &dyn Fn(&Sample) -> f64| Series {
            name: name.to_owned(),
            points: over_time(of),
        };
        let mut panels = vec![
            Panel {
                title: "Resident memory".to_owned(),
                unit: "MiB",
                series: vec![series("memory", &|sample| sample.memory_mib)],
            },
            Panel {
                title: "Disk".to_owned(),
                unit: "MiB",
                series: vec![series("disk", &|sample| sample.disk_mib)],
            },
        ];
        for (timed, name) in TIMED {
            let quantile =
                |sample: &Sample, share: f64| sample.latencies.of(timed).quantile_us(share) / 1e3;
            panels.push(Panel {
                title: format!("Latency: {name}"),
                unit: "ms",
                series: vec![
                    series("p50", &|sample| quantile(sample, 0.50)),
                    series("p99", &|sample| quantile(sample, 0.99)),
                ],
            });
        }
        Chart {
            title: "Mixed load on the file store".to_owned(),
            axis: "minutes",
            panels,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["", "", "early", "late", "ratio", "verdict"].map(str::to_owned);
        let mut rows = vec![header];
        for row in self.rows() {
            let verdict = match (row.judged, row.is_steady()) {
                (false, _) => "",
                (true, true) => "steady",
                (true, false) => "GREW",
            };
            rows.push([
                row.name.to_owned(),
                row.unit.to_owned(),
                format!("{:.2}", row.early),
                format!("{:.2}", row.late),
                row.ratio()
                    .map_or_else(String::new, |ratio| format!("{ratio:.2}")),
                verdict.to_owned(),
            ]);
        }
        let span = |(from, to): (f64, f64)| {
            let minutes = self.samples.last().map_or(0.0, |sample| sample.minutes);
            format!("minutes {:.1} to {:.1}", from * minutes, to * minutes)
        };
        writeln!(out, "\nearly: {}; late: {}", span(EARLY), span(LATE))?;
        out.write_str(&table::lines(&rows))?;
        write!(out, "done:")?;
        for (name, count) in &self.counts.done {
            write!(out, " {name} {count}")?;
        }
        for (name, count) in &self.counts.failed {
            write!(out, "\nfailed: {count} x {name}")?;
        }
        Ok(())
    }
}

/// A line about the last sample.
pub(super) fn line(sample: &Sample, counts: &Counts) -> String {
    let [p50, p99, _] = figures(sample.latencies.of(Timed::Append));
    let failed: u64 = counts.failed.values().sum();
    let appends = counts.done.get("append").copied().unwrap_or_default();
    format!(
        "{:5.1} min: memory {:.0} MiB, disk {:.0} MiB, append p50 {p50:.2} ms, p99 {p99:.2} ms; \
         {appends} appends, {failed} failures",
        sample.minutes, sample.memory_mib, sample.disk_mib
    )
}

/// The median, the 99th percentile and the maximum, in milliseconds.
fn figures(histogram: &Histogram) -> [f64; 3] {
    [
        histogram.quantile_us(0.50),
        histogram.quantile_us(0.99),
        histogram.max_us(),
    ]
    .map(|us| us / 1e3)
}

#[cfg(test)]
mod tests {
    use super::super::tally::Tally;
    use super::*;
    use std::time::Duration;

    /// An hour in which memory and append latency change linearly between two values.
    fn hour(memory: (f64, f64), ms: (f64, f64)) -> Report {
        let samples = (1..=360).map(|number| {
            let share = f64::from(number) / 360.0;
            let at = |(from, to): (f64, f64)| from + (to - from) * share;
            let tally = Tally::default();
            tally.timed(Timed::Append, Duration::from_secs_f64(at(ms) / 1e3));
            Sample {
                minutes: share * 60.0,
                memory_mib: at(memory),
                disk_mib: 1.0,
                latencies: tally.take_latencies(),
            }
        });
        Report::new(samples.collect(), Counts::default())
    }

    #[test]
    fn constant_figures_are_steady_and_growing_ones_are_not() {
        assert!(hour((100.0, 100.0), (1.0, 1.0)).is_steady());
        assert!(hour((100.0, 50.0), (1.0, 0.5)).is_steady());
        assert!(!hour((100.0, 120.0), (1.0, 1.0)).is_steady());
        assert!(!hour((100.0, 100.0), (1.0, 1.3)).is_steady());
    }

    #[test]
    fn a_failure_is_never_steady() {
        let mut report = hour((100.0, 100.0), (1.0, 1.0));
        report.counts.failed.insert("POST".to_owned(), 1);
        assert!(!report.is_steady());
    }

    #[test]
    fn the_windows_of_an_hour_are_minutes_8_to_12_and_the_last_4() {
        let report = hour((100.0, 100.0), (1.0, 1.0));
        let ends = |window: &[Sample]| {
            let minutes = |sample: Option<&Sample>| sample.map(|one| one.minutes.round());
            (minutes(window.first()), minutes(window.last()))
        };
        assert_eq!(ends(report.window(EARLY)), (Some(8.0), Some(12.0)));
        assert_eq!(ends(report.window(LATE)), (Some(56.0), Some(60.0)));
    }

    #[test]
    fn the_table_has_a_line_for_each_sample() {
        let csv = hour((1.0, 2.0), (1.0, 1.0)).csv().unwrap();
        assert_eq!(csv.lines().count(), 361);
        let columns = |line: &str| line.split(',').count();
        let mut lines = csv.lines();
        let header = lines.next().map(columns);
        assert!(lines.all(|line| Some(columns(line)) == header));
    }
}
