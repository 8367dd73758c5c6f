//! The measured time, and the resources used in it.

use crate::disk::Disk;
use crate::process::Process;
use anyhow::Result;
use std::time::{Duration, Instant};

/// Process and disk that are measured.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Watched {
    pub(crate) server: Option<Process>,
    pub(crate) disk: Option<Disk>,
}

/// A moment, with the resources used until then.
#[derive(Debug)]
pub(crate) struct Mark {
    at: Instant,
    server: Option<Duration>,
    generator: Duration,
    flushes: Option<u64>,
}

/// Resources used between two moments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) elapsed: Duration,
    /// CPU time of the server's process, if known.
    pub(crate) server: Option<Duration>,
    /// CPU time of this process.
    pub(crate) generator: Duration,
    /// Flushes of the disk, if known.
    pub(crate) flushes: Option<u64>,
}

impl Mark {
    pub(crate) fn now(watched: Watched) -> Result<Self> {
        let flushes = watched.disk.map(Disk::flushes).transpose()?;
        Ok(Self {
            at: Instant::now(),
            server: watched.server.map(Process::cpu).transpose()?,
            generator: Process::own().cpu()?,
            flushes: flushes.flatten(),
        })
    }

    pub(crate) fn until(&self, later: &Self) -> Cost {
        let server = self.server.zip(later.server);
        Cost {
            elapsed: later.at.saturating_duration_since(self.at),
            server: server.map(|(before, after)| after.saturating_sub(before)),
            generator: later.generator.saturating_sub(self.generator),
            flushes: (self.flushes.zip(later.flushes))
                .map(|(before, after)| after.saturating_sub(before)),
        }
    }
}
