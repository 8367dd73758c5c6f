//! The head record of a stream: all that must change together.

use super::expiry::granularity_ms;
use super::fork::owner;
use super::{
    ContentType, Expiry, Forks, Incarnation, LifeMark, Lineage, Position, ProducerMark,
    ProducerState, Ring, Segment, Subscriber, Timelines, TooManySubscribers,
};
use crate::limits::{
    BLOCK_SEGMENTS, CLOCK_SKEW_MS, MAX_CHUNK_BYTES, SEGMENTS, SUBSCRIBERS, TIMELINES,
};

/// A live stream. One append rewrites this record and, beyond the inline budget, adds chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The stream's name, kept to tell it from another with the same hash.
    pub name: String,
    /// This life of the name.
    pub incarnation: Incarnation,
    /// Raised by every swap, and carried on through tombstones and new incarnations.
    pub version: u64,
    /// The version with which this incarnation began.
    pub born: u64,
    /// The last commits.
    pub ring: Ring,
    /// As its creator gave it.
    pub content_type: ContentType,
    /// Milliseconds since 1970.
    pub created_ms: u64,
    /// As its creator asked.
    pub expiry: Expiry,
    /// Time of the last commit or counted read, milliseconds since 1970.
    pub touched_ms: u64,
    /// Whether, and by whom, it was closed.
    pub closed: Option<Closed>,
    /// The last `Stream-Seq`.
    pub seq: Option<Vec<u8>>,
    /// Producers, in no order, at most `max_producers`.
    pub producers: Vec<ProducerState>,
    /// Bytes in the stream; of a fork, those that it does not share.
    pub bytes: u64,
    /// Leaf of the name registry that holds the name.
    pub leaf: Option<u32>,
    /// The first segment of this incarnation.
    pub first: u64,
    /// Number of the first segment in `recent`; those before it are in index blocks.
    pub recent_first: u64,
    /// Sealed segments not yet in an index block.
    pub recent: Vec<Segment>,
    /// The bytes of the open segment, whose number follows the recent ones.
    pub inline: Vec<u8>,
    /// Its forks.
    pub forks: Forks,
    /// Where it comes from, if it is a fork.
    pub lineage: Option<Box<Lineage>>,
    /// Subscriptions that it wakes, at most `limits::SUBSCRIBERS`.
    pub subscribers: Vec<Subscriber>,
    /// The timelines of its segments.
    pub timelines: Timelines,
}

/// A stream's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// The append that closed it, if a producer made it: its retry is a duplicate.
    pub by: Option<ProducerMark>,
}

/// What an outsider finds where a head is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// The stream.
    Here,
    /// Nothing: it is a fork that is not there yet.
    Absent,
    /// Nothing, though its bytes are kept for its forks: it was deleted, or expired.
    Gone,
    /// Nothing: it expired.
    Expired,
}

impl Head {
    /// Number of the segment that the next byte goes to.
    #[must_use]
    pub fn open_segment(&self) -> u64 {
        self.recent_first.saturating_add(self.recent.len() as u64)
    }

    /// The place before the first byte of this life.
    #[must_use]
    pub fn start(&self) -> Position {
        self.timelines.position(self.first, 0)
    }

    /// Whether there are numbers for the segments of `bytes` more, written on `timeline`.
    #[must_use]
    pub fn has_room(&self, bytes: u64, timeline: u64) -> bool {
        // Two segments in a row have more than one chunk's bytes: else they would be one.
        let bytes = bytes.saturating_add(self.inline.len() as u64);
        let chunks = bytes.saturating_mul(2) / MAX_CHUNK_BYTES as u64;
        let end = self.open_segment().saturating_add(chunks).saturating_add(3);
        let has_era = timeline <= self.timelines.last() || self.timelines.len() < TIMELINES;
        end <= SEGMENTS && has_era
    }

    /// Where the next byte goes: the position of the last byte's end, all zeros when empty.
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

    /// What an outsider finds at `now_ms`.
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

    /// The time of a step at `clock_ms`: never before the last commit, unless that was made by a clock
    /// that was ahead.
    #[must_use]
    pub fn now_ms(&self, clock_ms: u64) -> u64 {
        self.touched_at(clock_ms).max(clock_ms)
    }

