//! Resource usage of a process of this machine, from `/proc`.

use anyhow::{Context, Result};
use std::time::Duration;

/// `USER_HZ`, the unit of the times in `/proc`: Linux has kept it at 100 for every architecture
/// that this builds for.
const TICKS_PER_SECOND: u64 = 100;

/// A process by its id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process(u32);

/// Resident memory in KiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    pub(crate) peak: u64,
}

impl Process {
    pub(crate) fn new(pid: u32) -> Self {
        Self(pid)
    }

    /// This process.
    pub(crate) fn own() -> Self {
        Self(std::process::id())
    }

    /// CPU time of all threads of the process, user and system, in steps of 10 ms.
    pub(crate) fn cpu(self) -> Result<Duration> {
        let stat = self.read("stat")?;
        let ticks = cpu_ticks(&stat).context("utime and stime in /proc/PID/stat")?;
        Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
    }

    pub(crate) fn memory(self) -> Result<Memory> {
        let status = self.read("status")?;
        let field = |name: &str| kib(&status, name).with_context(|| name.to_owned());
        Ok(Memory {
            now: field("VmRSS:")?,
            peak: field("VmHWM:")?,
        })
    }

    fn read(self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.0);
        std::fs::read_to_string(&path).context(path)
    }
}

/// The second field of `stat` is the command's name in parentheses. The name may contain spaces and
/// parentheses, so fields are counted from the last closing one.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    user.checked_add(system)
}

fn kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 1 2 3";
        assert_eq!(cpu_ticks(stat), Some(300));
    }

    #[test]
    fn memory_is_read_in_kib() {
        assert_eq!(
            kib("VmHWM:\t  90 kB\nVmRSS:\t  80 kB\n", "VmRSS:"),
            Some(80)
        );
    }
}
