//! Appends and closes (sections 5.2 and 5.3), one or several in one commit.

use super::producer::{Standing, place, standing};
use super::segment::settle;
use super::{Closed, ContentType, Head, Producer, ProducerState, Settled};

/// The bytes of an append, as they are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Any bytes.
    Bytes(Vec<u8>),
    /// JSON messages, each followed by a comma, and ascending places just behind commas, the last
    /// one's among them.
    Messages {
        /// The messages.
        bytes: Vec<u8>,
        /// Where messages end.
        ends: Vec<usize>,
    },
}

impl Payload {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) | Self::Messages { bytes, .. } => bytes,
        }
    }
}

/// Why a body is no JSON messages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMessages {
    /// Not JSON (section 9.1.4).
    #[error("{0}")]
    NotJson(String),
    /// An empty array, which has no meaning in an append (section 9.1.3).
    #[error("Empty JSON arrays are not permitted for append")]
    EmptyArray,
}

/// An append, a close or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// What to add; `None` only to close. A body that is no JSON is refused only where a JSON
    /// stream was found.
    pub payload: Option<Result<Payload, InvalidMessages>>,
    /// The content type given.
    pub content_type: Option<ContentType>,
    /// `Stream-Seq`.
    pub seq: Option<Vec<u8>>,
    /// The producer.
    pub producer: Option<Producer>,
    /// Whether to close the stream.
    pub close: bool,
}

/// The limits an append is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendLimits {
    /// Largest stream, 0 for no limit.
    pub stream_bytes: u64,
    /// Most producers.
    pub producers: usize,
    /// Idle time, in milliseconds, after which a producer may be forgotten.
    pub producer_idle_ms: u64,
}

/// Why an append was refused; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The producer's epoch ended.
    #[error("Producer epoch fenced: current {current}, received {received}")]
    Fenced {
        /// The epoch that is in force.
        current: u64,
        /// The one given.
        received: u64,
    },
    /// The stream is closed. The place is that of its tail, see [`Settled::position`].
    #[error("Stream is closed")]
    Closed {
        /// Bytes from the beginning of the open segment to the tail.
        tail: u64,
    },
    /// Another content type.
    #[error("Content type mismatch: expected {expected}, got {actual}")]
    ContentType {
        /// The stream's.
        expected: String,
        /// The one given.
        actual: String,
    },
    /// No JSON messages.
    #[error(transparent)]
    Messages(InvalidMessages),
    /// A new epoch that does not begin with 0.
    #[error("Invalid producer state: a new epoch must start at seq 0")]
    EpochStart,
    /// Appends before this one are missing.
    #[error("Producer sequence gap: expected {expected}, got {received}")]
    Gap {
        /// The one that would be next.
        expected: u64,
        /// The one given.
        received: u64,
    },
    /// `Stream-Seq` does not rise.
    #[error("Stream-Seq ordering violation: last={last}, received={received}")]
    Seq {
        /// The last accepted.
        last: String,
        /// The one given.
        received: String,
    },
    /// As many producers as may be, all of them active.
    #[error(
        "The stream remembers as many producers as it may, and none was idle long enough to be forgotten"
    )]
    TooManyProducers,
    /// The stream would become too large.
    #[error("Stream size limit exceeded")]
    StreamFull,
}

/// What an append came to. `tail` is the number of bytes from the beginning of the open segment
/// to the tail after it, see [`Settled::position`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The tail after it.
    pub tail: u64,
    /// Whether the stream is closed.
    pub closed: bool,
    /// Whether anything was added or closed; else it had been before.
    pub fresh: bool,
    /// Epoch and highest accepted sequence number of the producer.
    pub producer: Option<(u64, u64)>,
}

/// Appends on their way into one commit.
#[derive(Debug, Clone)]
pub struct Batch {
    head: Head,
    ends: Vec<usize>,
    grew: bool,
    changed: bool,
}

impl Batch {
    /// A batch on top of `head`.
    #[must_use]
    pub fn new(head: Head) -> Self {
        // The inline tail ends with a whole message, so a cut is possible there.
        let ends = vec![head.inline.len()];
        Self {
            head,
            ends,
            grew: false,
            changed: false,
        }
    }

    /// Whether there is anything to commit.
    #[must_use]
    pub const fn changed(&self) -> bool {
        self.changed
    }

