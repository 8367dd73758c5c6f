//! `export`.

use crate::archive::content::{parts, units};
use crate::archive::file::{Reader, Writer, path};
use crate::archive::format::{Fork, Header, Line, VERSION};
use crate::connection::Connection;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Progress;
use crate::wide;
use durable_streams_edge_client::{
    Client, Error, Format, ListOptions, Metadata, Offset, Start, Stream, StreamEntry,
};
use serde::Serialize;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Flags of `export`.
#[derive(Debug, clap::Args)]
pub struct Export {
    /// Names of the streams; if not given, all streams of a server with the extension `listing`
    streams: Vec<String>,
    /// Directory for the files, one a stream. A later run with the same directory goes on where this
    /// one ended
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Complete leading segments of the names to export
    #[arg(long, value_name = "PREFIX", conflicts_with = "streams")]
    prefix: Option<String>,
    /// Print one JSON document for each stream
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Serialize)]
struct Document<'a> {
    name: &'a str,
    file: String,
    count: u64,
    sha256: &'a str,
}

impl Export {
    pub(super) async fn run(self) -> Result<(), Failure> {
        std::fs::create_dir_all(&self.to).map_err(|error| Failure::file(&self.to, error))?;
        let client = self
            .connection
            .client(self.streams.first().map(String::as_str))?;
        let names = match self.streams.is_empty() {
            true => list(&client, self.prefix.clone()).await?,
            false => self.streams.clone(),
        };
        // Without descriptions, the server can't tell which streams are forks.
        let server = client.server().await?;
        let is_described = server.is_some_and(|server| server.has("listing"));
        let progress = Progress::of_output("export");
        let mut output = Output::new();
        let mut with_producers = 0_u64;
        for name in &names {
            let stream = client.stream(name)?;
            let described = match is_described {
                true => Some(stream.describe().await?),
                false => None,
            };
            if described.as_ref().and_then(producers).is_some() {
                with_producers = with_producers.saturating_add(1);
            }
            let file = path(&self.to, name);
            let end = export(&stream, name, described.as_ref(), &file, &progress).await?;
            match self.json {
                true => output.json(&Document {
                    name,
                    file: file.display().to_string(),
                    count: end.count,
                    sha256: &end.sha256,
                })?,
                false => output.line(&format!("{}  {name}", file.display()))?,
            }
            output.flush()?;
        }
        warn_of_producers(with_producers);
        Ok(())
    }
}

/// Warns that so many streams lose their producers. A writer that sends its last append again after a
/// move would append it twice, so writers have to end first.
pub(super) fn warn_of_producers(streams: u64) {
    if streams > 0 {
        // Standard error may be closed.
        let _ = writeln!(
            std::io::stderr(),
            "durable-streams: streams that lose their producers: {streams}. The other server does not \
             recognise retries of their appends: let their writers end before the move"
        );
    }
}

/// Number of producers that a stream remembers, if there are any.
fn producers(described: &StreamEntry) -> Option<u64> {
    let producers = described.other.get("producers")?.as_array()?;
    (!producers.is_empty()).then(|| wide(producers.len()))
}

/// Names of all streams.
async fn list(client: &Client, prefix: Option<String>) -> Result<Vec<String>, Failure> {
    let mut list = client.list(ListOptions {
        prefix,
        limit: Some(1_000),
        ..ListOptions::default()
    });
    let mut names = Vec::new();
    while let Some(page) = list.next().await {
        names.extend(page?.streams.into_iter().map(|entry| entry.name));
    }
    Ok(names)
}

/// Exports one stream, unless its file is complete and has everything.
async fn export(
    stream: &Stream,
    name: &str,
    described: Option<&StreamEntry>,
    file: &Path,
    progress: &Progress,
) -> Result<crate::archive::format::End, Failure> {
    let metadata = stream.head().await?;
    let mut header = header(name, &metadata, described);
    if file.exists()
        && let Ok((complete, end)) = Reader::verify(file)
        && last_offset(file)? == Some(metadata.next_offset.clone())
        && complete.closed == header.closed
    {
        return Ok(end);
    }
    let mut writer = Writer::open(file, &header)?;
    let begin = match &header.fork {
        Some(fork) => Start::At(fork.offset.clone()),
        None => Start::Beginning,
    };
    let start = writer.next.clone().map_or(begin, Start::At);
    let (mut closed, mut tail) = (metadata.close(), metadata.next_offset.clone());
    let mut pages = stream.read(start);
    while let Some(page) = pages.next().await {
        let page = match page {
            Err(Error::OffsetGone { .. }) => return Err(gone(file)),
            page => page?,
        };
        let mut parts = parts(page.format, &page.data)?.into_iter().peekable();
        while let Some(part) = parts.next() {
            let next = parts.peek().is_none().then(|| page.next_offset.clone());
            writer.record(&part, next)?;
        }
        progress.add(page.data.len());
        closed = page.closed.or(closed);
        tail = page.next_offset;
    }
    header.closed = closed.is_some();
    header.closed_reason = closed.and_then(|closed| closed.reason);
    if let Some(fork) = &mut header.fork {
        let whole = count(stream, metadata.format(), &tail).await?;
        let position = whole.checked_sub(writer.content.count());
        fork.position = position.ok_or_else(|| gone(file))?;
    }
    writer.finish(&header)
}

fn gone(file: &Path) -> Failure {
    let part = file.with_extension("part");
    Failure::Invalid(format!(
        "the stream changed under the export: it was deleted or lost data. Remove {} and repeat",
        part.display()
    ))
}

/// Counts the messages or bytes up to a tail.
async fn count(stream: &Stream, format: Format, tail: &Offset) -> Result<u64, Failure> {
    let (mut count, mut pages) = (0_u64, stream.read(Start::Beginning));
    while let Some(page) = pages.next().await {
        let page = page?;
        count = count.saturating_add(units(format, &page.data)?);
        if page.next_offset == *tail {
            return Ok(count);
        }
    }
    Err(Failure::Invalid(format!(
        "{} got new data during the export: repeat the export when its writer is done",
        stream.name()
    )))
}

/// Offset after the last record of a complete file.
fn last_offset(file: &Path) -> Result<Option<Offset>, Failure> {
    let mut reader = Reader::open(file)?;
    let mut last = None;
    while let Some(line) = reader.next()? {
        if let Line::Record(record) = line {
            last = record.next;
        }
    }
    Ok(last)
}

fn header(name: &str, metadata: &Metadata, described: Option<&StreamEntry>) -> Header {
    let fork = described.and_then(|entry| {
        let offset = entry.other.get("fork_offset")?.as_str()?;
        Some(Fork {
            source: entry.forked_from.clone()?,
            offset: Offset::new(offset),
            position: 0,
        })
    });
    // The expiry of a stream with a TTL moves with each use.
    let expires_at = match metadata.ttl_secs {
        Some(_) => None,
        None => metadata.expires_at.clone(),
    };
    Header {
        version: VERSION,
        name: name.to_owned(),
        content_type: metadata.content_type.clone(),
        closed: metadata.closed,
        closed_reason: metadata.closed_reason.clone(),
        ttl_secs: metadata.ttl_secs,
        expires_at,
        lease_secs: metadata.lease_secs,
        fork,
        producers_left_out: described.and_then(producers),
    }
}
