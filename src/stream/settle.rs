//! Cutting of a stream's bytes into chunks, and of its segments into index blocks.

use super::fork::spans_within;
use super::{Block, Chunk, Head, Position, Segment};
use crate::limits::{BLOCK_SEGMENTS, MAX_CHUNK_BYTES};

/// A head, with the chunks and blocks that must be stored before it is swapped in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The head.
    pub head: Head,
    /// Chunks that the head names for the first time.
    pub chunks: Vec<Chunk>,
    /// Index blocks with the segments that the head no longer names.
    pub blocks: Vec<Block>,
    /// Lengths of the segments that `inline` was cut into, from the open one on. The last one may
    /// still be inline.
    cuts: Vec<u64>,
    /// Number of the segment that was open.
    open: u64,
    /// The tail before the change, for position 0.
    before: Position,
}

impl Settled {
    /// Returns the position `bytes` bytes after the beginning of the segment that was open.
    #[must_use]
    pub fn position(&self, bytes: u64) -> Position {
        let mut left = bytes;
        if left == 0 {
            return self.before;
        }
        for (segment, length) in (self.open..).zip(&self.cuts) {
            if left <= *length {
                return self.head.timelines.position(segment, left);
            }
            left = left.saturating_sub(*length);
        }
        self.head.tail()
    }
}

/// Removes the segments of complete index blocks from `head`, and returns the blocks.
fn take_blocks(head: &mut Head) -> Vec<Block> {
    let mut blocks = Vec::new();
    loop {
        let number = head.recent_first / BLOCK_SEGMENTS;
        let end = number.saturating_add(1).saturating_mul(BLOCK_SEGMENTS);
        if head.open_segment() < end {
            return blocks;
        }
        let count = usize::try_from(end.saturating_sub(head.recent_first)).unwrap_or(usize::MAX);
        let segments = head.recent.drain(..count.min(head.recent.len())).collect();
        let spans = head.lineage.as_mut().map(|lineage| &mut lineage.owners);
        let owners = spans.map_or_else(Vec::new, |spans| {
            let owners = spans_within(spans, head.recent_first, end);
            spans.retain(|span| span.end > end);
            owners
        });
        blocks.push(Block {
            number,
            first: head.recent_first,
            segments,
            owners,
        });
        head.recent_first = end;
    }
}

/// Growth of a head's inline bytes.
pub(super) struct Growth<'a> {
    /// Number of inline bytes in the stored head; the bytes after them are new.
    pub(super) kept: usize,
    /// Whether there are new bytes.
    pub(super) grew: bool,
    /// Positions in `inline` where messages end; `None` if a cut may be anywhere.
    pub(super) ends: Option<&'a [usize]>,
    /// Largest number of inline bytes; above it, all of them are sealed.
    pub(super) budget: usize,
    /// The store's timeline.
    pub(super) timeline: u64,
}

/// Brings `head` into stored form. Above the budget, all of `inline` is sealed into chunks, cut at
/// the last end of a message that fits. On a newer timeline than the stream's last one, the old
/// inline bytes are sealed first, because a segment has only one timeline.
pub(super) fn settle(mut head: Head, growth: &Growth<'_>, next_id: impl FnMut() -> u64) -> Settled {
    let blocks = match growth.grew {
        true => take_blocks(&mut head),
        false => Vec::new(),
    };
    seal(head, blocks, growth, next_id)
}

/// Brings `head` into stored form, after its index blocks were taken out.
pub(super) fn seal(
    head: Head,
    blocks: Vec<Block>,
    growth: &Growth<'_>,
    mut next_id: impl FnMut() -> u64,
) -> Settled {
    let open = head.open_segment();
    let last = head.recent.last().copied();
    let last = last.or_else(|| blocks.last()?.segments.last().copied());
    let before = last.map_or(Position::ZERO, |last| {
        let number = open.saturating_sub(1);
        head.timelines.position(number, u64::from(last.length))
    });
    let mut settled = Settled {
        cuts: vec![head.inline.len() as u64],
        chunks: Vec::new(),
        blocks,
        open,
        before,
        head,
    };
    let is_newer = growth.timeline > settled.head.timelines.last();
    let fits = settled.head.inline.len() <= growth.budget;
    if !growth.grew || (fits && !is_newer) {
        return settled;
    }
    settled.cuts.clear();
    let inline = std::mem::take(&mut settled.head.inline);
    let kept = if is_newer { growth.kept } else { 0 };
    let (old, new) = inline.split_at_checked(kept).unwrap_or((&inline, &[]));
    settled.seal_bytes(old, 0, growth.ends, &mut next_id);
    let open = settled.head.open_segment();
    settled.head.timelines.begin(open, growth.timeline);
    match new.len() <= growth.budget {
        true => {
            settled.cuts.push(new.len() as u64);
            settled.head.inline = new.to_vec();
        }
        false => settled.seal_bytes(new, kept, growth.ends, &mut next_id),
    }
    settled
}

impl Settled {
    /// Seals `bytes`, which begin at `offset` of the former `inline`.
    fn seal_bytes(
        &mut self,
        bytes: &[u8],
        mut offset: usize,
        ends: Option<&[usize]>,
        next_id: &mut impl FnMut() -> u64,
    ) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (length, ends_message) = cut(rest, offset, ends);
            let (bytes, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            let id = next_id();
            self.head.recent.push(Segment {
                id,
                length: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
                ends_message,
            });
            self.cuts.push(bytes.len() as u64);
            self.chunks.push(Chunk {
                id,
                bytes: bytes.to_vec(),
            });
            offset = offset.saturating_add(length);
            rest = after;
        }
    }
}

/// Returns the longest cut of at most `most` bytes that splits neither a character nor CR LF, if
/// the bytes are text. A page ends where a segment ends, and clients decode each page by itself.
fn cut_text(bytes: &[u8], most: usize) -> usize {
    let splits = |cut: &usize| {
        let before = cut.checked_sub(1).and_then(|last| bytes.get(last));
        match (before, bytes.get(*cut)) {
            (Some(b'\r'), Some(b'\n')) => true,
            (_, Some(next)) => next & 0xc0 == 0x80,
            (_, None) => false,
        }
    };
    let cuts = most.saturating_sub(3)..=most;
    // A longer sequence is not text.
    cuts.rev().find(|cut| !splits(cut)).unwrap_or(most)
}

/// Returns how many of the remaining bytes, which begin at `offset`, go to the next segment, and
/// whether it then ends a message.
fn cut(rest: &[u8], offset: usize, ends: Option<&[usize]>) -> (usize, bool) {
    if rest.len() <= MAX_CHUNK_BYTES {
        return (rest.len(), true);
    }
    let Some(ends) = ends else {
        return (cut_text(rest, MAX_CHUNK_BYTES), true);
    };
    let most = offset.saturating_add(MAX_CHUNK_BYTES);
    let fit = ends.partition_point(|end| *end <= most);
    match fit.checked_sub(1).and_then(|last| ends.get(last)) {
        Some(end) if *end > offset => (end.saturating_sub(offset), true),
        _ => (MAX_CHUNK_BYTES, false),
    }
}
