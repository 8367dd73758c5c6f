//! `head`, `close`, `stop` and `rm`.

use crate::connection::Connection;
use crate::failure::Failure;
use crate::output::Output;
use durable_streams_edge_client::{Appended, Offset};
use serde::Serialize;

/// Flags of `head`.
#[derive(Debug, clap::Args)]
pub struct Head {
    /// Name of the stream below --url, or its whole URL
    stream: String,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Head {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let metadata = self.connection.stream(&self.stream)?.head().await?;
        let mut output = Output::new();
        if self.json {
            output.json(&metadata)?;
            return output.flush();
        }
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        let fields = [
            ("content-type", Some(metadata.content_type)),
            ("next-offset", Some(metadata.next_offset.to_string())),
            ("closed", Some(metadata.closed.to_string())),
            ("closed-reason", metadata.closed_reason),
            ("ttl-secs", number(metadata.ttl_secs)),
            ("expires-at", metadata.expires_at),
            ("lease-secs", number(metadata.lease_secs)),
            (
                "lease-remaining-secs",
                number(metadata.lease_remaining_secs),
            ),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                output.line(&format!("{name}: {value}"))?;
            }
        }
        output.flush()
    }
}

/// Flags of `close`.
#[derive(Debug, clap::Args)]
pub struct Close {
    /// Name of the stream below --url, or its whole URL
    stream: String,
    /// Reason of the close, of a-z, 0-9, -, . and _. Servers without the extension `close-reasons`
    /// ignore it
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Close {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let stream = self.connection.stream(&self.stream)?;
        let closed = stream.close(self.reason.as_deref()).await?;
        print(stream.url().as_str(), &closed, self.json)
    }
}

/// Flags of `stop`.
#[derive(Debug, clap::Args)]
pub struct Stop {
    /// Name of the stream below --url, or its whole URL
    stream: String,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Stop {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let stream = self.connection.stream(&self.stream)?;
        let stopped = stream.stop().await?;
        print(stream.url().as_str(), &stopped, self.json)
    }
}

#[derive(Serialize)]
struct Document<'a> {
    url: &'a str,
    next_offset: &'a Offset,
    closed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_reason: Option<&'a str>,
}

/// Prints the result of a close.
fn print(url: &str, appended: &Appended, is_json: bool) -> Result<(), Failure> {
    let mut output = Output::new();
    let reason = appended
        .closed
        .as_ref()
        .and_then(|closed| closed.reason.as_deref());
    match (is_json, reason) {
        (true, closed_reason) => output.json(&Document {
            url,
            next_offset: &appended.next_offset,
            closed: appended.closed.is_some(),
            closed_reason,
        })?,
        (false, Some(reason)) => output.line(&format!("closed {url} ({reason})"))?,
        (false, None) => output.line(&format!("closed {url}"))?,
    }
    output.flush()
}

/// Flags of `rm`.
#[derive(Debug, clap::Args)]
pub struct Remove {
    /// Names of the streams below --url, or their whole URLs
    #[arg(required = true)]
    streams: Vec<String>,
    /// Ignore streams that do not exist
    #[arg(long, short)]
    force: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Remove {
    pub(super) async fn run(self) -> Result<(), Failure> {
        use durable_streams_edge_client::Error;
        for name in &self.streams {
            match self.connection.stream(name)?.delete().await {
                Err(Error::NotFound(_) | Error::Gone(_)) if self.force => {}
                done => done?,
            }
        }
        Ok(())
    }
}
