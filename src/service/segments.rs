//! Pages: the bytes of an answer, found through head, index blocks and chunks.

use super::core::Core;
use super::env::Env;
use super::fault::Fault;
use crate::keys::index;
use crate::limits::{BLOCK_SEGMENTS, STEP_BYTES, STEP_SEGMENTS};
use crate::protocol::json;
use crate::stream::{Block, Head, Incarnation, Position, Segment, owner};

/// A run of bytes of a stream, from one end of a message to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) from: Position,
    pub(super) to: Position,
    /// Stored bytes in it.
    pub(super) bytes: u64,
    /// Whether the page ends at the tail.
    pub(super) reached_tail: bool,
}

/// Some bytes of a page, with the position of each byte.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) bytes: Vec<u8>,
    /// Segment number as in positions, first byte and number of bytes, in order.
    spans: Vec<(u64, u64, usize)>,
}

impl Part {
    /// The position after the first `count` bytes.
    pub(super) fn position(&self, count: usize) -> Option<Position> {
        let mut left = count;
        for (segment, start, length) in &self.spans {
            if left <= *length {
                return Some(Position::new(*segment, start.saturating_add(left as u64)));
            }
            left = left.saturating_sub(*length);
        }
        None
    }
}

/// The segments of one head.
pub(super) struct Segments<'a, E> {
    core: &'a Core<E>,
    head: &'a Head,
    /// The index block that was read last.
    block: Option<Block>,
}

impl<'a, E: Env> Segments<'a, E> {
    pub(super) const fn new(core: &'a Core<E>, head: &'a Head) -> Self {
        Self {
            core,
            head,
            block: None,
        }
    }

    /// Length of segment `number`, and whether it ends a message. `None` if it has no bytes yet.
    pub(super) fn measure(&mut self, number: u64) -> Result<Option<(u64, bool)>, Fault> {
        if number >= self.head.open_segment() {
            let inline = self.head.inline.len() as u64;
            let there = number == self.head.open_segment() && inline > 0;
            return Ok(there.then_some((inline, true)));
        }
        let (segment, _) = self.sealed(number)?;
        Ok(Some((u64::from(segment.length), segment.ends_message)))
    }

    /// The sealed segment `number`, and the life that owns its chunk.
    fn sealed(&mut self, number: u64) -> Result<(Segment, Incarnation), Fault> {
        let recent = number
            .checked_sub(self.head.recent_first)
            .and_then(|index| usize::try_from(index).ok())
            .and_then(|index| self.head.recent.get(index));
        if let Some(segment) = recent {
            return Ok((*segment, self.head.owner(number)));
        }
        let wanted = number / BLOCK_SEGMENTS;
        let life = self.head.block_owner(wanted);
        let key = self.core.keys.block(life, wanted);
        let block = self.take_block(wanted, &key)?;
        let segment = number
            .checked_sub(block.first)
            .and_then(|index| usize::try_from(index).ok())
            .and_then(|index| block.segments.get(index).copied());
        let life = owner(&block.owners, number).unwrap_or(life);
        self.block = Some(block);
        let segment = segment.ok_or(Fault::Corrupt { key })?;
        Ok((segment, life))
    }

    /// The index block `number`: taken out of `self.block` if it was read last, else read from
    /// `key`.
    fn take_block(&mut self, number: u64, key: &str) -> Result<Block, Fault> {
        if let Some(block) = self.block.take().filter(|block| block.number == number) {
            return Ok(block);
        }
        let bytes = self.core.env.get(key)?;
        let key = || key.to_owned();
        let bytes = bytes.ok_or_else(|| Fault::Missing { key: key() })?;
        index::decode(&bytes, number).map_err(|_| Fault::Corrupt { key: key() })
    }

    /// The index block that has segment `number`, with its owner.
    pub(super) fn block_of(&mut self, number: u64) -> Result<(Block, Incarnation), Fault> {
        let number = number / BLOCK_SEGMENTS;
        let life = self.head.block_owner(number);
        let key = self.core.keys.block(life, number);
        Ok((self.take_block(number, &key)?, life))
    }

    /// The page from `from` on. It ends at the last end of a segment within `limit` bytes and
    /// `most` segments, but not before the first end of a message. `None` if no segment has the
    /// place `from`.
    pub(super) fn page(
        &mut self,
        from: Position,
        limit: u64,
        most: usize,
    ) -> Result<Option<Page>, Fault> {
        let mut count = 0_usize;
        let mut page = Page {
            from,
            to: from,
            bytes: 0,
            reached_tail: false,
        };
        let mut number = from.number().max(self.head.first);
        let mut skip = from.byte;
        let mut at_end = true;
        while let Some((length, ends_message)) = self.measure(number)? {
            let Some(taken) = length.checked_sub(skip) else {
                // The open segment may still reach that byte.
                match number == self.head.open_segment() {
                    true => break,
                    false => return Ok(None),
                }
            };
            let bytes = page.bytes.saturating_add(taken);
            if at_end && page.bytes > 0 && (bytes > limit || count >= most) {
                return Ok(Some(page));
            }
            if taken > 0 {
                count = count.saturating_add(1);
                page.bytes = bytes;
                page.to = self.head.timelines.position(number, length);
                at_end = ends_message;
            }
            number = number.saturating_add(1);
            skip = 0;
        }
        page.reached_tail = true;
        Ok(Some(page))
    }

