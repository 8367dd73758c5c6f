//! `import`.

use super::moved::{Moved, warn_of_producers};
use crate::archive::content::{Content, units};
use crate::archive::file::{Reader, Whole};
use crate::archive::format::{End, Header};
use crate::archive::order::ordered;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::hex;
use crate::output::Output;
use crate::progress::Progress;
use durable_streams_edge_client::{
    Client, CreateOptions, Error, Expiry, ForkPoint, Format, Offset, ProducerOptions,
    ProducerState, Producers, Session, Start, Stream,
};
use sha2::{Digest, Sha256};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Code of the refusal of producers that have no room.
const NO_ROOM: &str = "TOO_MANY_PRODUCERS";

/// Reason that only a server may give a close.
const LAPSED: &str = "lease-expired";

/// Flags of `import`.
#[derive(Debug, clap::Args)]
pub struct Import {
    /// Files of an archive, or directories with such files. Sources are imported before their forks
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Segments to put before each name
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    /// URL of the same server's admin listener. The server then takes over the producers of the
    /// streams, and recognises retries of their appends. With access control, this needs a token
    /// with the scope manage and without a prefix
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// Print one JSON document for each stream
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Import {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = self.connection.client(None)?;
        let operator = self.admin.as_deref();
        let operator = operator.map(|admin| self.connection.operator(admin));
        let operator = operator.transpose()?;
        let progress = Progress::of_output("import");
        let mut output = Output::new();
        let mut without_producers = 0_u64;
        let mut waiting = Vec::new();
        for file in ordered(&self.files)? {
            // A damaged file must not begin a stream.
            let Whole {
                header,
                mut producers,
                end,
            } = Reader::verify(&file)?;
            let own = hash(&producer_id(&end));
            producers.known.retain(|known| known.last.id_hash != own);
            let name = self.name(&header.name);
            let stream = client.stream(&name)?;
            let tail = self
                .import(&client, &stream, &file, &end, &progress)
                .await?;
            if let Some(operator) = operator.as_ref().filter(|_| !producers.is_empty()) {
                let of_operator = operator.stream(&name)?;
                if !adopt(&of_operator, &stream, &producers, &tail).await? {
                    waiting.push(name.clone());
                }
            }
            let is_lost = operator.is_none() && !producers.is_empty();
            if is_lost || header.producers_left_out.is_some() {
                without_producers = without_producers.saturating_add(1);
            }
            let moved = Moved {
                name: &name,
                file: None,
                end: &end,
            };
            moved.print(self.json, &mut output)?;
        }
        let advice = match self.admin {
            None => "Import them again with --admin URL",
            Some(_) => "Export them again when their writers are done",
        };
        warn_of_producers(without_producers, advice);
        match waiting.first() {
            None => Ok(()),
            Some(first) => Err(Failure::NoRoom(format!(
                "streams that have no room for their producers yet: {}, such as {first}. All streams \
                 are imported. Repeat the import in a few minutes: others are then idle for long enough",
                waiting.len()
            ))),
        }
    }

    fn name(&self, name: &str) -> String {
        match &self.prefix {
            Some(prefix) => format!("{}/{name}", prefix.trim_end_matches('/')),
            None => name.to_owned(),
        }
    }

    /// Imports one stream, or the part of it that earlier runs left. Returns its tail.
    async fn import(
        &self,
        client: &Client,
        stream: &Stream,
        file: &Path,
        end: &End,
        progress: &Progress,
    ) -> Result<Offset, Failure> {
        let mut reader = Reader::open(file)?;
        let header = reader.header.clone();
        let format = reader.format();
        let metadata = match stream.head().await {
            Ok(metadata) => metadata,
            Err(Error::NotFound(_)) => {
                let created = match &header.fork {
                    None => stream.create(&options(&header)).await?,
                    Some(fork) => {
                        let source = client.stream(&self.name(&fork.source))?;
                        let point = locate(&source, format, fork.position).await?;
                        stream.fork_from(&source, &point, &options(&header)).await?
                    }
                };
                created.metadata
            }
            Err(error) => return Err(error.into()),
        };
        let before = header.fork.as_ref().map_or(0, |fork| fork.position);
        let (present, _) = content(stream, format, before).await?;
        let mut records = Content::new(format);
        let mut number = 0_u64;
        while records.count() < present.count {
            let record = reader.record(&mut records)?;
            number = number.saturating_add(1);
            if record.is_none() {
                break;
            }
        }
        if records.end() != present {
            return Err(other_data(stream));
        }
        if present != *end {
            if metadata.closed {
                return Err(other_data(stream));
            }
            let rest = Rest {
                stream,
                reader,
                records,
                number,
                progress,
            };
            rest.append(end).await?;
        }
        let (present, tail) = content(stream, format, before).await?;
        if present != *end {
            return Err(other_data(stream));
        }
        if header.closed && !metadata.closed {
            close(stream, &header).await?;
        }
        Ok(tail)
    }
}

/// Records that the stream does not have yet.
struct Rest<'a> {
    stream: &'a Stream,
    reader: Reader,
    records: Content,
    /// Number of the next record.
    number: u64,
    progress: &'a Progress,
}

