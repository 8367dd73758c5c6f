//! `append`.

use super::create::content_type;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::input::{Form, Input, Source, body};
use crate::journal::{Journal, Mark};
use crate::output::Output;
use crate::progress::Progress;
use crate::wide;
use durable_streams_edge_client::{
    CreateOptions, Format, Offset, Producer, ProducerOptions, ProducerState, Session, Stream,
};
use serde::Serialize;
use std::collections::VecDeque;
use std::path::PathBuf;

/// Flags of `append`.
#[derive(Debug, clap::Args)]
pub struct Append {
    /// Name of the stream below --url, or its whole URL
    stream: String,
    /// Data to append as one batch, instead of standard input
    #[arg(conflicts_with_all = ["file", "form"])]
    data: Option<String>,
    /// File to append, instead of standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// How to cut the input into batches; if not given, json-lines for JSON streams, lines for text,
    /// and bytes for all others
    #[arg(long = "as", value_enum, value_name = "FORM")]
    form: Option<Form>,
    /// Create the stream with this content type, or one of the short names json, text, ndjson and
    /// bytes, if it does not exist
    #[arg(long, value_name = "TYPE")]
    create: Option<String>,
    /// Close the stream after the input
    #[arg(long)]
    close: bool,
    /// Reason of the close. Servers without the extension `close-reasons` ignore it
    #[arg(long, value_name = "REASON", requires = "close")]
    reason: Option<String>,
    /// File that keeps the position in the input. After an interruption, run the same command with
    /// the same input again: it continues at this position
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Id of the producer. If a new run uses the same id, the older run fails
    #[arg(long, value_name = "ID")]
    producer: Option<String>,
    /// Seconds without an append after which the server closes the stream, on servers with the
    /// extension `leases`
    #[arg(long, value_name = "SECS")]
    lease: Option<u32>,
    /// Print one JSON document at the end
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Serialize)]
struct Document<'a> {
    url: &'a str,
    bytes: u64,
    batches: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<&'a Offset>,
    closed: bool,
}

impl Append {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let stream = self.connection.stream(&self.stream)?;
        let format = self.format(&stream).await?;
        let form = match (self.form, format) {
            _ if self.data.is_some() => Form::Whole,
            (Some(form), _) => form,
            (None, Format::Json) => Form::JsonLines,
            (None, Format::Text) => Form::Lines,
            (None, Format::Binary) => Form::Bytes,
        };
        let is_json = format == Format::Json;
        if (is_json && matches!(form, Form::Lines | Form::Bytes))
            || (!is_json && form == Form::JsonLines)
        {
            let problem =
                "--as json-lines is for JSON streams, --as lines and --as bytes are for others";
            return Err(Failure::Usage(problem.to_owned()));
        }
        let url = stream.url().to_string();
        let id = self.producer.clone();
        let journal = match &self.state {
            Some(path) => Some(Journal::open(path, stream.url().path(), form, id.clone())?),
            None => None,
        };
        let session = journal
            .as_ref()
            .map_or(Session::New, |journal| Session::Resume(journal.producer()));
        let options = ProducerOptions {
            id,
            session,
            lease_secs: self.lease,
            ..ProducerOptions::default()
        };
        let source = self.source();
        let mut run = Run {
            progress: Progress::of_input("append", source.length()),
            input: Input::open(source)?,
            form,
            is_json,
            producer: stream.producer(options).await?,
            journal,
            ends: VecDeque::new(),
            batches: 0,
        };
        let done = run.perform().await;
        // The place in the input is kept after a failure as well.
        run.settle(true)?;
        let mut next_offset = done?;
        if self.close {
            let closed = stream.close(self.reason.as_deref()).await?;
            next_offset = Some(closed.next_offset);
        }
        if self.json {
            let mut output = Output::new();
            output.json(&Document {
                url: &url,
                bytes: run.input.position(),
                batches: run.batches,
                next_offset: next_offset.as_ref(),
                closed: self.close,
            })?;
            output.flush()?;
        }
        Ok(())
    }

    fn source(&self) -> Source {
        match (&self.data, &self.file) {
            (Some(data), _) => Source::Argument(data.clone()),
            (None, Some(path)) => Source::File(path.clone()),
            (None, None) => Source::Stdin,
        }
    }

    /// Creates the stream if `--create` is given and it is missing, and returns the format of its
    /// data.
    async fn format(&self, stream: &Stream) -> Result<Format, Failure> {
        if let Some(name) = &self.create {
            match stream.head().await {
                Err(durable_streams_edge_client::Error::NotFound(_)) => {
                    let options = CreateOptions::of_type(content_type(name));
                    stream.create(&options).await?;
                }
                found => return Ok(found?.format()),
            }
        }
        Ok(stream.head().await?.format())
    }
}

