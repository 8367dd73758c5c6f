//! Creation (section 5.1).

use super::append::Payload;
use super::settle::{Growth, settle};
use super::{
    Closed, ContentType, Expiry, Forks, Head, Incarnation, Ring, Settled, Timelines, Tombstone,
};

/// What the creator of a stream asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// The content type.
    pub content_type: ContentType,
    /// When it ends by itself.
    pub expiry: Expiry,
    /// Whether it is closed from the start.
    pub close: bool,
}

/// The circumstances of a creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Birth {
    /// The new life's identity.
    pub incarnation: Incarnation,
    /// Leaf of the name registry that holds the name.
    pub leaf: Option<u32>,
    /// Milliseconds since 1970.
    pub now_ms: u64,
    /// The store's timeline, as far as its variable tells.
    pub timeline: u64,
}

/// The timeline of a life that follows the one of `last`, where the store's is `timeline`.
pub(super) fn timeline_after(timeline: u64, last: Option<&Tombstone>) -> u64 {
    timeline.max(last.map_or(0, |last| last.timeline))
}

/// The head of a new stream, and what it needs stored first. It goes on where the tombstone of
/// the name's last life stopped, so that no offset is ever given twice.
#[must_use]
pub fn create(
    name: &str,
    create: &Create,
    payload: Payload,
    birth: Birth,
    after: Option<&Tombstone>,
    budget: usize,
    next_id: impl FnMut() -> u64,
) -> Settled {
    let version = after.map_or(1, |tombstone| tombstone.version.saturating_add(1));
    let first = after.map_or(0, |tombstone| tombstone.next_segment);
    let timeline = timeline_after(birth.timeline, after);
    let (inline, ends) = match payload {
        Payload::Bytes(bytes) => (bytes, None),
        Payload::Messages { bytes, ends } => (bytes, Some(ends)),
    };
    let grew = !inline.is_empty();
    let head = Head {
        name: name.to_owned(),
        incarnation: birth.incarnation,
        version,
        born: version,
        ring: Ring::default(),
        content_type: create.content_type.clone(),
        created_ms: birth.now_ms,
        expiry: create.expiry,
        touched_ms: birth.now_ms,
        closed: create.close.then_some(Closed { by: None }),
        seq: None,
        producers: Vec::new(),
        bytes: inline.len() as u64,
        leaf: birth.leaf,
        first,
        recent_first: first,
        recent: Vec::new(),
        inline,
        forks: Forks::default(),
        lineage: None,
        subscribers: Vec::new(),
        timelines: Timelines::beginning(first, timeline),
    };
    let growth = Growth {
        kept: 0,
        grew,
        ends: ends.as_deref(),
        budget,
        timeline,
    };
    settle(head, &growth, next_id)
}

/// Whether `create` asks for what `head` is, so that the request is an idempotent success. The
/// closed state is compared with the current one.
#[must_use]
pub fn matches(head: &Head, create: &Create) -> bool {
    head.content_type.matches(&create.content_type)
        && head.expiry == create.expiry
        && head.closed.is_some() == create.close
}
