//! Idempotent producers.

use crate::http::{self, Call, Reply};
use crate::retry::{Schedule, Verdict};
use crate::{Appended, Closed, Error, Offset, Stream, headers};
use bytes::Bytes;
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

/// Options of a producer.
#[derive(Debug, Clone)]
pub struct ProducerOptions {
    /// Id of the producer, which no other running producer of the stream may have. The default is a
    /// random one.
    pub id: Option<String>,
    /// Session of the producer. Default: a new one.
    pub session: Session,
    /// Content type of the appends. If not given, the client asks the server once.
    pub content_type: Option<String>,
    /// Most batches on their way at a time. More than one helps where responses take long. Default:
    /// 2.
    pub in_flight: usize,
    /// Length of the writer's lease in seconds, renewed by each append: the extension `leases`.
    pub lease_secs: Option<u32>,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            id: None,
            session: Session::New,
            content_type: None,
            in_flight: 2,
            lease_secs: None,
        }
    }
}

/// Session of a producer. A server accepts appends of the newest session only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Session {
    /// Begins a new session. Its epoch comes from the clock, so it is greater than those of earlier
    /// sessions. If the server knows a later epoch, the session takes the one after that. Older
    /// sessions of the same id end with [`Error::Fenced`].
    #[default]
    New,
    /// Begins a session with this epoch, and ends with [`Error::Fenced`] if it is an old one.
    Epoch(u64),
    /// Goes on with an earlier session, for example after a restart of the program. The first batch
    /// has the number `next_seq`. It may have reached the server already, so it must be the same
    /// batch as before: the server then takes it as a duplicate. The id is the state's.
    Resume(ProducerState),
}

/// Place of a producer in its session. Keep it to resume the session later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducerState {
    /// Id of the producer.
    pub id: String,
    /// Epoch of the session.
    pub epoch: u64,
    /// Number of the first batch that the server did not acknowledge.
    pub next_seq: u64,
}

impl ProducerState {
    /// Begin of a new session, with an epoch from the clock. The default id is a random one.
    #[must_use]
    pub fn fresh(id: Option<String>) -> Self {
        Self {
            id: id.unwrap_or_else(random_id),
            epoch: new_epoch(SystemTime::now()),
            next_seq: 0,
        }
    }
}

/// Result of an acknowledged batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// Number of the batch in its session.
    pub seq: u64,
    /// Whether the server had the batch already, from an earlier try.
    pub is_duplicate: bool,
    /// Tail after the append, if the server told it.
    pub next_offset: Option<Offset>,
    /// The close, if the batch closed the stream.
    pub closed: Option<Closed>,
}

/// Promise of an [`Ack`]. A dropped ticket cancels nothing.
#[derive(Debug)]
pub struct Ticket {
    seq: u64,
    result: oneshot::Receiver<Result<Ack, Error>>,
}

impl Ticket {
    /// Number of the batch in its session.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Waits for the acknowledgement.
    ///
    /// # Errors
    ///
    /// The failure of the batch, or [`Error::Earlier`] if an earlier batch failed.
    pub async fn acknowledged(self) -> Result<Ack, Error> {
        self.result.await.unwrap_or_else(|_| {
            let problem = "the runtime ended before the batch was acknowledged";
            Err(Error::Setup(problem.to_owned()))
        })
    }
}

/// Idempotent producer: each batch is in the stream exactly once and in order, whatever connections
/// are cut and whatever servers restart.
///
/// Batches are sent by tasks of the Tokio runtime. The first failure ends the session: all later
/// batches fail with [`Error::Earlier`], and none of them is in the stream.
#[derive(Debug)]
pub struct Producer {
    session: Arc<Running>,
    window: Arc<Semaphore>,
    first_seq: u64,
    next_seq: u64,
}

/// State that the tasks of a session share.
#[derive(Debug)]
struct Running {
    stream: Stream,
    id: String,
    content_type: String,
    lease_secs: Option<u32>,
    may_claim: bool,
    progress: watch::Sender<Progress>,
}

#[derive(Debug, Clone)]
struct Progress {
    epoch: u64,
    /// Number after the last acknowledged batch.
    acknowledged: u64,
    next_offset: Option<Offset>,
    failed: Option<Arc<Error>>,
}

impl Producer {
    pub(crate) async fn open(stream: Stream, options: ProducerOptions) -> Result<Self, Error> {
        let content_type = match options.content_type {
            Some(content_type) => content_type,
            None => stream.content_type().await?.to_owned(),
        };
        let may_claim = options.session == Session::New;
        let state = match options.session {
            Session::New => ProducerState::fresh(options.id),
            Session::Epoch(epoch) => ProducerState {
                epoch,
                ..ProducerState::fresh(options.id)
            },
            Session::Resume(state) => state,
        };
        let progress = Progress {
            epoch: state.epoch,
            acknowledged: state.next_seq,
            next_offset: None,
            failed: None,
        };
        let session = Running {
            stream,
            id: state.id,
            content_type,
            lease_secs: options.lease_secs,
            may_claim,
            progress: watch::Sender::new(progress),
        };
        Ok(Self {
            session: Arc::new(session),
            window: Arc::new(Semaphore::new(options.in_flight.max(1))),
            first_seq: state.next_seq,
            next_seq: state.next_seq,
        })
    }

