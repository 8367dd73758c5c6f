//! Many SSE readers of one stream that is appended to at a steady rate.

use super::{Failures, ScenarioResult};
use crate::cli::Measure;
use crate::histogram::Histogram;
use crate::http::{Body, Connection};
use crate::sse::{Events, Seen, Stamp};
use crate::target::{Stream, Target};
use crate::window::{Mark, Watched};
use anyhow::{Context, Result, ensure};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

const CONTENT_TYPE: &str = "text/plain";

/// How long the last deliveries may take before they count as lost.
const PATIENCE: Duration = Duration::from_secs(15);

/// State shared by the readers.
#[derive(Debug)]
struct Shared {
    /// Zero point of the timestamps in the messages.
    epoch: Instant,
    /// Readers that have seen their first event, or ended without one.
    live: Cell<u64>,
    delivered: Cell<u64>,
    measured: Cell<bool>,
    latencies: RefCell<Histogram>,
    failures: RefCell<Failures>,
    progress: Notify,
}

impl Shared {
    fn deliver(&self, stamp: Stamp, now: Instant) {
        self.delivered.set(self.delivered.get() + 1);
        if self.measured.get() {
            let age = now
                .saturating_duration_since(self.epoch)
                .saturating_sub(Duration::from_nanos(stamp.nanos));
            self.latencies.borrow_mut().record(age);
        }
    }

    /// Waits until `count` reaches `wanted`. Returns how many are missing after [`PATIENCE`].
    async fn wait(&self, count: &Cell<u64>, wanted: u64) -> u64 {
        let reached = async {
            while count.get() < wanted {
                self.progress.notified().await;
            }
        };
        match timeout(PATIENCE, reached).await {
            Ok(()) => 0,
            Err(_) => wanted.saturating_sub(count.get()),
        }
    }
}

pub(super) async fn run(
    args: &Measure,
    target: &Target,
    watched: Watched,
) -> Result<ScenarioResult> {
    ensure!(args.load.rate > 0, "the rate is at least one a second");
    let shared = Rc::new(Shared {
        epoch: Instant::now(),
        live: Cell::new(0),
        delivered: Cell::new(0),
        measured: Cell::new(false),
        latencies: RefCell::default(),
        failures: RefCell::default(),
        progress: Notify::new(),
    });
    let stream = target.stream(0);
    let mut appender = Appender::new(args, target, stream.clone(), Rc::clone(&shared)).await?;
    let readers = open_readers(args, target, &stream, &shared).await?;
    let count = args.load.readers as u64;

    appender.send_for(args.warm_up).await?;
    let missing = shared
        .wait(&shared.delivered, count * u64::from(appender.sent))
        .await;
    ensure!(
        missing == 0,
        "{missing} deliveries of the warm-up are missing"
    );

    let warmed_up = shared.delivered.get();
    shared.measured.set(true);
    let begun = Mark::now(watched)?;
    appender.send_for(args.seconds).await?;
    let missing = shared
        .wait(&shared.delivered, count * u64::from(appender.sent))
        .await;
    let ended = Mark::now(watched)?;
    if missing > 0 {
        let mut failures = shared.failures.borrow_mut();
        failures.add("not delivered".to_owned(), missing);
    }
    drop(readers);
    Ok(ScenarioResult {
        operations: shared.delivered.get() - warmed_up,
        latencies: shared.latencies.take(),
        failures: shared.failures.take(),
        cost: begun.until(&ended),
    })
}

/// Opens the readers one after the other, so that the backlog of the listener does not overflow.
/// Then waits until each reader has its first event.
async fn open_readers(
    args: &Measure,
    target: &Target,
    stream: &Stream,
    shared: &Rc<Shared>,
) -> Result<JoinSet<()>> {
    let request = target.read(stream, "live=sse&", "now");
    let mut readers = JoinSet::new();
    for number in 0..args.load.readers {
        let opened = async {
            let connection = Connection::open(target.address).await?;
            connection.open_body(&request).await
        };
        let (head, socket, first) = opened
            .await
            .with_context(|| format!("reader {number} could not connect"))?;
        ensure!(
            head.status == 200,
            "reader {number} was answered {}",
            head.status
        );
        let reader = Reader {
            shared: Rc::clone(shared),
            body: Body::new(head.framing),
            events: Events::default(),
            live: false,
            next: 0,
        };
        readers.spawn_local(reader.run(socket, first));
    }
    let silent = shared.wait(&shared.live, args.load.readers as u64).await;
    ensure!(silent == 0, "{silent} readers saw no first event");
    Ok(readers)
}

