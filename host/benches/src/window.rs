//! The time that is measured, and what was used in it.

use crate::process::Process;
use anyhow::Result;
use std::time::{Duration, Instant};

/// A moment, with what was used until then.
#[derive(Debug)]
pub(crate) struct Mark {
    at: Instant,
    server: Option<Duration>,
    generator: Duration,
}

/// What was used between two moments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) elapsed: Duration,
    /// CPU time of the server's process, if it is known.
    pub(crate) server: Option<Duration>,
    /// CPU time of this process.
    pub(crate) generator: Duration,
}

impl Mark {
    pub(crate) fn now(server: Option<Process>) -> Result<Self> {
        Ok(Self {
            at: Instant::now(),
            server: server.map(Process::cpu).transpose()?,
            generator: Process::own().cpu()?,
        })
    }

    pub(crate) fn until(&self, later: &Self) -> Cost {
        let server = self.server.zip(later.server);
        Cost {
            elapsed: later.at.saturating_duration_since(self.at),
            server: server.map(|(before, after)| after.saturating_sub(before)),
            generator: later.generator.saturating_sub(self.generator),
        }
    }
}
