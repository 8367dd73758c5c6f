//! Counters of a disk of this machine, from `/proc`, and the duration of a sync.

use crate::histogram::Histogram;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// The disk under a directory. Its counters include the work of every process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disk {
    major: u64,
    minor: u64,
}

impl Disk {
    /// Returns nothing if the kernel keeps no counters for the disk, as for file systems in memory.
    pub(crate) fn under(directory: &Path) -> Result<Option<Self>> {
        let device = std::fs::metadata(directory)?.dev();
        // The same bit layout as `gnu_dev_major` and `gnu_dev_minor`.
        let disk = Self {
            major: (device >> 8) & 0xfff | (device >> 32) & !0xfff,
            minor: device & 0xff | (device >> 12) & !0xff,
        };
        Ok(disk.flushes()?.map(|_| disk))
    }

    /// Number of flush requests that the disk received.
    pub(crate) fn flushes(self) -> Result<Option<u64>> {
        let path = "/proc/diskstats";
        let stats = std::fs::read_to_string(path).context(path)?;
        Ok(flushes(&stats, self.major, self.minor))
    }
}

fn flushes(stats: &str, major: u64, minor: u64) -> Option<u64> {
    let fields =
        |line: &str| -> Vec<String> { line.split_ascii_whitespace().map(str::to_owned).collect() };
    let wanted = [major.to_string(), minor.to_string()];
    let mut lines = stats.lines().map(fields);
    let line = lines.find(|line| line.starts_with(&wanted))?;
    // The 16th figure after the name (Documentation/admin-guide/iostats.rst).
    line.get(18)?.parse().ok()
}

/// Appends and syncs for the given time, as a store without other work would, and returns the
/// duration of each.
pub(crate) fn measure_syncs(directory: &Path, time: Duration) -> Result<Histogram> {
    let path = directory.join("syncs.tmp");
    let mut file = File::create(&path).with_context(|| path.display().to_string())?;
    let mut latencies = Histogram::default();
    let begun = Instant::now();
    while begun.elapsed() < time {
        let before = Instant::now();
        file.write_all(&[0; 512])?;
        file.sync_data()?;
        latencies.record(before.elapsed());
    }
    std::fs::remove_file(path)?;
    Ok(latencies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flushes_are_read_for_the_disk_that_was_asked_for() {
        let stats = "   7  0 loop0 109 1 2822 21 42 28 17 60 0 60 10 1 2 3 4 26076 48\n\
                     254  0 vda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 777 17\n\
                     254  1 vda1 1 2 3\n";
        assert_eq!(flushes(stats, 7, 0), Some(26076));
        assert_eq!(flushes(stats, 254, 0), Some(777));
        assert_eq!(flushes(stats, 254, 1), None, "an old kernel");
        assert_eq!(flushes(stats, 8, 0), None);
    }
}
