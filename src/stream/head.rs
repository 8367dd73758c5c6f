//! The head record of a stream: all that must change together.

use super::{
    ContentType, Expiry, Forks, Incarnation, Lineage, Position, ProducerMark, ProducerState, Ring,
    Segment, Subscriber,
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

    /// Where the next byte goes: the position of the last byte's end, all zeros when empty.
    #[must_use]
    pub fn tail(&self) -> Position {
        match self.recent.last() {
            _ if !self.inline.is_empty() => {
                Position::new(self.open_segment(), self.inline.len() as u64)
            }
            Some(last) => Position::new(
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

    /// The time of a step at `clock_ms`: never before the last commit.
    #[must_use]
    pub fn now_ms(&self, clock_ms: u64) -> u64 {
        self.touched_ms.max(clock_ms)
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
}
