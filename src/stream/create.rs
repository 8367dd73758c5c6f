//! Creation (section 5.1).

use super::append_request::Payload;
use super::settle::{Growth, settle};
use super::{
    Closed, ContentType, Expiry, Forks, Head, Incarnation, Lease, Reason, Ring, Settled, Timelines,
    Tombstone,
};

/// The requested properties of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// The content type.
    pub content_type: ContentType,
    /// When the stream expires.
    pub expiry: Expiry,
    /// Whether it is closed from the start.
    pub close: bool,
    /// Why it is closed from the start.
    pub reason: Option<Reason>,
    /// The length of its writer's lease, in seconds; `None` for no lease.
    pub lease_secs: Option<u64>,
}

impl Create {
    /// The closed state of the new stream.
    pub(super) fn closed(&self) -> Option<Closed> {
        self.close.then(|| Closed {
            by: None,
            reason: self.reason.clone(),
        })
    }

    /// The lease of the new stream, which begins at `now_ms`. A closed stream has none.
    #[must_use]
    pub fn lease(&self, now_ms: u64) -> Option<Lease> {
        let secs = self.lease_secs.filter(|_| !self.close)?;
        Some(Lease::new(secs, now_ms))
    }
}

/// The circumstances of a creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Birth {
    /// The new life's identity.
    pub incarnation: Incarnation,
    /// Leaf of the name registry that holds the name.
    pub leaf: Option<u32>,
    /// The time of the creation, milliseconds since 1970.
    pub now_ms: u64,
    /// The store's timeline, as far as this instance knows it.
    pub timeline: u64,
}

/// Returns the timeline of a life that follows the tombstone `last`, if the store's is `timeline`.
pub(super) fn timeline_after(timeline: u64, last: Option<&Tombstone>) -> u64 {
    timeline.max(last.map_or(0, |last| last.timeline))
}

/// Returns the head of a new stream, with the chunks to store first. Its numbers continue after the
/// tombstone of the name's last life, so that no offset is ever used twice.
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
        closed: create.closed(),
        lease: create.lease(birth.now_ms),
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

/// Whether the request `create` matches the existing `head`, so that it is an idempotent success.
/// The requested closed state is compared with the current one. Neither the reason of a close nor a
/// lease is compared: a repeated creation must not depend on the time since the first.
#[must_use]
pub fn matches(head: &Head, create: &Create) -> bool {
    head.content_type.matches(&create.content_type)
        && head.expiry == create.expiry
        && head.closed.is_some() == create.close
}