    /// Place in the session, up to the last acknowledged batch.
    #[must_use]
    pub fn state(&self) -> ProducerState {
        let progress = self.session.progress.borrow();
        ProducerState {
            id: self.session.id.clone(),
            epoch: progress.epoch,
            next_seq: progress.acknowledged,
        }
    }

    /// Number of the next batch.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Sends a batch, which must not be empty. Waits while too many batches are on their way. Of a
    /// JSON stream, a batch is one message, or an array of messages. A dropped call sends nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Earlier`] if an earlier batch failed.
    pub async fn send(&mut self, batch: impl Into<Bytes>) -> Result<Ticket, Error> {
        self.enqueue(batch.into(), None).await
    }

    async fn enqueue(
        &mut self,
        batch: Bytes,
        close: Option<Option<String>>,
    ) -> Result<Ticket, Error> {
        if self.next_seq > self.first_seq {
            // Only the first batch may change the epoch.
            self.session.wait(self.first_seq.saturating_add(1)).await?;
        }
        let permit = Arc::clone(&self.window).acquire_owned().await;
        // The semaphore is never closed.
        let permit = permit.map_err(|error| Error::Setup(error.to_string()))?;
        self.session.check()?;
        let seq = self.next_seq;
        self.next_seq = seq.saturating_add(1);
        let (sender, result) = oneshot::channel();
        let session = Arc::clone(&self.session);
        tokio::spawn(async move {
            // A dropped ticket does not want the result.
            let _ = sender.send(session.deliver(seq, batch, close, permit).await);
        });
        Ok(Ticket { seq, result })
    }

    /// Waits until every batch is acknowledged. Returns the tail after the last one, if the server
    /// told it.
    ///
    /// # Errors
    ///
    /// The first failure of the session.
    pub async fn flush(&mut self) -> Result<Option<Offset>, Error> {
        self.session
            .wait(self.next_seq)
            .await
            .map_err(|error| error.root().clone())
    }

    /// Closes the stream after all batches. With `last`, the last data and the close are one step.
    /// The reason is the extension `close-reasons`, which other servers ignore.
    ///
    /// # Errors
    ///
    /// The first failure of the session, or that of the close.
    pub async fn close(
        mut self,
        last: Option<Bytes>,
        reason: Option<&str>,
    ) -> Result<Appended, Error> {
        let last = last.filter(|last| !last.is_empty());
        let Some(last) = last else {
            self.flush().await?;
            return self.session.stream.close(reason).await;
        };
        let ticket = self.enqueue(last, Some(reason.map(str::to_owned))).await?;
        let ack = match ticket.acknowledged().await {
            Ok(ack) => ack,
            Err(error) => return Err(error.root().clone()),
        };
        let next_offset = match ack.next_offset {
            Some(next_offset) => next_offset,
            None => self.session.stream.head().await?.next_offset,
        };
        Ok(Appended {
            next_offset,
            closed: ack.closed,
        })
    }
}

impl Running {
    /// Returns the failure of the session.
    fn check(&self) -> Result<(), Error> {
        match &self.progress.borrow().failed {
            Some(failed) => Err(Error::Earlier(Arc::clone(failed))),
            None => Ok(()),
        }
    }

    /// Waits until all batches before number `seq` are acknowledged.
    async fn wait(&self, seq: u64) -> Result<Option<Offset>, Error> {
        let mut progress = self.progress.subscribe();
        let settled = progress
            .wait_for(|progress| progress.failed.is_some() || progress.acknowledged >= seq)
            .await;
        // The sender lives as long as `self`.
        let settled = settled.map_err(|error| Error::Setup(error.to_string()))?;
        match &settled.failed {
            Some(failed) => Err(Error::Earlier(Arc::clone(failed))),
            None => Ok(settled.next_offset.clone()),
        }
    }

    async fn deliver(
        &self,
        seq: u64,
        batch: Bytes,
        close: Option<Option<String>>,
        _permit: OwnedSemaphorePermit,
    ) -> Result<Ack, Error> {
        let result = self.send(seq, &batch, close.as_ref()).await;
        self.progress.send_modify(|progress| match &result {
            Ok(ack) => {
                let next = seq.saturating_add(1);
                if progress.acknowledged < next {
                    progress.acknowledged = next;
                    progress.next_offset.clone_from(&ack.next_offset);
                }
            }
            Err(error) => {
                progress
                    .failed
                    .get_or_insert_with(|| Arc::new(error.root().clone()));
            }
        });
        result
    }

