//! Readers that follow a stream until it is closed.

use super::Shared;
use super::tally::Timed;
use crate::http::{Body, Connection};
use crate::sse::{Events, Seen, Stamp, stamps};
use crate::target::Stream;
use anyhow::{Context, Result, bail, ensure};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::timeout;

/// Time for the last messages to arrive after the stream was closed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A reader task. It returns the number of messages it received.
#[derive(Debug)]
pub(super) struct Follower(JoinHandle<Result<u32>>);

impl Follower {
    /// Waits for the reader's end. Fails unless the reader saw exactly `appended` messages in
    /// order.
    pub(super) async fn saw(self, appended: u32) -> Result<()> {
        let seen = timeout(PATIENCE, self.0).await;
        let seen = seen.context("a reader did not end with its stream")???;
        ensure!(
            seen == appended,
            "a reader saw {seen} of {appended} messages"
        );
        Ok(())
    }
}

/// Counts messages and checks their order.
#[derive(Debug, Default)]
struct Messages {
    seen: u32,
    out_of_order: bool,
}

impl Messages {
    fn take(&mut self, stamp: Stamp) {
        self.out_of_order |= stamp.seq != self.seen;
        self.seen += 1;
    }

    fn ended(self) -> Result<u32> {
        ensure!(!self.out_of_order, "messages out of order");
        Ok(self.seen)
    }
}

/// Starts a reader with one SSE connection. Each message is timed.
pub(super) async fn by_sse(shared: &Rc<Shared>, stream: &Stream) -> Result<Follower> {
    let request = shared.target.read(stream, "live=sse&", "-1");
    let connection = Connection::open(shared.target.address).await?;
    let (head, socket, first) = connection.open_body(&request).await?;
    ensure!(head.status == 200, "SSE was answered {}", head.status);
    let shared = Rc::clone(shared);
    let reads = async move { read_events(&shared, Body::new(head.framing), socket, first).await };
    Ok(Follower(spawn_local(reads)))
}

async fn read_events(
    shared: &Shared,
    mut body: Body,
    mut socket: TcpStream,
    first: Vec<u8>,
) -> Result<u32> {
    let (mut events, mut messages) = (Events::default(), Messages::default());
    let mut part = first;
    loop {
        let now = Instant::now();
        body.take(&part, |part| {
            events.take(part, |seen| {
                if let Seen::Message(stamp) = seen {
                    messages.take(stamp);
                    let sent = shared.begun + Duration::from_nanos(stamp.nanos);
                    let age = now.saturating_duration_since(sent);
                    shared.tally.timed(Timed::Delivery, age);
                    shared.tally.done("delivery");
                }
            });
        })?;
        if body.ended() {
            return messages.ended();
        }
        part.clear();
        if socket.read_buf(&mut part).await? == 0 {
            bail!("an SSE reader was cut off");
        }
    }
}

/// Starts a reader that sends one long-poll after another.
pub(super) async fn by_polls(shared: &Rc<Shared>, stream: &Stream) -> Result<Follower> {
    let connection = Connection::open(shared.target.address).await?;
    let (shared, stream) = (Rc::clone(shared), stream.clone());
    let polls = async move { poll(&shared, &stream, connection).await };
    Ok(Follower(spawn_local(polls)))
}

async fn poll(shared: &Shared, stream: &Stream, mut connection: Connection) -> Result<u32> {
    let mut messages = Messages::default();
    let mut offset = "-1".to_owned();
    loop {
        let request = shared.target.read(stream, "live=long-poll&", &offset);
        let answer = connection.exchange(&request).await?;
        ensure!(
            matches!(answer.status, 200 | 204),
            "a long-poll was answered {}",
            answer.status
        );
        shared.tally.done("long-poll");
        stamps(answer.body, |stamp| messages.take(stamp));
        let next = answer.field("stream-next-offset");
        next.context("a long-poll without an offset")?
            .clone_into(&mut offset);
        if answer.field("stream-closed").is_some() {
            return messages.ended();
        }
    }
}
