//! The life of one stream: created, appended to, read back and ended.

use super::Shared;
use super::follow::{self, Follower};
use super::tally::Timed;
use crate::http::{Answer, Connection};
use crate::sse::Stamp;
use crate::target::Stream;
use anyhow::{Result, bail, ensure};
use std::rc::Rc;
use std::time::Instant;
use tokio::time::sleep_until;

/// Length of a message.
const MESSAGE_BYTES: usize = 256;
/// Appends between two reads of a stream from its start. A few minutes then have enough reads for a
/// meaningful percentile.
const APPENDS_A_READ: u32 = 4;
/// Seconds after which an unused stream of [`Kind::Expiring`] expires.
const TTL_SECS: u32 = 20;

/// How an actor uses its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Bytes, appended without a producer.
    Plain,
    /// JSON, appended by an idempotent producer.
    Produced,
    /// Bytes. The actor leaves the stream to expire.
    Expiring,
    /// Bytes, forked after half of the appends. The fork then changes no more.
    Forked,
    /// Text that an SSE reader follows.
    Followed,
    /// Text that a reader follows by long-polls.
    Polled,
}

impl Kind {
    /// Of ten actors: three plain, two producers, one each expiring, forked and polled, two
    /// followed.
    pub(super) const fn of_actor(number: usize) -> Self {
        match number % 10 {
            0..=2 => Self::Plain,
            3 | 4 => Self::Produced,
            5 => Self::Expiring,
            6 => Self::Forked,
            7 | 8 => Self::Followed,
            _ => Self::Polled,
        }
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Plain | Self::Expiring | Self::Forked => "application/octet-stream",
            Self::Produced => "application/json",
            Self::Followed | Self::Polled => "text/plain",
        }
    }
}

/// One stream with its expected content.
pub(super) struct Life<'a> {
    shared: &'a Rc<Shared>,
    kind: Kind,
    connection: &'a mut Connection,
    stream: Stream,
    /// All acknowledged bytes.
    written: Vec<u8>,
    appends: u32,
    /// The fork and its expected content.
    fork: Option<(Stream, Vec<u8>)>,
    follower: Option<Follower>,
}

impl<'a> Life<'a> {
    /// Creates the stream and starts its follower, if it has one.
    pub(super) async fn begin(
        shared: &'a Rc<Shared>,
        kind: Kind,
        connection: &'a mut Connection,
    ) -> Result<Self> {
        let stream = shared.target.stream(shared.tally.next_stream());
        let mut fields = format!("content-type: {}\r\n", kind.content_type());
        if kind == Kind::Expiring {
            fields += &format!("stream-ttl: {TTL_SECS}\r\n");
        }
        let request = shared.target.request("PUT", &stream, &fields, &[]);
        expect(&connection.exchange(&request).await?, 201, "PUT")?;
        shared.tally.done("create");
        let follower = match kind {
            Kind::Followed => Some(follow::by_sse(shared, &stream).await?),
            Kind::Polled => Some(follow::by_polls(shared, &stream).await?),
            _ => None,
        };
        Ok(Self {
            shared,
            kind,
            connection,
            stream,
            written: Vec::new(),
            appends: 0,
            fork: None,
            follower,
        })
    }

    /// Appends at the due times, then reads back and ends the stream.
    pub(super) async fn run(mut self, due: &mut Instant) -> Result<()> {
        while self.appends < self.shared.appends && !self.shared.is_over() {
            sleep_until((*due).into()).await;
            self.append(*due).await?;
            *due += self.shared.interval;
            if self.kind == Kind::Forked && self.appends == self.shared.appends / 2 {
                self.fork().await?;
            }
            if self.appends.is_multiple_of(APPENDS_A_READ) {
                self.read_back(&self.stream.clone(), &self.content())
                    .await?;
            }
        }
        self.end().await
    }

