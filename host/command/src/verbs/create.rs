//! `create`.

use crate::connection::Connection;
use crate::failure::Failure;
use crate::output::Output;
use durable_streams_edge_client::{CreateOptions, Created, Expiry};
use serde::Serialize;

/// Flags that describe a new stream.
#[derive(Debug, clap::Args)]
pub(crate) struct Description {
    /// Seconds after the last read or write until the stream is deleted
    #[arg(long, value_name = "SECS", conflicts_with = "expires_at")]
    ttl: Option<u64>,
    /// Time at which the stream is deleted, such as 2030-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// Seconds without an append after which the server closes the stream, on servers with the
    /// extension `leases`
    #[arg(long, value_name = "SECS")]
    lease: Option<u32>,
}

impl Description {
    pub(crate) fn options(&self, content_type: Option<String>) -> CreateOptions {
        let ttl = self.ttl.map(Expiry::Ttl);
        CreateOptions {
            content_type,
            expiry: ttl.or_else(|| self.expires_at.clone().map(Expiry::At)),
            lease_secs: self.lease,
            ..CreateOptions::default()
        }
    }

    /// Fails if the server ignored the lease.
    pub(crate) fn check(&self, created: &Created) -> Result<(), Failure> {
        match self.lease {
            Some(1..) if created.metadata.lease_secs.is_none() && created.is_new => {
                Err(Failure::Invalid(
                    "the stream was created without its lease: this server does not have the \
                     extension `leases`"
                        .to_owned(),
                ))
            }
            _ => Ok(()),
        }
    }
}

/// Flags of `create`.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// Name of the stream below --url, or its whole URL
    stream: String,
    /// Content type, or one of the short names json, text, ndjson and bytes
    #[arg(
        long = "type",
        short = 't',
        value_name = "TYPE",
        default_value = "bytes"
    )]
    content_type: String,
    #[command(flatten)]
    description: Description,
    /// Close the stream at once
    #[arg(long)]
    closed: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Create {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let stream = self.connection.stream(&self.stream)?;
        let mut options = self
            .description
            .options(Some(content_type(&self.content_type)));
        options.is_closed = self.closed;
        let created = stream.create(&options).await?;
        print(stream.url().as_str(), &created, self.json)?;
        self.description.check(&created)
    }
}

/// Returns the content type that a short name stands for.
pub(crate) fn content_type(name: &str) -> String {
    match name {
        "json" => "application/json",
        "text" => "text/plain; charset=utf-8",
        "ndjson" => "application/x-ndjson",
        "bytes" => "application/octet-stream",
        other => other,
    }
    .to_owned()
}

#[derive(Serialize)]
struct Document<'a> {
    url: &'a str,
    created: bool,
    #[serde(flatten)]
    metadata: &'a durable_streams_edge_client::Metadata,
}

/// Prints the result of a creation.
pub(crate) fn print(url: &str, created: &Created, is_json: bool) -> Result<(), Failure> {
    let mut output = Output::new();
    match is_json {
        true => output.json(&Document {
            url,
            created: created.is_new,
            metadata: &created.metadata,
        })?,
        false => {
            let verb = if created.is_new { "created" } else { "exists" };
            output.line(&format!("{verb} {url}"))?;
        }
    }
    output.flush()
}