    /// Adds one append at `now_ms`, checking in the order of DESIGN section 7.
    pub fn append(
        &mut self,
        append: &Append,
        limits: &AppendLimits,
        now_ms: u64,
    ) -> Result<Appended, AppendError> {
        let tail = self.head.inline.len() as u64;
        let mark = append.producer.as_ref().map(Producer::mark);
        let known = mark.and_then(|mark| {
            self.head
                .producers
                .iter()
                .find(|state| state.last.id == mark.id)
                .copied()
        });
        let standing = mark.map(|mark| standing(known.as_ref(), &mark));
        if let (Some(Standing::Fenced { current }), Some(mark)) = (standing, mark) {
            return Err(AppendError::Fenced {
                current,
                received: mark.epoch,
            });
        }
        if let Some(closed) = self.head.closed {
            let same = mark.is_some() && closed.by == mark;
            let close_only = append.close && append.payload.is_none();
            if !same && !close_only {
                return Err(AppendError::Closed { tail });
            }
            let producer = known
                .filter(|_| same)
                .map(|known| (known.last.epoch, known.last.seq));
            return Ok(Appended {
                tail,
                closed: true,
                fresh: false,
                producer,
            });
        }
        if let (Some(Standing::Duplicate { highest }), Some(mark)) = (standing, mark) {
            let producer = Some((mark.epoch, highest));
            return Ok(Appended {
                tail,
                closed: false,
                fresh: false,
                producer,
            });
        }
        let payload = self.payload(append)?;
        match (standing, mark) {
            (Some(Standing::BadStart), _) => return Err(AppendError::EpochStart),
            (Some(Standing::Gap { expected }), Some(mark)) => {
                return Err(AppendError::Gap {
                    expected,
                    received: mark.seq,
                });
            }
            _ => {}
        }
        if let (Some(last), Some(received)) = (&self.head.seq, &append.seq)
            && received <= last
        {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            return Err(AppendError::Seq {
                last: text(last),
                received: text(received),
            });
        }
        let slot = mark.map(|mark| {
            place(
                &self.head.producers,
                &mark.id,
                limits.producers,
                limits.producer_idle_ms,
                now_ms,
            )
        });
        let slot = slot
            .transpose()
            .map_err(|_| AppendError::TooManyProducers)?;
        let bytes = payload.map_or(&[][..], Payload::bytes);
        let total = self.head.bytes.saturating_add(bytes.len() as u64);
        if !bytes.is_empty() && limits.stream_bytes != 0 && total > limits.stream_bytes {
            return Err(AppendError::StreamFull);
        }

        let start = self.head.inline.len();
        if let Some(Payload::Messages { ends, .. }) = payload {
            self.ends
                .extend(ends.iter().map(|end| start.saturating_add(*end)));
        }
        self.head.inline.extend_from_slice(bytes);
        self.head.bytes = total;
        self.head.touched_ms = now_ms;
        if let (Some(slot), Some(last)) = (slot, mark) {
            let state = ProducerState {
                last,
                used_ms: now_ms,
            };
            match self.head.producers.get_mut(slot) {
                Some(place) => *place = state,
                None => self.head.producers.push(state),
            }
        }
        if append.seq.is_some() {
            self.head.seq.clone_from(&append.seq);
        }
        if append.close {
            self.head.closed = Some(Closed { by: mark });
        }
        self.grew |= !bytes.is_empty();
        self.changed = true;
        Ok(Appended {
            tail: self.head.inline.len() as u64,
            closed: append.close,
            fresh: true,
            producer: mark.map(|mark| (mark.epoch, mark.seq)),
        })
    }

    /// The body, if the stream takes it: content type, then JSON.
    fn payload<'a>(&self, append: &'a Append) -> Result<Option<&'a Payload>, AppendError> {
        let Some(payload) = &append.payload else {
            return Ok(None);
        };
        let expected = &self.head.content_type;
        match &append.content_type {
            Some(actual) if actual.matches(expected) => {}
            actual => {
                let actual = actual.as_ref().map_or("none", ContentType::as_str);
                return Err(AppendError::ContentType {
                    expected: expected.as_str().to_owned(),
                    actual: actual.to_owned(),
                });
            }
        }
        payload
            .as_ref()
            .map(Some)
            .map_err(|error| AppendError::Messages(error.clone()))
    }

    /// Ends the batch as commit `id`: the head to swap in and what it needs stored first. `budget`
    /// is that of the inline tail; `next_id` draws chunk ids.
    #[must_use]
    pub fn settle(mut self, id: u64, budget: usize, next_id: impl FnMut() -> u64) -> Settled {
        self.head.version = self.head.version.saturating_add(1);
        self.head.ring.push(id, self.head.version);
        let ends = self
            .head
            .content_type
            .is_json()
            .then_some(self.ends.as_slice());
        settle(self.head, ends, self.grew, budget, next_id)
    }

    /// Ends a batch that changed nothing, for the positions in it.
    #[must_use]
    pub fn unchanged(self) -> Settled {
        settle(self.head, None, false, usize::MAX, || 0)
    }
}

#[cfg(test)]
#[path = "append_tests.rs"]
mod tests;
