//! Periodic samples of the server's memory, disk and latencies.

use super::tally::{Latencies, Tally};
use crate::process::Process;
use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::time::sleep_until;

/// Time from one sample to the next.
const INTERVAL: Duration = Duration::from_secs(10);
/// Samples for each printed line.
const LINES: u32 = 6;

/// The server at one moment, with the latencies since the previous sample.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    /// Time since the load began.
    pub(super) minutes: f64,
    /// Resident memory of the server.
    pub(super) memory_mib: f64,
    /// Size of the store's directory on the disk.
    pub(super) disk_mib: f64,
    pub(super) latencies: Latencies,
}

/// Takes samples of a server.
pub(super) struct Sampler {
    server: Process,
    directory: PathBuf,
    begun: Instant,
}

impl Sampler {
    pub(super) fn new(server: Process, directory: &Path, begun: Instant) -> Self {
        Self {
            server,
            directory: directory.to_owned(),
            begun,
        }
    }

    /// Takes a sample every ten seconds until `end`, and prints a line every minute.
    pub(super) async fn sample_until(
        &mut self,
        end: Instant,
        tally: &Tally,
    ) -> Result<Vec<Sample>> {
        let mut samples = Vec::new();
        let mut due = self.begun;
        for number in 1.. {
            due += INTERVAL;
            sleep_until(due.into()).await;
            let sample = self.take(tally)?;
            if number % LINES == 0 {
                println!("{}", super::report::line(&sample, &tally.counts()));
            }
            samples.push(sample);
            if due >= end {
                break;
            }
        }
        Ok(samples)
    }

    fn take(&self, tally: &Tally) -> Result<Sample> {
        Ok(Sample {
            minutes: self.begun.elapsed().as_secs_f64() / 60.0,
            memory_mib: self.server.memory()?.now as f64 / 1024.0,
            disk_mib: size(&self.directory) as f64 / f64::from(1 << 20),
            latencies: tally.take_latencies(),
        })
    }
}

/// Bytes of the files in a directory. A file that disappears during the call counts as zero.
fn size(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let metadata = entries.filter_map(|entry| entry.metadata().ok());
    metadata.map(|metadata| metadata.len()).sum()
}
