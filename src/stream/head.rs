//! The head record of a stream: all state that must change together.

use super::expiry::granularity_ms;
use super::fork::owner;
use super::{
    Closed, ContentType, Expiry, Forks, Incarnation, Lease, LifeMark, Lineage, Position,
    ProducerState, Ring, Segment, Subscriber, Timelines, TooManySubscribers,
};
use crate::limits::{
    BLOCK_SEGMENTS, CLOCK_SKEW_MS, MAX_CHUNK_BYTES, SEGMENTS, SUBSCRIBERS, TIMELINES,
};

/// A live stream. One append rewrites this record and, beyond the inline budget, adds chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The stream's name, to distinguish it from another name with the same hash.
    pub name: String,
    /// The life of the name that this head belongs to.
    pub incarnation: Incarnation,
    /// Raised by every swap, and continued through tombstones and new incarnations.
    pub version: u64,
    /// The version with which this incarnation began.
    pub born: u64,
    /// The last commits.
    pub ring: Ring,
    /// The content type that the creator gave.
    pub content_type: ContentType,
    /// The time of the creation, milliseconds since 1970.
    pub created_ms: u64,
    /// The expiry that the creator requested.
    pub expiry: Expiry,
    /// Time of the last commit or counted read, milliseconds since 1970.
    pub touched_ms: u64,
    /// Whether the stream is closed, by which append, and why.
    pub closed: Option<Closed>,
    /// The lease of the stream's writer, if it has one. A closed stream has none.
    pub lease: Option<Lease>,
    /// The last `Stream-Seq`.
    pub seq: Option<Vec<u8>>,
    /// Producers in no particular order, at most `max_producers`.
    pub producers: Vec<ProducerState>,
    /// Number of bytes in the stream, for a fork without the bytes that it shares.
    pub bytes: u64,
    /// Leaf of the name registry that holds the name.
    pub leaf: Option<u32>,
    /// The first segment of this incarnation.
    pub first: u64,
    /// Number of the first segment in `recent`; earlier segments are in index blocks.
    pub recent_first: u64,
    /// Sealed segments not yet in an index block.
    pub recent: Vec<Segment>,
    /// The bytes of the open segment. Its number follows the recent segments.
    pub inline: Vec<u8>,
    /// The forks of the stream.
    pub forks: Forks,
    /// The origin of the stream, if it is a fork.
    pub lineage: Option<Box<Lineage>>,
    /// Subscriptions that it wakes, at most `limits::SUBSCRIBERS`.
    pub subscribers: Vec<Subscriber>,
    /// The timelines of its segments.
    pub timelines: Timelines,
}

/// State of a stream as a client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// The stream exists.
    Here,
    /// The stream does not exist: it is a fork that is not complete yet.
    Absent,
    /// The stream was deleted or has expired, but its bytes are kept for its forks.
    Gone,
    /// The stream has expired.
    Expired,
}

impl Head {
    /// Number of the segment that the next byte goes to.
    #[must_use]
    pub fn open_segment(&self) -> u64 {
        self.recent_first.saturating_add(self.recent.len() as u64)
    }

    /// The position before the first byte of this life.
    #[must_use]
    pub fn start(&self) -> Position {
        self.timelines.position(self.first, 0)
    }

    /// Whether there are segment numbers left for `bytes` more bytes, written on `timeline`.
    #[must_use]
    pub fn has_room(&self, bytes: u64, timeline: u64) -> bool {
        // Two consecutive segments together have more bytes than one chunk, or they would be one
        // segment.
        let bytes = bytes.saturating_add(self.inline.len() as u64);
        let chunks = bytes.saturating_mul(2) / MAX_CHUNK_BYTES as u64;
        let end = self.open_segment().saturating_add(chunks).saturating_add(3);
        let has_era = timeline <= self.timelines.last() || self.timelines.len() < TIMELINES;
        end <= SEGMENTS && has_era
    }

    /// The position of the next byte: the end of the last byte, or all zeros if the stream is
    /// empty.
    #[must_use]
    pub fn tail(&self) -> Position {
        match self.recent.last() {
            _ if !self.inline.is_empty() => {
                let bytes = self.inline.len() as u64;
                self.timelines.position(self.open_segment(), bytes)
            }
            Some(last) => self.timelines.position(
                self.open_segment().saturating_sub(1),
                u64::from(last.length),
            ),
            None => Position::ZERO,
        }
    }