    async fn append(&mut self, due: Instant) -> Result<()> {
        let stamp = Stamp {
            seq: self.appends,
            nanos: due.duration_since(self.shared.begun).as_nanos() as u64,
        };
        let mut message = stamp.message(MESSAGE_BYTES);
        let mut fields = format!("content-type: {}\r\n", self.kind.content_type());
        if self.kind == Kind::Produced {
            message = [b"\"", &*message, b"\""].concat();
            fields += &format!(
                "producer-id: soak\r\nproducer-epoch: 0\r\nproducer-seq: {}\r\n",
                self.appends
            );
        }
        let request = self
            .shared
            .target
            .request("POST", &self.stream, &fields, &message);
        let answer = self.connection.exchange(&request).await?;
        let wanted = if self.kind == Kind::Produced {
            200
        } else {
            204
        };
        expect(&answer, wanted, "POST")?;
        self.shared.tally.timed(Timed::Append, due.elapsed());
        self.shared.tally.done("append");
        self.appends += 1;
        if self.kind == Kind::Produced && !self.written.is_empty() {
            self.written.push(b',');
        }
        self.written.extend_from_slice(&message);
        Ok(())
    }

    async fn fork(&mut self) -> Result<()> {
        let fork = self.shared.target.stream(self.shared.tally.next_stream());
        let fields = format!("stream-forked-from: {}\r\n", self.stream.path());
        let mut written = self.written.clone();
        let request = self.shared.target.request("PUT", &fork, &fields, b"fork");
        expect(&self.connection.exchange(&request).await?, 201, "fork")?;
        self.shared.tally.done("fork");
        written.extend_from_slice(b"fork");
        self.fork = Some((fork, written));
        Ok(())
    }

    async fn end(mut self) -> Result<()> {
        let stream = self.stream.clone();
        self.read_back(&stream, &self.content()).await?;
        if let Some(follower) = self.follower.take() {
            let fields = "stream-closed: true\r\n";
            let request = self.shared.target.request("POST", &stream, fields, &[]);
            expect(&self.connection.exchange(&request).await?, 204, "close")?;
            self.shared.tally.done("close");
            follower.saw(self.appends).await?;
        }
        let fork = self.fork.take();
        if let Some((fork, written)) = &fork {
            self.read_back(fork, written).await?;
        }
        if self.kind != Kind::Expiring {
            self.delete(&stream).await?;
        }
        if let Some((fork, written)) = &fork {
            // The source is deleted. The fork must still have its bytes.
            self.read_back(fork, written).await?;
            self.delete(fork).await?;
        }
        Ok(())
    }

    /// Reads a stream from its start and compares it with the acknowledged bytes.
    async fn read_back(&mut self, stream: &Stream, written: &[u8]) -> Result<()> {
        let begun = Instant::now();
        let request = self.shared.target.read(stream, "", "-1");
        let answer = self.connection.exchange(&request).await?;
        expect(&answer, 200, "GET")?;
        ensure!(
            answer.body == written,
            "a read gave {} bytes that are not the {} acknowledged",
            answer.body.len(),
            written.len()
        );
        self.shared.tally.timed(Timed::Read, begun.elapsed());
        self.shared.tally.done("read");
        Ok(())
    }

    /// Expected body of a read of the stream from its start.
    fn content(&self) -> Vec<u8> {
        match self.kind {
            Kind::Produced => [b"[", &*self.written, b"]"].concat(),
            _ => self.written.clone(),
        }
    }

    async fn delete(&mut self, stream: &Stream) -> Result<()> {
        let request = self.shared.target.request("DELETE", stream, "", &[]);
        expect(&self.connection.exchange(&request).await?, 204, "DELETE")?;
        self.shared.tally.done("delete");
        Ok(())
    }
}

pub(super) fn expect(answer: &Answer<'_>, status: u16, name: &str) -> Result<()> {
    if answer.status != status {
        bail!("{name} was answered {}", answer.status);
    }
    Ok(())
}