    /// Whether it was last touched by a clock that was further ahead than clocks may differ.
    #[must_use]
    pub fn is_ahead(&self, clock_ms: u64) -> bool {
        self.touched_ms > clock_ms.saturating_add(CLOCK_SKEW_MS)
    }

    /// The time of the last touch; that of this step, if a clock that was ahead wrote it.
    fn touched_at(&self, clock_ms: u64) -> u64 {
        match self.is_ahead(clock_ms) {
            true => clock_ms,
            false => self.touched_ms,
        }
    }

    /// The moment this stream expires unless it is touched, in milliseconds since 1970.
    #[must_use]
    pub fn expires_ms(&self, now_ms: u64) -> Option<u64> {
        self.expiry.ends_ms(self.touched_at(now_ms))
    }

    /// Whether it has expired by `now_ms`.
    #[must_use]
    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.expires_ms(now_ms).is_some_and(|end| end <= now_ms)
    }

    /// Whether a read at `now_ms` should write a touch, because its window is sliding and the last
    /// touch is a step old, or of a clock that was ahead.
    #[must_use]
    pub fn needs_touch(&self, now_ms: u64) -> bool {
        let due = |secs| now_ms >= self.touched_ms.saturating_add(granularity_ms(secs));
        match self.expiry {
            Expiry::Ttl { secs } => due(secs) || self.is_ahead(now_ms),
            Expiry::Never | Expiry::At { .. } => false,
        }
    }

    /// How long a reader may wait before it must look again: until the stream expires, or until
    /// its own waiting has to move the window, in milliseconds from `now_ms`.
    #[must_use]
    pub fn max_wait_ms(&self, now_ms: u64) -> Option<u64> {
        let end = match self.expiry {
            Expiry::Never => return None,
            // A window shorter than a step (0 seconds) can't be moved, only end.
            Expiry::Ttl { secs } => {
                let window = secs.saturating_mul(1000).max(granularity_ms(secs));
                self.touched_at(now_ms).saturating_add(window)
            }
            Expiry::At { ms } => ms,
        };
        Some(end.saturating_sub(now_ms).max(1))
    }

    /// Whether it is a fork that is not there yet.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.lineage.as_ref().is_some_and(|lineage| lineage.pending)
    }

    /// Whose chunk the recent segment `number` is.
    #[must_use]
    pub fn owner(&self, number: u64) -> Incarnation {
        let lineage = self.lineage.as_ref();
        let other = lineage.and_then(|lineage| owner(&lineage.owners, number));
        other.unwrap_or(self.incarnation)
    }

    /// Whose index block `number` is.
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

    /// The first index block that is its own.
    #[must_use]
    pub fn own_block(&self) -> u64 {
        let first = self.first / BLOCK_SEGMENTS;
        self.lineage
            .as_ref()
            .map_or(first, |lineage| lineage.own_block)
    }

    /// Links a subscription, in the place of an earlier one of the same id. Says whether that
    /// changed anything: an existing link keeps its first cursor.
    ///
    /// # Errors
    ///
    /// When the stream has as many subscriptions as it may; nothing was changed.
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

    /// The link of one life of a subscription.
    #[must_use]
    pub fn subscriber(&self, subscription: &[u8; 20], life: u64) -> Option<&Subscriber> {
        self.subscribers
            .iter()
            .find(|other| other.subscription == *subscription && other.life == life)
    }

    /// Removes the link of one life of a subscription. Says whether it was there.
    pub fn detach(&mut self, subscription: &[u8; 20], life: u64) -> bool {
        let before = self.subscribers.len();
        self.subscribers
            .retain(|other| other.subscription != *subscription || other.life != life);
        self.subscribers.len() != before
    }

    /// The cursor before everything that was appended to this stream itself: what a fork shares
    /// with its source is not news.
    #[must_use]
    pub fn beginning(&self) -> Position {
        match &self.lineage {
            Some(lineage) => lineage.point,
            None => Position::ZERO,
        }
    }

    /// Where a cursor stands in this life of the name: one of an earlier life is at the beginning.
    /// `life` is the one that the cursor is of, where that is known. A fork has the positions of its
    /// source, so they alone don't tell.
    #[must_use]
    pub fn cursor(&self, acked: Position, life: Option<LifeMark>) -> Position {
        let is_another = life.is_some_and(|life| life != self.incarnation.mark());
        if is_another || acked < self.start() {
            return self.beginning();
        }
        // Of the part that its store lost, all that was written in its place is news.
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