    async fn send(
        &self,
        seq: u64,
        batch: &Bytes,
        close: Option<&Option<String>>,
    ) -> Result<Ack, Error> {
        let http = self.stream.http();
        let mut schedule = Schedule::new(&http.retry);
        // Whether the server may have accepted an earlier try.
        let mut may_be_applied = false;
        let mut claims = 0;
        loop {
            self.check()?;
            let (epoch, is_next) = {
                let progress = self.progress.borrow();
                (progress.epoch, progress.acknowledged >= seq)
            };
            let call = self.call(epoch, seq, batch, close)?;
            let failure = match http.attempt(&call).await {
                Ok(reply) => return ack(seq, &call, &reply),
                Err(failure) => failure,
            };
            match (failure.verdict, failure.error) {
                (Verdict::Final, Error::Fenced { current })
                    if self.may_claim && seq == 0 && !may_be_applied && claims < CLAIMS =>
                {
                    claims += 1;
                    let epoch = current.saturating_add(1);
                    self.progress.send_modify(|progress| progress.epoch = epoch);
                }
                // Requests may overtake each other. An earlier batch was still on its way when this
                // one was sent, though it may be acknowledged by now.
                (Verdict::Final, Error::SequenceGap { .. }) if !is_next => {
                    self.wait(seq).await?;
                }
                (Verdict::Final, error) => return Err(error),
                (verdict, error) => {
                    may_be_applied |= verdict == Verdict::Unknown;
                    match schedule.next(failure.retry_after, Instant::now()) {
                        Some(pause) => tokio::time::sleep(pause).await,
                        None if may_be_applied => return Err(error.of_unknown_outcome(&call)),
                        None => return Err(error),
                    }
                }
            }
        }
    }

    fn call(
        &self,
        epoch: u64,
        seq: u64,
        batch: &Bytes,
        close: Option<&Option<String>>,
    ) -> Result<Call, Error> {
        let mut call = Call::new(Method::POST, self.stream.url().clone())
            .with("content-type", &self.content_type)?
            .with(headers::PRODUCER_ID, &self.id)?
            .with(headers::PRODUCER_EPOCH, &epoch.to_string())?
            .with(headers::PRODUCER_SEQ, &seq.to_string())?
            .with_some(headers::STREAM_LEASE, self.lease_secs)?
            .with_some(headers::STREAM_CLOSED, close.map(|_| true))?
            .with_some(
                headers::STREAM_CLOSED_REASON,
                close.and_then(Option::as_ref),
            )?;
        call.body = Some(batch.clone());
        Ok(call)
    }
}

/// Most epochs that the first batch of a session tries. Each one that fails was already taken by another
/// session.
const CLAIMS: u32 = 5;

fn ack(seq: u64, call: &Call, reply: &Reply) -> Result<Ack, Error> {
    let is_duplicate = reply.status == StatusCode::NO_CONTENT;
    let next_offset = http::offset(&reply.headers);
    if !is_duplicate && next_offset.is_none() {
        // Another program may answer 200 to everything.
        return Err(call.protocol_error("Stream-Next-Offset is missing"));
    }
    Ok(Ack {
        seq,
        is_duplicate,
        next_offset,
        closed: http::closed(&reply.headers),
    })
}

/// Returns an epoch that grows with the clock: milliseconds, and ten random bits that tell two
/// sessions of one millisecond apart. It stays below 2^53 until the year 2248.
fn new_epoch(now: SystemTime) -> u64 {
    let since = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    // Without randomness, two sessions of one millisecond have the same epoch.
    let random = getrandom::u32().unwrap_or_default() & 0x3FF;
    millis
        .saturating_mul(0x400)
        .saturating_add(u64::from(random))
}

/// Returns an id of 128 random bits.
fn random_id() -> String {
    let mut bytes = [0; 16];
    if getrandom::fill(&mut bytes).is_err() {
        // Without randomness, the epoch still tells sessions apart.
        return "durable-streams-edge-client".to_owned();
    }
    bytes.iter().fold(String::from("client-"), |mut id, byte| {
        // Writing to a string never fails.
        let _ = write!(id, "{byte:02x}");
        id
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_grow_with_the_clock_and_fit_a_javascript_number() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let later = now + Duration::from_millis(1);
        assert!(new_epoch(now) < new_epoch(later));
        assert!(new_epoch(now) < 1 << 53);
    }

    #[test]
    fn random_ids_differ() {
        assert_ne!(random_id(), random_id());
        assert_eq!(random_id().len(), "client-".len() + 32);
    }
}