    /// Whether a JSON message ends at `place`, which is not beyond the tail. The ends of segments
    /// are known. For other places this reads the messages, from the start of the segment in which
    /// the first one begins.
    pub(super) fn is_message_end(&mut self, place: Position) -> Result<bool, Fault> {
        let place = match place.byte {
            0 if place.number() <= self.head.first => return Ok(true),
            0 => self.end_before(place.number())?,
            _ => place,
        };
        let Some((length, ends_message)) = self.measure(place.number())? else {
            return Ok(false);
        };
        if place.byte >= length {
            return Ok(place.byte == length && ends_message);
        }
        let number = self.message_start(place.number())?;
        let mut ends = json::Ends::default();
        let mut at = self.head.timelines.position(number, 0);
        while at < place {
            let part = self.read(at, place, STEP_BYTES)?;
            let Some(next) = part.position(part.bytes.len()).filter(|next| *next > at) else {
                return Ok(false);
            };
            ends.read_on(&part.bytes);
            at = next;
        }
        Ok(ends.at_end())
    }

    /// The last segment up to `number` that begins with a message.
    pub(super) fn message_start(&mut self, number: u64) -> Result<u64, Fault> {
        let mut number = number;
        while let Some(before) = self.before(number)
            && self.measure(before)?.is_some_and(|(_, ends)| !ends)
        {
            number = before;
        }
        Ok(number)
    }

    /// The number of the segment before this one; `None` for the first segment.
    fn before(&self, number: u64) -> Option<u64> {
        let before = number.checked_sub(1);
        before.filter(|before| *before >= self.head.first)
    }

    /// The end of the segment before this one, or the start of the stream.
    pub(super) fn end_before(&mut self, number: u64) -> Result<Position, Fault> {
        let Some(before) = self.before(number) else {
            return Ok(self.head.start());
        };
        let length = self.measure(before)?.map_or(0, |(length, _)| length);
        Ok(self.head.timelines.position(before, length))
    }

    /// The place `count` bytes before `from`, found by the lengths of at most `most` segments.
    /// Returns the place that was reached, and the number of bytes that are missing there.
    pub(super) fn back(
        &mut self,
        from: Position,
        count: u64,
        most: usize,
    ) -> Result<(Position, u64), Fault> {
        let (mut at, mut left) = (from, count);
        for _ in 0..most {
            // A place names the segment of the byte before it.
            if left < at.byte {
                let byte = at.byte.saturating_sub(left);
                return Ok((Position::new(at.segment, byte), 0));
            }
            left = left.saturating_sub(at.byte);
            at = self.end_before(at.number())?;
            if left == 0 || at <= self.head.start() {
                break;
            }
        }
        Ok((at, left))
    }

    /// The place `count` bytes after `from`; `None` if there are fewer.
    pub(super) fn skip(&mut self, from: Position, count: u64) -> Result<Option<Position>, Fault> {
        let (mut number, mut skip, mut left) = (from.number(), from.byte, count);
        while let Some((length, _)) = self.measure(number)? {
            let there = length.saturating_sub(skip);
            if left <= there {
                let at = self
                    .head
                    .timelines
                    .position(number, skip.saturating_add(left));
                return Ok(Some(at));
            }
            left = left.saturating_sub(there);
            number = number.saturating_add(1);
            skip = 0;
        }
        Ok(None)
    }

    /// The bytes from `from` on, not beyond `to`: up to the end of the last segment that fits into
    /// `most`, and at least one segment.
    pub(super) fn read(
        &mut self,
        from: Position,
        to: Position,
        most: usize,
    ) -> Result<Part, Fault> {
        let mut part = Part::default();
        let mut number = from.number().max(self.head.first);
        let mut skip = from.byte;
        while number <= to.number() {
            let Some((length, _)) = self.measure(number)? else {
                break;
            };
            let end = if number == to.number() {
                to.byte.min(length)
            } else {
                length
            };
            let taken = usize::try_from(end.saturating_sub(skip)).unwrap_or(usize::MAX);
            let full =
                part.bytes.len().saturating_add(taken) > most || part.spans.len() >= STEP_SEGMENTS;
            if !part.bytes.is_empty() && full {
                break;
            }
            if taken > 0 {
                self.copy(number, skip, taken, &mut part)?;
            }
            number = number.saturating_add(1);
            skip = 0;
        }
        Ok(part)
    }

    fn copy(&mut self, number: u64, skip: u64, taken: usize, part: &mut Part) -> Result<(), Fault> {
        let start = usize::try_from(skip).unwrap_or(usize::MAX);
        let range = start..start.saturating_add(taken);
        if number == self.head.open_segment() {
            part.bytes
                .extend_from_slice(self.head.inline.get(range).unwrap_or_default());
        } else {
            let (segment, life) = self.sealed(number)?;
            let key = self.core.keys.chunk(life, segment.id);
            let Some(chunk) = self.core.env.get(&key)? else {
                return Err(Fault::Missing { key });
            };
            // A chunk of another life may be longer: a fork shares only the bytes before its branch
            // point.
            let shared = life != self.head.incarnation;
            let whole = u32::try_from(chunk.len()).is_ok_and(|length| {
                length == segment.length || (shared && length > segment.length)
            });
            let bytes = chunk
                .get(range)
                .filter(|_| whole)
                .ok_or(Fault::Corrupt { key })?;
            part.bytes.extend_from_slice(bytes);
        }
        let named = self.head.timelines.position(number, skip).segment;
        part.spans.push((named, skip, taken));
        Ok(())
    }
}
