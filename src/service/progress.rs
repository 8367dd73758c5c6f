//! Progress of a write between its steps, and the news of an append: plain types that an attempt
//! keeps.

use crate::keys::NameHash;
use crate::limits::CREATION_PATIENCE_MS;
use crate::stream::{Head, Incarnation, LifeMark, Position, Subscriber};
use serde::{Deserialize, Serialize};

/// Progress of a candidate for the creation of a record; its attempt keeps it during waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Election {
    /// The gate it is at.
    pub(super) gate: u32,
    /// Whether it raised that gate. Once is enough, and each raise is a write.
    pub(super) asked: bool,
    /// Whether that gate elected it.
    pub(super) owner: bool,
    /// Whether it has written the record from nothing. It never does so twice behind one gate: the
    /// first write may still be under way, and would overwrite all later writes.
    pub(super) sent: bool,
    /// Whether a write that makes the record visible may be under way, or done.
    pub(super) confirming: bool,
    /// The sum of its waits at this gate, in milliseconds.
    pub(super) waited_ms: u64,
    /// Patience that background work draws at random, because it keeps nothing between its calls.
    /// It counts as time waited at the first gate with a wait. Requests have none.
    #[serde(skip)]
    pub(super) drawn_ms: u64,
}

impl Election {
    /// A candidate at `gate` that has not begun.
    pub(super) fn at(gate: u32) -> Self {
        Self {
            gate,
            ..Self::default()
        }
    }

    /// Moves on to the next gate, since another candidate gave up this gate's creator.
    pub(super) fn skip(&mut self) {
        let drawn_ms = self.drawn_ms;
        self.pass();
        self.drawn_ms = drawn_ms;
    }

    /// Moves on to the next gate, not elected there yet.
    pub(super) fn pass(&mut self) {
        *self = Self::at(self.gate.saturating_add(1));
    }

    /// Counts a wait of `ms`. False if the patience with this gate's creator is over; then the
    /// candidate has passed the gate.
    pub(super) fn wait(&mut self, ms: u64) -> bool {
        if self.waited_ms.saturating_add(self.drawn_ms) >= CREATION_PATIENCE_MS {
            self.pass();
            return false;
        }
        self.waited_ms = self.waited_ms.saturating_add(ms);
        true
    }

    /// Extension of a request's deadline for its wait for this creation: the patience with one
    /// creator, and the time to take over. Zero until the request has waited.
    pub(super) const fn extra_ms(&self) -> u64 {
        match self.waited_ms > 0 || self.gate > 0 {
            true => CREATION_PATIENCE_MS.saturating_mul(2),
            false => 0,
        }
    }
}

/// Changes of shared records in one attempt, and the creation of such a record by the first request
/// that needs it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct SharedCreation {
    /// The record under creation.
    pub(super) id: String,
    /// Progress of its creation.
    pub(super) election: Election,
    /// Whether a shared record may have been changed in this step.
    #[serde(skip)]
    pub(super) wrote: bool,
}

/// Progress of the creation of a fork.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ForkAttempt {
    /// The life of the source.
    pub(super) source: Incarnation,
    /// The fork's head without bytes of its own; empty until the source has its step.
    pub(super) branch: Vec<u8>,
    /// Whether the to-do entry may exist.
    pub(super) noted: bool,
    /// Whether a swap that adds the step may be under way.
    pub(super) sent: bool,
    /// Whether the fork's head may exist, pending.
    pub(super) written: bool,
}

/// Progress of the creation of a subscription, or of the naming of more streams.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct CreateProgress {
    pub(super) election: Election,
    pub(super) shared: SharedCreation,
    /// Whether the subscription is in the list.
    pub(super) listed: bool,
    /// Number of named streams that were read.
    pub(super) named: u64,
    /// Shard and leaf of the walk through the registry.
    pub(super) shard: u8,
    pub(super) leaf: u32,
    /// The last name of that leaf that was linked, by its life.
    pub(super) after: Option<Incarnation>,
    /// The tails of the named streams that were read.
    pub(super) tails: Vec<Position>,
    /// The life of the subscription that got the names.
    pub(super) named_to: Option<u64>,
    /// Indexes of the streams that were not named before.
    pub(super) fresh: Vec<usize>,
}

/// A change of a subscription's record, and the knowledge of its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Commit {
    /// The id of the change, drawn once. The creation of a subscription also uses it as its life.
    pub(super) id: u64,
    /// Whether the record may have been changed.
    pub(super) wrote: bool,
    /// The change that was sent and may still be applied.
    pub(super) doubt: Option<PendingWrite>,
}

impl Commit {
    /// A change that was not sent yet.
    pub(super) fn new(id: u64) -> Self {
        Self {
            id,
            ..Self::default()
        }
    }
}

/// A change of a subscription that was sent, but neither confirmed nor refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PendingWrite {
    /// The subscription, by the hash of its id.
    pub(super) hash: NameHash,
    pub(super) life: u64,
    /// The version it was built on.
    pub(super) base: u64,
}

/// News of an append, for the subscriptions that are linked to the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct News {
    /// The stream.
    pub(super) name: String,
    /// The life of its name.
    pub(super) life: LifeMark,
    /// Its tail.
    pub(super) tail: Position,
    /// The linked subscriptions.
    pub(super) subscribers: Vec<Subscriber>,
}

impl News {
    /// News of the stream with this head, for these subscriptions.
    pub(super) fn of(head: &Head, subscribers: Vec<Subscriber>) -> Self {
        Self {
            name: head.name.clone(),
            life: head.incarnation.mark(),
            tail: head.tail(),
            subscribers,
        }
    }
}