/// Sends appends at their due times.
struct Appender<'a> {
    args: &'a Measure,
    target: &'a Target,
    stream: Stream,
    connection: Connection,
    shared: Rc<Shared>,
    sent: u32,
}

impl<'a> Appender<'a> {
    async fn new(
        args: &'a Measure,
        target: &'a Target,
        stream: Stream,
        shared: Rc<Shared>,
    ) -> Result<Self> {
        let mut connection = Connection::open(target.address).await?;
        target
            .create(&mut connection, &stream, CONTENT_TYPE)
            .await?;
        Ok(Self {
            args,
            target,
            stream,
            connection,
            shared,
            sent: 0,
        })
    }

    async fn send_for(&mut self, seconds: f64) -> Result<()> {
        let load = &self.args.load;
        let begun = Instant::now();
        for number in 0..(seconds * f64::from(load.rate)).round() as u32 {
            let due = begun + Duration::from_secs(1) * number / load.rate;
            // A delayed append is timed from its due time, so that a slow predecessor counts.
            let sent_at = if Instant::now() < due {
                sleep_until(due.into()).await;
                Instant::now()
            } else {
                due
            };
            let stamp = Stamp {
                seq: self.sent,
                nanos: sent_at.duration_since(self.shared.epoch).as_nanos() as u64,
            };
            let message = stamp.message(load.body_bytes);
            let request = self.target.append(&self.stream, CONTENT_TYPE, &message);
            let answer = self.connection.exchange(&request).await?;
            ensure!(
                (200..300).contains(&answer.status),
                "an append was answered {}",
                answer.status
            );
            self.sent += 1;
        }
        Ok(())
    }
}

/// One SSE reader.
struct Reader {
    shared: Rc<Shared>,
    body: Body,
    events: Events,
    live: bool,
    /// Sequence number of the next expected message.
    next: u32,
}

impl Reader {
    async fn run(mut self, mut socket: TcpStream, first: Vec<u8>) {
        let mut part = first;
        let ended = loop {
            if let Some(kind) = self.take(&part) {
                break kind;
            }
            part.clear();
            match socket.read_buf(&mut part).await {
                Ok(0) => break "reader cut off".to_owned(),
                Ok(_) => {}
                Err(error) => break format!("reader: {}", error.kind()),
            }
        };
        self.shared.failures.borrow_mut().add(ended, 1);
    }

    /// Parses received bytes. Returns the reason if the reader ends.
    fn take(&mut self, part: &[u8]) -> Option<String> {
        let Self {
            shared,
            body,
            events,
            live,
            next,
        } = self;
        let now = Instant::now();
        let was_live = *live;
        let mut out_of_order = 0;
        let taken = body.take(part, |part| {
            events.take(part, |seen| match seen {
                Seen::Event => *live = true,
                Seen::Message(stamp) => {
                    shared.deliver(stamp, now);
                    out_of_order += u64::from(stamp.seq != *next);
                    *next = stamp.seq.wrapping_add(1);
                }
            });
        });
        if *live && !was_live {
            shared.live.set(shared.live.get() + 1);
        }
        if out_of_order > 0 {
            let mut failures = shared.failures.borrow_mut();
            failures.add("out of order".to_owned(), out_of_order);
        }
        shared.progress.notify_one();
        match taken {
            Err(malformed) => Some(malformed.to_string()),
            Ok(()) if body.ended() => Some("reader ended by the server".to_owned()),
            Ok(()) => None,
        }
    }
}