impl Rest<'_> {
    /// Appends the records. The producer is the same in every run, and a record has its number in the
    /// file. A request of an earlier run that is still on its way therefore adds nothing.
    async fn append(mut self, end: &End) -> Result<(), Failure> {
        let state = ProducerState {
            id: producer_id(end),
            epoch: 0,
            next_seq: self.number,
        };
        let options = ProducerOptions {
            session: Session::Resume(state),
            ..ProducerOptions::default()
        };
        let mut producer = self.stream.producer(options).await?;
        let Some(first) = self.reader.record(&mut self.records)? else {
            return Ok(());
        };
        self.progress.add(first.len());
        let sent = match producer.send(first.clone()).await {
            Ok(ticket) => ticket.acknowledged().await.map(|_| ()),
            Err(error) => Err(error),
        };
        match sent {
            // The server does not know the producer: it forgot that of an earlier run, or the archive
            // has grown since. The comparison at the end would find a batch that is there twice.
            Err(Error::SequenceGap { expected: 0, .. }) => {
                let options = ProducerOptions::default();
                producer = self.stream.producer(options).await?;
                producer.send(first).await?;
            }
            sent => sent?,
        }
        while let Some(record) = self.reader.record(&mut self.records)? {
            self.progress.add(record.len());
            if let Err(error) = producer.send(record).await {
                return Err(error.root().clone().into());
            }
        }
        producer.flush().await?;
        Ok(())
    }
}

/// Id of the producer of an import with this content. The exported server remembers it if its stream was
/// imported too. There its numbers are those of another file.
fn producer_id(end: &End) -> String {
    let digits: String = end.sha256.chars().take(32).collect();
    format!("import-{digits}")
}

/// The hash by which servers remember a producer.
fn hash(id: &str) -> String {
    let digest = hex(&Sha256::digest(id.as_bytes()));
    digest.chars().take(32).collect()
}

fn options(header: &Header) -> CreateOptions {
    let ttl = header.ttl_secs.map(Expiry::Ttl);
    CreateOptions {
        content_type: Some(header.content_type.clone()),
        expiry: ttl.or_else(|| header.expires_at.clone().map(Expiry::At)),
        ..CreateOptions::default()
    }
}

/// Finds the place after so many messages or bytes of a stream.
async fn locate(source: &Stream, format: Format, position: u64) -> Result<ForkPoint, Failure> {
    let mut offset = None;
    let mut before = 0_u64;
    let mut pages = source.read(Start::Beginning);
    while let Some(page) = pages.next().await {
        let page = page?;
        let after = before.saturating_add(units(format, &page.data)?);
        if after > position {
            break;
        }
        before = after;
        offset = Some(page.next_offset);
        if after == position {
            break;
        }
    }
    Ok(ForkPoint {
        offset: Some(offset.unwrap_or_else(|| Offset::new("-1"))),
        sub_offset: position.saturating_sub(before),
    })
}

/// Count and digest of the stream after its first bytes or messages, and its tail.
async fn content(stream: &Stream, format: Format, before: u64) -> Result<(End, Offset), Failure> {
    let mut content = Content::after(format, before);
    let mut tail = Offset::new("-1");
    let mut pages = stream.read(Start::Beginning);
    while let Some(page) = pages.next().await {
        let page = page?;
        content.add(&page.data)?;
        tail = page.next_offset;
    }
    Ok((content.end(), tail))
}

/// Makes the server remember the producers of the archive. `of_operator` is the same stream on the admin
/// listener. Returns `false` if the stream has no room for them yet.
async fn adopt(
    of_operator: &Stream,
    stream: &Stream,
    producers: &Producers,
    tail: &Offset,
) -> Result<bool, Failure> {
    let other = |is: &str| {
        Failure::Invalid(format!(
            "the server at --admin {is} {}: name the admin listener of the server to which the streams \
             are imported. It must have this version or a later one",
            stream.name()
        ))
    };
    match of_operator.adopt(producers, tail).await {
        Ok(()) => {}
        Err(Error::Busy(refusal)) if refusal.code.as_deref() == Some(NO_ROOM) => return Ok(false),
        Err(error) if error.status() == Some(405) => {
            return Err(other("can't take the producers of"));
        }
        Err(error) => return Err(error.into()),
    }
    // Another server may have a stream of this name and length.
    match stream.describe().await?.remembered().include(producers) {
        true => Ok(true),
        false => Err(other("has another stream named")),
    }
}

/// Closes the stream as the archive says.
async fn close(stream: &Stream, header: &Header) -> Result<(), Failure> {
    let reason = header.closed_reason.as_deref();
    if reason == Some(LAPSED) {
        // Standard error may be closed.
        let _ = writeln!(
            std::io::stderr(),
            "durable-streams: {} is closed without its reason {LAPSED}, because only a server can \
             set it",
            stream.name()
        );
    }
    stream
        .close(reason.filter(|reason| *reason != LAPSED))
        .await?;
    Ok(())
}

fn other_data(stream: &Stream) -> Failure {
    Failure::Invalid(format!(
        "{} has other data than the archive: import it below another --prefix",
        stream.name()
    ))
}
