//! Command-line arguments.

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// Puts load on a Durable Streams server and measures its cost
#[derive(Debug, Parser)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run one scenario against a server
    Measure(Measure),
    /// Print medians and ratios of the results that `measure` wrote
    Summary(Summary),
    /// Measure how long a sync of the disk takes
    Syncs(Syncs),
    /// Watch a server's memory and latencies under a mixed load for a long time
    Soak(Soak),
}

/// Kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scenario {
    /// Small appends to many streams
    Append,
    /// Reads at the tail, with empty responses
    Tail,
    /// Reads of small streams from their start
    Read,
    /// Many SSE readers of one stream that is appended to at a steady rate
    FanOut,
}

impl Scenario {
    /// Name of the counted operation, in singular and plural.
    pub(crate) fn unit(self) -> (&'static str, &'static str) {
        match self {
            Self::Append | Self::Tail | Self::Read => ("request", "requests"),
            Self::FanOut => ("delivery", "deliveries"),
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Append => "append",
            Self::Tail => "tail",
            Self::Read => "read",
            Self::FanOut => "fan-out",
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct Measure {
    /// Base URL of the streams, such as http://127.0.0.1:4437/v1/stream
    #[arg(long)]
    pub(crate) url: String,
    #[arg(long, value_enum)]
    pub(crate) scenario: Scenario,
    /// The server's process on this machine; without it CPU and memory are not measured
    #[arg(long)]
    pub(crate) pid: Option<u32>,
    /// A directory on the server's disk; the flushes of this disk are counted
    #[arg(long)]
    pub(crate) disk: Option<PathBuf>,
    /// The server's name in the results
    #[arg(long, default_value = "server")]
    pub(crate) label: String,
    /// Which round this is, in the results
    #[arg(long, default_value_t = 1)]
    pub(crate) round: u32,
    /// How long to measure
    #[arg(long, default_value_t = 10.0)]
    pub(crate) seconds: f64,
    /// How long the same load runs before the measurement
    #[arg(long, default_value_t = 1.0)]
    pub(crate) warm_up: f64,
    /// Where the result goes, as JSON
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) load: Load,
}

/// Default number of connections.
pub(crate) const DEFAULT_CONNECTIONS: usize = 32;

/// Amount of load.
#[derive(Debug, Clone, PartialEq, Eq, Args, Serialize, Deserialize)]
pub(crate) struct Load {
    /// Connections that each have one request under way (append, tail, read)
    #[arg(long, default_value_t = DEFAULT_CONNECTIONS)]
    pub(crate) connections: usize,
    /// Streams that the requests go to in turn (append, tail, read)
    #[arg(long, default_value_t = 64)]
    pub(crate) streams: usize,
    /// Length of each append in bytes
    #[arg(long, default_value_t = 256)]
    pub(crate) body_bytes: usize,
    /// Readers of the one stream (fan-out)
    #[arg(long, default_value_t = 1000)]
    pub(crate) readers: usize,
    /// Appends a second (fan-out)
    #[arg(long, default_value_t = 20)]
    pub(crate) rate: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Soak {
    /// Base URL of the streams, such as http://127.0.0.1:4437/v1/stream
    #[arg(long)]
    pub(crate) url: String,
    /// The server's process on this machine
    #[arg(long)]
    pub(crate) pid: u32,
    /// The directory of the server's store
    #[arg(long)]
    pub(crate) disk: PathBuf,
    /// Directory for the chart and the figures
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// How long to run
    #[arg(long, default_value_t = 60.0)]
    pub(crate) minutes: f64,
    /// Appends a second, over all streams
    #[arg(long, default_value_t = 300)]
    pub(crate) rate: u32,
    /// Streams at any time
    #[arg(long, default_value_t = 200)]
    pub(crate) streams: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Syncs {
    /// A directory on the disk
    pub(crate) directory: PathBuf,
    /// How long to measure
    #[arg(long, default_value_t = 2.0)]
    pub(crate) seconds: f64,
}

#[derive(Debug, Args)]
pub(crate) struct Summary {
    /// Directory of the results
    pub(crate) directory: PathBuf,
    /// The label that the others are compared with
    #[arg(long)]
    pub(crate) baseline: Option<String>,
}
