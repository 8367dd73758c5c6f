//! State of a request between the steps that start it. Opaque to drivers, which keep it with the
//! requests.

use super::progress::{Commit, CreateProgress, Election, ForkAttempt, SharedCreation};
use super::reply::Reply;
use super::transient;
use super::transient::Corrupt;
use crate::limits::Config;
use crate::protocol::json;
use crate::stream::{Incarnation, Position};
use serde::{Deserialize, Serialize};

/// An attempt of one of the writes, or of a read that begins near the tail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Attempt {
    Append(AppendAttempt),
    Create(CreateAttempt),
    Delete(DeleteAttempt),
    Control(Box<ControlAttempt>),
    Tick(TickAttempt),
    Tail(TailAttempt),
    Adopt(AdoptAttempt),
}

/// Appends that are committed together.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct AppendAttempt {
    /// When to give up, milliseconds since 1970.
    pub(super) deadline_ms: u64,
    /// Steps that ended with a wait.
    pub(super) tries: u32,
    /// The swap that may have been applied.
    pub(super) pending: Option<Pending>,
}

/// A swap with an unknown outcome, and everything that makes the same bytes again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    /// The commit's id.
    pub(super) id: u64,
    /// The version it was built on.
    pub(super) base: u64,
    pub(super) incarnation: Incarnation,
    /// The clock of the instance that built it, milliseconds since 1970.
    pub(super) clock_ms: u64,
    /// Whether it gives the stream a lease, or a shorter one.
    pub(super) sets_lease: bool,
    pub(super) budget: usize,
    /// The store's timeline.
    pub(super) timeline: u64,
    /// Ids of its chunks, which are stored.
    pub(super) chunks: Vec<u64>,
    /// The replies if it is applied.
    pub(super) replies: Vec<Reply>,
    /// Whether it was sent more than once.
    pub(super) resent: bool,
    /// Whether other commits had passed when the swap was built.
    pub(super) contended: bool,
}

/// A creation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CreateAttempt {
    pub(super) deadline_ms: u64,
    pub(super) tries: u32,
    /// The new life.
    pub(super) incarnation: Incarnation,
    pub(super) now_ms: u64,
    pub(super) budget: usize,
    /// The store's timeline.
    pub(super) timeline: u64,
    /// Ids drawn so far for its chunks.
    pub(super) chunks: Vec<u64>,
    /// Whether the chunks are stored.
    pub(super) stored: bool,
    /// The registry leaf that has the name.
    pub(super) leaf: Option<u32>,
    /// The tombstone that a swap was to replace, by its life and version. The swap may have been
    /// applied.
    pub(super) sent: Option<(Incarnation, u64)>,
    /// The reply if the sent write is applied. Other writers may append before this step finds out.
    pub(super) reply: Option<Reply>,
    pub(super) election: Election,
    pub(super) shared: SharedCreation,
    /// State of a fork, once its source was read.
    pub(super) fork: Option<ForkAttempt>,
}

/// A deletion.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct DeleteAttempt {
    pub(super) deadline_ms: u64,
    pub(super) tries: u32,
    /// The life that a swap was sent to end.
    pub(super) sent: Option<Incarnation>,
    /// Whether that life was over by itself.
    pub(super) expired: bool,
    pub(super) shared: SharedCreation,
}

/// An adoption of producers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct AdoptAttempt {
    /// When to give up, milliseconds since 1970.
    pub(super) deadline_ms: u64,
    pub(super) tries: u32,
    /// Whether a swap may be under way, or done.
    pub(super) sent: bool,
}

/// A control call.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct ControlAttempt {
    pub(super) deadline_ms: u64,
    pub(super) tries: u32,
    pub(super) now_ms: u64,
    /// Its change; the id is also the life of the subscription it creates.
    pub(super) commit: Commit,
    /// The full id of its subscription, once known.
    pub(super) id: Option<String>,
    /// The life that it ends.
    pub(super) ended: Option<u64>,
    /// Progress of a creation, or of the naming of more streams.
    pub(super) create: CreateProgress,
}

/// Background work that a scheduler asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TickAttempt {
    /// When it ends, milliseconds since 1970.
    pub(super) deadline_ms: u64,
    /// Consecutive looks that found nothing to do.
    pub(super) idle: u32,
    /// Where the next look begins.
    pub(super) round: u64,
    /// Number of pieces of work done.
    pub(super) pieces: u64,
    /// Earliest time at which something is due, as far as this tick saw.
    pub(super) due_ms: Option<u64>,
}

/// A search for the place of a stream that has a number of messages or bytes after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TailAttempt {
    /// The life that it searches.
    pub(super) incarnation: Incarnation,
    /// The place from which on everything is counted. In a JSON stream, a message ends here.
    pub(super) at: Position,
    /// Messages or bytes to count before `at`.
    pub(super) left: u64,
    /// The messages just before `at`, if only some of them were read.
    pub(super) run: Option<TailRun>,
}

/// Messages that are read forward, from the beginning of a segment that begins with a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TailRun {
    /// Number of that segment.
    pub(super) first: u64,
    /// The place up to which the messages were read.
    pub(super) at: Position,
    pub(super) ends: json::Ends,
    /// Messages that end at or before `at`.
    pub(super) found: u64,
    /// Once all messages are counted: how many more to skip.
    pub(super) skip: Option<u64>,
}

impl Attempt {
    /// Encodes the attempt for the driver to keep.
    pub(super) fn encode(&self) -> Vec<u8> {
        transient::encode(self)
    }

    /// Decodes an attempt that a driver kept.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        transient::decode(bytes)
    }
}

impl AppendAttempt {
    pub(super) fn new(config: &Config, now_ms: u64) -> Self {
        Self {
            deadline_ms: deadline(config, now_ms),
            ..Self::default()
        }
    }
}

impl CreateAttempt {
    pub(super) fn new(config: &Config, now_ms: u64, random: impl Fn() -> u64) -> Self {
        let mut incarnation = [0; 16];
        let bytes = random()
            .to_be_bytes()
            .into_iter()
            .chain(random().to_be_bytes());
        for (to, from) in incarnation.iter_mut().zip(bytes) {
            *to = from;
        }
        Self {
            deadline_ms: deadline(config, now_ms),
            tries: 0,
            incarnation: Incarnation(incarnation),
            now_ms,
            budget: config.inline_tail_bytes,
            timeline: config.timeline,
            chunks: Vec::new(),
            stored: false,
            leaf: None,
            sent: None,
            reply: None,
            election: Election::default(),
            shared: SharedCreation::default(),
            fork: None,
        }
    }
}

impl ControlAttempt {
    pub(super) fn new(config: &Config, now_ms: u64, commit: u64) -> Self {
        Self {
            deadline_ms: deadline(config, now_ms),
            now_ms,
            commit: Commit::new(commit),
            ..Self::default()
        }
    }
}

impl AdoptAttempt {
    pub(super) fn new(config: &Config, now_ms: u64) -> Self {
        Self {
            deadline_ms: deadline(config, now_ms),
            ..Self::default()
        }
    }
}

impl DeleteAttempt {
    pub(super) fn new(config: &Config, now_ms: u64) -> Self {
        Self {
            deadline_ms: deadline(config, now_ms),
            ..Self::default()
        }
    }
}

const fn deadline(config: &Config, now_ms: u64) -> u64 {
    now_ms.saturating_add(config.commit_deadline_ms)
}
