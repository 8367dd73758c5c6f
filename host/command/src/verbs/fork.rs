//! `fork`.

use super::create::{self, Description};
use crate::connection::Connection;
use crate::failure::Failure;
use durable_streams_edge_client::{ForkPoint, Offset};

/// Flags of `fork`.
#[derive(Debug, clap::Args)]
pub struct Fork {
    /// Name of the stream to fork, or its whole URL
    source: String,
    /// Name of the new stream, or its whole URL
    stream: String,
    /// Offset up to which the fork has the data of its source; if not given, the present end
    #[arg(long, value_name = "OFFSET", allow_hyphen_values = true)]
    at: Option<String>,
    /// Messages of a JSON stream, or bytes of another stream, to add after the offset
    #[arg(long, value_name = "N", default_value_t = 0)]
    plus: u64,
    #[command(flatten)]
    description: Description,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Fork {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = self.connection.client(Some(&self.source))?;
        let (source, stream) = (client.stream(&self.source)?, client.stream(&self.stream)?);
        if source.url().origin() != stream.url().origin() {
            let problem = "a fork and its source must be on the same server";
            return Err(Failure::Usage(problem.to_owned()));
        }
        let point = ForkPoint {
            offset: self.at.map(Offset::new),
            sub_offset: self.plus,
        };
        let options = self.description.options(None);
        let created = stream.fork_from(&source, &point, &options).await?;
        create::print(stream.url().as_str(), &created, self.json)?;
        self.description.check(&created)
    }
}
