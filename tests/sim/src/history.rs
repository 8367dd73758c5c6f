//! Events of a run, as clients saw them. The checker knows nothing else.

use std::collections::BTreeMap;
use std::fmt;

/// Offset in a stream: segment and byte, in the order of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Offset(pub(crate) u64, pub(crate) u64);

impl Offset {
    /// Offset where every empty stream ends, and where the first stream of a name begins.
    pub(crate) const ZERO: Self = Self(0, 0);

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (segment, byte) = text.split_once('_')?;
        let fixed = segment.len() == 16 && byte.len() == 16;
        fixed.then(|| Some(Self(segment.parse().ok()?, byte.parse().ok()?)))?
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016}_{:016}", self.0, self.1)
    }
}

/// Body of an append: `messages` messages, which no other append has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Body {
    pub(crate) id: u64,
    pub(crate) messages: u32,
}

/// The producer fields of an append.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Mark {
    pub(crate) producer: String,
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
}

/// When a stream expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    Never,
    /// This many milliseconds after its last use.
    Idle(u64),
    /// At this time of the run, in milliseconds.
    At(u64),
}

/// Where a stream is forked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fork {
    pub(crate) source: String,
    /// `None` for a fork at the tail.
    pub(crate) at: Option<Offset>,
    /// Number of messages after that offset; only of JSON.
    pub(crate) skip: u64,
}

/// Request of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    Create {
        body: Option<Body>,
        ends: Ends,
        close: bool,
        fork: Option<Fork>,
        /// Length of the writer's lease, in seconds.
        lease: Option<u64>,
    },
    Append {
        body: Option<Body>,
        mark: Option<Mark>,
        seq: Option<u64>,
        close: bool,
        /// Why the stream is closed.
        reason: Option<&'static str>,
        /// Length of the writer's lease from now on, in seconds; 0 ends the lease.
        lease: Option<u64>,
        /// The tail that a conditional append expects.
        expected: Option<Offset>,
    },
    Delete,
    Head,
    /// From an offset, from the start, from `now` or near the tail.
    Read {
        from: From,
        live: Live,
    },
}

impl Ask {
    /// A plain append of `body`, without any field.
    pub(crate) const fn append(body: Option<Body>) -> Self {
        Self::Append {
            body,
            mark: None,
            seq: None,
            close: false,
            reason: None,
            lease: None,
            expected: None,
        }
    }

    /// A close without a body, for this reason.
    pub(crate) const fn close(reason: Option<&'static str>) -> Self {
        Self::Append {
            body: None,
            mark: None,
            seq: None,
            close: true,
            reason,
            lease: None,
            expected: None,
        }
    }

    /// A heartbeat that sets or renews the lease.
    pub(crate) const fn heartbeat(secs: u64) -> Self {
        Self::Append {
            body: None,
            mark: None,
            seq: None,
            close: false,
            reason: None,
            lease: Some(secs),
            expected: None,
        }
    }
}

/// Where a read begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Start,
    Now,
    At(Offset),
    /// This many messages before the tail; only of JSON.
    Tail(u64),
}

/// Behaviour of a read at the tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Live {
    No,
    Poll,
    Sse,
}

/// Answer as the client understands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallResult {
    /// The request was done.
    Done {
        status: u16,
        tail: Option<Offset>,
        closed: bool,
    },
    /// The request was not done, and never will be; status and code.
    Refused(u16, String),
    /// The request may have been done, or may be done later.
    Unknown(String),
}

/// A request and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) client: usize,
    pub(crate) name: String,
    pub(crate) ask: Ask,
    /// Virtual time, in microseconds.
    pub(crate) began: u64,
    pub(crate) ended: u64,
    pub(crate) result: CallResult,
    /// Why the stream was closed, if the answer says so.
    pub(crate) reason: Option<String>,
}

/// A piece of a stream that was sent to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) name: String,
    /// Pages of one run follow each other.
    pub(crate) run: u64,
    /// No later than the start of the step that read it.
    pub(crate) began: u64,
    pub(crate) ended: u64,
    pub(crate) from: From,
    /// Life of the bytes, and the offset where they begin, as far as the tag shows it.
    pub(crate) tag: Option<(String, Offset)>,
    pub(crate) to: Offset,
    pub(crate) bytes: Vec<u8>,
    pub(crate) json: bool,
    pub(crate) at_tail: bool,
    pub(crate) closed: bool,
    /// Why the stream was closed, if the page says so.
    pub(crate) reason: Option<String>,
}

/// A wait of a reader at an offset of a stream; `None` for the tail at that time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) name: String,
    pub(crate) at: Option<Offset>,
    pub(crate) began: u64,
    pub(crate) ended: u64,
}

/// The store went back to an older state, with all instances stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Restore {
    /// When the store was in that state, and when it went back; virtual time, in microseconds.
    pub(crate) taken: u64,
    pub(crate) done: u64,
    /// The tails of its streams in that state.
    pub(crate) tails: BTreeMap<String, Offset>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Call(Call),
    Page(Page),
    Wait(Wait),
    Restore(Restore),
}

/// Conditions of a run that the checker needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Terms {
    /// Most that two clocks may differ, in milliseconds.
    pub(crate) skew_ms: u64,
    /// Whether producers may be forgotten: a full table, and a short idle time.
    pub(crate) forgetful: bool,
    /// Most delay in waking a waiting reader, in microseconds.
    pub(crate) wake_us: u64,
    /// End of the faults. No later request may fail with a server error.
    pub(crate) calm_from: u64,
    pub(crate) leases: LeaseTerms,
}

/// Conditions of a run that the rules about leases need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LeaseTerms {
    /// Whether clocks always agree within `skew_ms`, and the store never goes back.
    pub(crate) timely: bool,
    /// The variable `lease_skew_ms`.
    pub(crate) skew_ms: u64,
    /// Whether instances that began again give writers time.
    pub(crate) grace: bool,
    /// Longest time from the start of a request of unknown outcome to its last effect, in
    /// microseconds.
    pub(crate) doubt_us: u64,
    /// Longest delay in noticing a lapse without faults, in microseconds.
    pub(crate) notice_us: u64,
    /// When the faults end, in microseconds; 0 for a run without faults.
    pub(crate) quiet_from: u64,
}

/// The whole history of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct History {
    pub(crate) terms: Terms,
    pub(crate) events: Vec<Event>,
}

/// The text of message `part` of an append. The text is unique.
pub(crate) fn message(body: Body, part: u32, fill: usize, json: bool) -> String {
    let filler = String::from(filler(body.id)).repeat(fill);
    let Body { id, messages } = body;
    match json {
        true => format!("\"{id}.{part}/{messages}:{fill}:{filler}\""),
        false => format!("<{id}.{part}/{messages}:{fill}:{filler}>"),
    }
}

fn filler(id: u64) -> char {
    char::from(b'a' + (id % 26) as u8)
}

/// A message that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Message {
    pub(crate) body: Body,
    pub(crate) part: u32,
}

/// Reads the inside of a message; `None` if it does not have the form of [`message`].
pub(crate) fn parse_message(text: &str) -> Option<Message> {
    let (id, rest) = text.split_once('.')?;
    let (part, rest) = rest.split_once('/')?;
    let (messages, rest) = rest.split_once(':')?;
    let (fill, padding) = rest.split_once(':')?;
    let id = id.parse().ok()?;
    let fill: usize = fill.parse().ok()?;
    let whole = padding.len() == fill && padding.chars().all(|found| found == filler(id));
    whole.then_some(Message {
        body: Body {
            id,
            messages: messages.parse().ok()?,
        },
        part: part.parse().ok()?,
    })
}