/// One run of `append`.
struct Run {
    input: Input,
    form: Form,
    is_json: bool,
    producer: Producer,
    journal: Option<Journal>,
    /// Numbers of the batches on their way, and the positions after them.
    ends: VecDeque<(u64, u64)>,
    batches: u64,
    progress: Progress,
}

impl Run {
    /// Appends the whole input. Returns the tail after it.
    async fn perform(&mut self) -> Result<Option<Offset>, Failure> {
        self.resume().await?;
        loop {
            let line = self.input.lines();
            let Some(batch) = self.input.next(self.form).await? else {
                break;
            };
            let Some(body) = body(batch, self.form, self.is_json, line)? else {
                continue;
            };
            let mark = Mark {
                next_seq: self.producer.next_seq().saturating_add(1),
                end: self.input.position(),
                sha256: self.input.digest(),
            };
            if let Some(journal) = &mut self.journal {
                journal.send(mark)?;
            }
            self.send(body).await?;
        }
        Ok(self.producer.flush().await?)
    }

    async fn send(&mut self, body: Vec<u8>) -> Result<(), Failure> {
        let sent = self.producer.send(body).await;
        let ticket = match sent {
            Ok(ticket) => ticket,
            Err(error) => return Err(error.root().clone().into()),
        };
        self.ends.push_back((ticket.seq(), self.input.position()));
        self.batches = self.batches.saturating_add(1);
        self.settle(false)
    }

    /// Notes the data that the server acknowledged.
    fn settle(&mut self, is_last: bool) -> Result<(), Failure> {
        let ProducerState { next_seq, .. } = self.producer.state();
        while let Some((seq, end)) = self.ends.front().copied()
            && seq < next_seq
        {
            self.progress.set(end);
            self.ends.pop_front();
        }
        match &mut self.journal {
            Some(journal) => journal.acknowledge(next_seq, is_last),
            None => Ok(()),
        }
    }

    /// Skips what earlier runs appended, and sends their last batches again.
    async fn resume(&mut self) -> Result<(), Failure> {
        let Some(journal) = &self.journal else {
            return Ok(());
        };
        let (acknowledged, sent) = (journal.acknowledged().cloned(), journal.sent());
        if let Some(mark) = acknowledged {
            let is_whole = self.input.skip_to(mark.end).await?;
            self.check(is_whole, &mark)?;
        }
        for mark in sent {
            let line = self.input.lines();
            let batch = self.input.take_to(mark.end).await?;
            self.check(batch.is_some(), &mark)?;
            let batch = batch.unwrap_or_default();
            let body = body(batch, self.form, self.is_json, line)?;
            self.send(body.unwrap_or_default()).await?;
        }
        Ok(())
    }

    /// Checks that the input is that of the earlier runs.
    fn check(&self, is_whole: bool, mark: &Mark) -> Result<(), Failure> {
        if is_whole && self.input.digest() == mark.sha256 {
            return Ok(());
        }
        let problem = format!(
            "the first {} bytes of the input are not those of the earlier run: give the same input \
             from its start, or use another --state file",
            mark.end
        );
        Err(Failure::Invalid(problem))
    }
}

impl Source {
    /// Length in bytes, if it is known.
    fn length(&self) -> Option<u64> {
        match self {
            Self::Stdin => None,
            Self::File(path) => path.metadata().ok().map(|metadata| metadata.len()),
            Self::Argument(text) => Some(wide(text.len())),
        }
    }
}
