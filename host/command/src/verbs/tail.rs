//! `read` and `tail`.

use crate::connection::Connection;
use crate::failure::Failure;
use crate::output::{Output, PositionFile};
use crate::progress::Progress;
use durable_streams_edge_client::{Batch, FollowOptions, Live, Offset, Start};
use std::path::PathBuf;

/// Flags of both commands.
#[derive(Debug, clap::Args)]
struct Reading {
    /// Name of the stream below --url, or its whole URL
    stream: String,
    /// Where to begin: an offset, or beginning, or now
    #[arg(
        long,
        value_name = "OFFSET",
        default_value = "beginning",
        allow_hyphen_values = true
    )]
    from: String,
    /// Begin with the last N messages of a JSON stream, or the last N bytes of another stream, on
    /// servers with the extension `tail`
    #[arg(long, short = 'n', value_name = "N", conflicts_with = "from")]
    last: Option<u32>,
    /// File that keeps the offset after the last output. A later run begins there. If the file does
    /// not exist, the other flags say where to begin
    #[arg(long, value_name = "FILE")]
    position: Option<PathBuf>,
    /// Print one JSON document for each batch, with its data and the offset after it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Reading {
    fn position_file(&self) -> Option<PositionFile> {
        self.position.clone().map(PositionFile::new)
    }

    fn start(&self, position: Option<&PositionFile>) -> Result<Start, Failure> {
        if let Some(offset) = position.map(PositionFile::read).transpose()?.flatten() {
            return Ok(Start::At(offset));
        }
        Ok(match (self.last, self.from.as_str()) {
            (Some(count), _) => Start::Last(count),
            (None, "beginning" | "-1") => Start::Beginning,
            (None, "now") => Start::Now,
            (None, offset) => Start::At(Offset::new(offset)),
        })
    }
}

/// Printer of batches.
struct Printer {
    output: Output,
    is_json: bool,
    position: Option<PositionFile>,
    progress: Progress,
}

impl Printer {
    fn print(&mut self, batch: &Batch) -> Result<(), Failure> {
        match self.is_json {
            true => self.output.document(batch)?,
            false => self.output.data(batch)?,
        }
        self.output.flush()?;
        self.progress.add(batch.data.len());
        match &self.position {
            Some(position) => position.write(&batch.next_offset),
            None => Ok(()),
        }
    }
}

/// Flags of `read`.
#[derive(Debug, clap::Args)]
pub struct Read {
    #[command(flatten)]
    reading: Reading,
}

impl Read {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let reading = self.reading;
        let stream = reading.connection.stream(&reading.stream)?;
        let position = reading.position_file();
        let mut pages = stream.read(reading.start(position.as_ref())?);
        let mut printer = Printer {
            output: Output::new(),
            is_json: reading.json,
            position,
            progress: Progress::of_output("read"),
        };
        while let Some(page) = pages.next().await {
            printer.print(&page?)?;
        }
        Ok(())
    }
}

/// Flags of `tail`.
#[derive(Debug, clap::Args)]
pub struct Tail {
    #[command(flatten)]
    reading: Reading,
    /// Wait by long-polls only, never by server-sent events
    #[arg(long)]
    long_poll: bool,
}

impl Tail {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let reading = self.reading;
        let stream = reading.connection.stream(&reading.stream)?;
        let position = reading.position_file();
        let options = FollowOptions {
            live: match self.long_poll {
                true => Live::LongPoll,
                false => Live::Sse,
            },
            ..FollowOptions::default()
        };
        let mut follow = stream.follow(reading.start(position.as_ref())?, options);
        let mut printer = Printer {
            output: Output::new(),
            is_json: reading.json,
            position,
            progress: Progress::of_output("tail"),
        };
        while let Some(batch) = follow.next().await {
            printer.print(&batch?)?;
        }
        Ok(())
    }
}
