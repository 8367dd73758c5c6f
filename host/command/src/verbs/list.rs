//! `ls`.

use crate::connection::Connection;
use crate::failure::Failure;
use crate::output::{Output, printable};
use durable_streams_edge_client::{ListOptions, StreamEntry};

/// Entries that one request asks for.
const PAGE: u32 = 1_000;

/// Flags of `ls`.
#[derive(Debug, clap::Args)]
pub struct List {
    /// List only streams whose names begin with these complete segments: a/b lists a/b and a/b/c
    prefix: Option<String>,
    /// List only forks of this stream
    #[arg(long, value_name = "STREAM")]
    forks_of: Option<String>,
    /// Print size, state, content type and name
    #[arg(long, short)]
    long: bool,
    /// Print one JSON document a line
    #[arg(long, conflicts_with = "long")]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

impl List {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = self.connection.client(None)?;
        let mut list = client.list(ListOptions {
            prefix: self.prefix,
            forked_from: self.forks_of,
            limit: Some(PAGE),
        });
        let mut output = Output::new();
        while let Some(page) = list.next().await {
            for entry in page?.streams {
                match (self.json, self.long) {
                    (true, _) => output.json(&entry)?,
                    (false, true) => output.line(&long(&entry))?,
                    (false, false) => output.line(&printable(&entry.name))?,
                }
            }
            output.flush()?;
        }
        Ok(())
    }
}

fn long(entry: &StreamEntry) -> String {
    let bytes = entry
        .bytes
        .map_or_else(|| "-".to_owned(), |bytes| bytes.to_string());
    let state = if entry.closed { "closed" } else { "open" };
    let content_type = entry.content_type.as_deref().unwrap_or("-");
    let name = printable(&entry.name);
    format!("{bytes:>12}  {state:<6}  {content_type:<26}  {name}")
}
