//! `export`.

use super::moved::{Moved, warn_of_producers};
use crate::archive::content::{parts, units};
use crate::archive::file::{Reader, Whole, Writer, path};
use crate::archive::format::{Fork, Header, Line, VERSION};
use crate::connection::Connection;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Progress;
use crate::wide;
use durable_streams_edge_client::{
    Client, Closed, Error, Format, ListOptions, Metadata, Offset, Producers, Start, Stream,
    StreamEntry,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Flags of `export`.
#[derive(Debug, clap::Args)]
pub struct Export {
    /// Names of the streams; if not given, all streams of a server with the extension `listing`
    streams: Vec<String>,
    /// Directory for the files, one for each stream. A later run with the same directory continues
    /// the export
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Export only streams whose names begin with these complete segments
    #[arg(long, value_name = "PREFIX", conflicts_with = "streams")]
    prefix: Option<String>,
    /// Print one JSON document for each stream
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
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
        let mut without_producers = 0_u64;
        for (name, stream) in streams(&client, &names)? {
            let described = match is_described {
                true => Some(stream.describe().await?),
                false => None,
            };
            let file = path(&self.to, &name);
            let exported = export(&stream, &name, described.as_ref(), &file, &progress).await?;
            if exported.header.producers_left_out.is_some() {
                without_producers = without_producers.saturating_add(1);
            }
            let moved = Moved {
                name: &name,
                file: Some(file.display().to_string()),
                end: &exported.end,
            };
            moved.print(self.json, &mut output)?;
        }
        warn_of_producers(
            without_producers,
            "Export them again when their writers are done",
        );
        Ok(())
    }
}

/// Number of producers that a stream remembers, if there are any.
fn number(producers: &Producers) -> Option<u64> {
    (!producers.is_empty()).then(|| wide(producers.known.len()))
}

/// The streams, each with its name on the server. The name may be given as a whole URL.
fn streams(client: &Client, given: &[String]) -> Result<Vec<(String, Stream)>, Failure> {
    let mut streams: BTreeMap<String, Stream> = BTreeMap::new();
    for given in given {
        let stream = client.stream(given)?;
        let name = stream.server_name().unwrap_or_else(|| given.clone());
        if let Some(other) = streams.insert(name, stream.clone())
            && other.url() != stream.url()
        {
            return Err(Failure::Usage(format!(
                "{} and {} have the same name: export them to two directories",
                other.url(),
                stream.url()
            )));
        }
    }
    Ok(streams.into_iter().collect())
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
) -> Result<Whole, Failure> {
    let metadata = stream.head().await?;
    let mut header = header(stream, name, &metadata, described);
    if file.exists()
        && let Ok(complete) = Reader::verify(file)
        && complete.header.is_of(&header)
        && last_offset(file)? == Some(metadata.next_offset.clone())
        && complete.header.closed == header.closed
        && complete.header.producers_left_out.is_none()
        && described.is_none_or(|entry| entry.remembered() == complete.producers)
    {
        return Ok(complete);
    }
    let mut writer = Writer::open(file, &header)?;
    let begin = match &header.fork {
        Some(fork) => Start::At(fork.offset.clone()),
        None => Start::Beginning,
    };
    let start = writer.next.clone().map_or(begin, Start::At);
    let mut copied = Copied {
        closed: metadata.close(),
        tail: metadata.next_offset.clone(),
    };
    copied.pages(stream, start, &mut writer, progress).await?;
    let mut producers = Producers::default();
    let rounds = described.map_or(0, |_| ROUNDS);
    for _ in 0..rounds {
        let now = stream.describe().await?;
        let is_same = now.next_offset.as_ref() == Some(&copied.tail);
        if is_same && now.closed == copied.closed.is_some() {
            header.producers_left_out = None;
            producers = now.remembered();
            break;
        }
        header.producers_left_out = number(&now.remembered());
        let rest = Start::At(copied.tail.clone());
        copied.pages(stream, rest, &mut writer, progress).await?;
    }
    header.closed = copied.closed.is_some();
    header.closed_reason = copied.closed.and_then(|closed| closed.reason);
    if let Some(fork) = &mut header.fork {
        let whole = count(stream, metadata.format(), &copied.tail).await?;
        let position = whole.checked_sub(writer.content.count());
        fork.position = position.ok_or_else(|| gone(file))?;
    }
    let end = writer.finish(&header, producers.clone())?;
    Ok(Whole {
        header,
        producers,
        end,
    })
}

/// Most descriptions that an export requests for a stream that is written to. A description has the
/// producers of the last record if it has the tail of that record.
const ROUNDS: u32 = 5;

/// How far a stream was copied.
struct Copied {
    closed: Option<Closed>,
    tail: Offset,
}

impl Copied {
    /// Copies the pages from `start` to the tail.
    async fn pages(
        &mut self,
        stream: &Stream,
        start: Start,
        writer: &mut Writer,
        progress: &Progress,
    ) -> Result<(), Failure> {
        let mut pages = stream.read(start);
        while let Some(page) = pages.next().await {
            let page = match page {
                Err(Error::OffsetGone { .. }) => return Err(gone(&writer.complete)),
                page => page?,
            };
            let mut parts = parts(page.format, &page.data)?.into_iter().peekable();
            while let Some(part) = parts.next() {
                let next = parts.peek().is_none().then(|| page.next_offset.clone());
                writer.record(&part, next)?;
            }
            progress.add(page.data.len());
            if page.closed.is_some() {
                self.closed = page.closed;
            }
            self.tail = page.next_offset;
        }
        Ok(())
    }
}

fn gone(file: &Path) -> Failure {
    let part = file.with_extension("part");
    Failure::Invalid(format!(
        "the stream was deleted or lost data during the export. Remove {} and export it again",
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

fn header(
    stream: &Stream,
    name: &str,
    metadata: &Metadata,
    described: Option<&StreamEntry>,
) -> Header {
    let created_at = described.and_then(|entry| entry.other.get("created_at")?.as_str());
    let url = created_at.is_none().then(|| stream.url().to_string());
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
        created_at: created_at.map(str::to_owned),
        url,
        content_type: metadata.content_type.clone(),
        closed: metadata.closed,
        closed_reason: metadata.closed_reason.clone(),
        ttl_secs: metadata.ttl_secs,
        expires_at,
        lease_secs: metadata.lease_secs,
        fork,
        producers_left_out: None,
    }
}