    /// Returns the state that a client sees at `now_ms`.
    #[must_use]
    pub fn presence(&self, now_ms: u64) -> Presence {
        match () {
            () if self.is_pending() => Presence::Absent,
            () if self.forks.deleted => Presence::Gone,
            () if !self.is_expired(now_ms) => Presence::Here,
            () if self.forks.need_it() => Presence::Gone,
            () => Presence::Expired,
        }
    }

    /// The time of a step at `clock_ms`: never before the last commit, unless the clock of that
    /// commit was ahead.
    #[must_use]
    pub fn now_ms(&self, clock_ms: u64) -> u64 {
        self.touched_at(clock_ms).max(clock_ms)
    }

    /// Whether the last touch is further in the future than clocks may differ.
    #[must_use]
    pub fn is_ahead(&self, clock_ms: u64) -> bool {
        self.touched_ms > clock_ms.saturating_add(CLOCK_SKEW_MS)
    }

    /// The time of the last touch, or the time of this step if the clock of the touch was ahead.
    fn touched_at(&self, clock_ms: u64) -> u64 {
        match self.is_ahead(clock_ms) {
            true => clock_ms,
            false => self.touched_ms,
        }
    }

    /// When the stream expires unless it is touched, in milliseconds since 1970.
    #[must_use]
    pub fn expires_ms(&self, now_ms: u64) -> Option<u64> {
        self.expiry.ends_ms(self.touched_at(now_ms))
    }

    /// Whether the stream has expired by `now_ms`.
    #[must_use]
    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.expires_ms(now_ms).is_some_and(|end| end <= now_ms)
    }

    /// Whether a read at `now_ms` should write a touch. This is so if the window is sliding and the
    /// last touch is older than the granularity, or came from a clock that was ahead.
    #[must_use]
    pub fn needs_touch(&self, now_ms: u64) -> bool {
        let due = |secs| now_ms >= self.touched_ms.saturating_add(granularity_ms(secs));
        match self.expiry {
            Expiry::Ttl { secs } => due(secs) || self.is_ahead(now_ms),
            Expiry::Never | Expiry::At { .. } => false,
        }
    }

    /// How long a reader may wait before it must read the head again, in milliseconds from
    /// `now_ms`: until the stream expires, or until the waiting reader must touch it.
    #[must_use]
    pub fn max_wait_ms(&self, now_ms: u64) -> Option<u64> {
        let end = match self.expiry {
            Expiry::Never => return None,
            // A window shorter than its granularity (0 seconds) can't be moved; it only ends.
            Expiry::Ttl { secs } => {
                let window = secs.saturating_mul(1000).max(granularity_ms(secs));
                self.touched_at(now_ms).saturating_add(window)
            }
            Expiry::At { ms } => ms,
        };
        Some(end.saturating_sub(now_ms).max(1))
    }

    /// Whether the stream is a fork that is not complete yet.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.lineage.as_ref().is_some_and(|lineage| lineage.pending)
    }

    /// Returns the owner of the chunk of the recent segment `number`.
    #[must_use]
    pub fn owner(&self, number: u64) -> Incarnation {
        let lineage = self.lineage.as_ref();
        let other = lineage.and_then(|lineage| owner(&lineage.owners, number));
        other.unwrap_or(self.incarnation)
    }

    /// Returns the owner of index block `number`.
    #[must_use]
    pub fn block_owner(&self, number: u64) -> Incarnation {
        let Some(lineage) = self
            .lineage
            .as_ref()
            .filter(|lineage| number < lineage.own_block)
        else {
            return self.incarnation;
        };
        let mut runs = lineage.runs.iter().rev();
        let run = runs.find(|run| run.first_block <= number);
        run.map_or(self.incarnation, |run| run.owner)
    }

    /// Number of the first index block that this life owns.
    #[must_use]
    pub fn own_block(&self) -> u64 {
        let first = self.first / BLOCK_SEGMENTS;
        self.lineage
            .as_ref()
            .map_or(first, |lineage| lineage.own_block)
    }

    /// Links a subscription, and replaces an earlier one with the same id. Returns whether the head
    /// changed: an existing link keeps its first cursor.
    ///
    /// # Errors
    ///
    /// The stream has the largest number of subscriptions. The head is unchanged.
    pub fn attach(&mut self, subscriber: Subscriber) -> Result<bool, TooManySubscribers> {
        let full = self.subscribers.len() >= SUBSCRIBERS;
        let same = |other: &&mut Subscriber| other.subscription == subscriber.subscription;
        match self.subscribers.iter_mut().find(same) {
            Some(known) if known.life == subscriber.life => Ok(false),
            Some(former) => {
                *former = subscriber;
                Ok(true)
            }
            None if full => Err(TooManySubscribers),
            None => {
                self.subscribers.push(subscriber);
                Ok(true)
            }
        }
    }

    /// Returns the link of one life of a subscription.
    #[must_use]
    pub fn subscriber(&self, subscription: &[u8; 20], life: u64) -> Option<&Subscriber> {
        self.subscribers
            .iter()
            .find(|other| other.subscription == *subscription && other.life == life)
    }

    /// Removes the link of one life of a subscription. Returns whether it existed.
    pub fn detach(&mut self, subscription: &[u8; 20], life: u64) -> bool {
        let before = self.subscribers.len();
        self.subscribers
            .retain(|other| other.subscription != *subscription || other.life != life);
        self.subscribers.len() != before
    }

    /// The cursor before all bytes that were appended to this stream itself. A fork's shared bytes
    /// wake no subscription.
    #[must_use]
    pub fn beginning(&self) -> Position {
        match &self.lineage {
            Some(lineage) => lineage.point,
            None => Position::ZERO,
        }
    }

    /// Converts a cursor to one of this life of the name: a cursor of an earlier life moves to the
    /// beginning. `life` is the life that the cursor belongs to, if known. It is needed because a
    /// fork has the positions of its source.
    #[must_use]
    pub fn cursor(&self, acked: Position, life: Option<LifeMark>) -> Position {
        let is_another = life.is_some_and(|life| life != self.incarnation.mark());
        if is_another || acked < self.start() {
            return self.beginning();
        }
        // If the cursor is in a part that the store lost, all bytes that replaced that part are
        // news.
        let is_lost = acked.timeline() != self.timelines.at(acked.number());
        let instead = self.timelines.after(acked.timeline());
        instead.filter(|_| is_lost).unwrap_or(acked)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn head() -> Head {
        Head {
            name: "a/b".to_owned(),
            incarnation: Incarnation([7; 16]),
            version: 3,
            born: 1,
            ring: Ring::of(vec![(41, 2), (42, 3)]),
            content_type: ContentType::octets(),
            created_ms: 1_000,
            expiry: Expiry::Never,
            touched_ms: 2_000,
            closed: None,
            lease: None,
            seq: None,
            producers: Vec::new(),
            bytes: 0,
            leaf: None,
            first: 0,
            recent_first: 0,
            recent: Vec::new(),
            inline: Vec::new(),
            forks: Forks::default(),
            lineage: None,
            subscribers: Vec::new(),
            timelines: Timelines::default(),
        }
    }

    #[test]
    fn the_tail_is_written_with_the_segment_that_holds_the_last_byte() {
        let mut head = head();
        assert_eq!(head.tail(), Position::ZERO);
        head.inline = vec![0; 5];
        assert_eq!(head.tail(), Position::new(0, 5));
        head.inline.clear();
        head.recent = vec![Segment {
            id: 1,
            length: 9,
            ends_message: true,
        }];
        assert_eq!((head.open_segment(), head.tail()), (1, Position::new(0, 9)));
    }

    #[test]
    fn a_cursor_in_lost_history_is_before_all_that_replaced_it() {
        let mut head = head();
        head.recent_first = 5;
        head.timelines.begin(5, 3);
        head.inline = vec![0; 4];
        for (acked, cursor) in [
            (Position::ZERO, Position::ZERO),
            (Position::on(0, 4, 9), Position::on(0, 4, 9)),
            (Position::on(0, 5, 2), Position::on(3, 5, 0)),
            (Position::on(0, 8, 1), Position::on(3, 5, 0)),
            (Position::on(3, 5, 2), Position::on(3, 5, 2)),
        ] {
            assert_eq!(head.cursor(acked, None), cursor, "{acked:?}");
        }
    }
}
