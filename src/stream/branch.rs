//! The head of a new fork (section 4.2): the head of its source, cut at a position.

use super::append_request::Payload;
use super::create::timeline_after;
use super::fork::spans_within;
use super::settle::{Growth, seal};
use super::{
    Asked, Birth, Block, Create, Expiry, Forks, Head, Incarnation, Lineage, Link, Position, Ring,
    Run, Segment, Settled, Span, Timelines, Tombstone,
};
use crate::limits::{BLOCK_SEGMENTS, FORK_DEPTH};

/// Reason why a stream can't be forked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForkError {
    /// The source has no such position.
    #[error("The source stream has no such fork offset.")]
    NoSuchPlace,
    /// The source already has as many sources in a row as a fork may have.
    #[error(
        "The source stream is already {FORK_DEPTH} forks deep, which is the maximum. Fork a \
             stream with fewer forks above it."
    )]
    TooDeep,
}

/// Returns the head of a fork of `source`, without bytes of its own. The fork is a life that begins
/// at `birth` under `name`. `block` is the index block with the segment of `point`, and the block's
/// owner, if the source's head does not list that segment.
///
/// # Errors
///
/// The source has no such position, or has too many sources in a row.
pub fn branch(
    name: &str,
    birth: Birth,
    source: &Head,
    link: Link,
    asked: Asked,
    point: Position,
    block: Option<(&Block, Incarnation)>,
) -> Result<Head, ForkError> {
    let depth = source.lineage.as_ref().map_or(0, |lineage| lineage.depth);
    let depth = depth.saturating_add(1);
    if depth > FORK_DEPTH {
        return Err(ForkError::TooDeep);
    }
    let Cut {
        recent_first,
        recent,
        inline,
        owners,
        timelines,
    } = cut(source, point, block)?;
    let own_block = recent_first / BLOCK_SEGMENTS;
    let runs = runs_before(source, own_block);
    let bytes = inline.len() as u64;
    Ok(Head {
        name: name.to_owned(),
        incarnation: birth.incarnation,
        version: 1,
        born: 1,
        ring: Ring::default(),
        content_type: source.content_type.clone(),
        created_ms: birth.now_ms,
        expiry: source.expiry,
        touched_ms: birth.now_ms,
        closed: None,
        lease: None,
        seq: None,
        producers: Vec::new(),
        bytes,
        leaf: birth.leaf,
        first: source.first,
        recent_first,
        recent,
        inline,
        forks: Forks::default(),
        lineage: Some(Box::new(Lineage {
            source: link,
            asked,
            point,
            pending: true,
            depth,
            floor: 0,
            runs,
            own_block,
            owners,
        })),
        subscribers: Vec::new(),
        timelines,
    })
}

/// The parts of the source's head that a fork's head contains, apart from whole index blocks.
struct Cut {
    recent_first: u64,
    recent: Vec<Segment>,
    inline: Vec<u8>,
    owners: Vec<Span>,
    timelines: Timelines,
}

/// Cuts the source at `point`; see [`branch`].
fn cut(
    source: &Head,
    point: Position,
    block: Option<(&Block, Incarnation)>,
) -> Result<Cut, ForkError> {
    if point <= source.start() {
        return Ok(Cut {
            recent_first: source.first,
            recent: Vec::new(),
            inline: Vec::new(),
            owners: Vec::new(),
            timelines: Timelines::default(),
        });
    }
    let end = point.number().saturating_add(1);
    let timelines = source.timelines.cut(end);
    if timelines.at(point.number()) != point.timeline() {
        return Err(ForkError::NoSuchPlace);
    }
    let cut = match block {
        Some((block, owner)) => cut_block(block, owner, point),
        None => cut_head(source, point),
    };
    cut.map(|cut| Cut { timelines, ..cut })
}

/// Cuts within an index block. The block's segments before the cut become recent segments.
fn cut_block(block: &Block, owner: Incarnation, point: Position) -> Result<Cut, ForkError> {
    let end = point.number().saturating_add(1);
    let recent = until(&block.segments, block.first, point)?;
    let mut owners = spans_within(&block.owners, block.first, end);
    close(&mut owners, block.first, end, owner);
    Ok(Cut {
        recent_first: block.first,
        recent,
        inline: Vec::new(),
        owners,
        timelines: Timelines::default(),
    })
}

/// Cuts within the source's recent segments or its inline tail.
fn cut_head(source: &Head, point: Position) -> Result<Cut, ForkError> {
    let open = source.open_segment();
    let first = source.recent_first;
    let (recent, inline, end) = match point.number() < open {
        true => {
            let end = point.number().saturating_add(1);
            (until(&source.recent, first, point)?, Vec::new(), end)
        }
        false => {
            let length = usize::try_from(point.byte).ok();
            let inline = length.and_then(|length| source.inline.get(..length));
            let inline = inline.filter(|_| point.number() == open);
            let inline = inline.ok_or(ForkError::NoSuchPlace)?.to_vec();
            (source.recent.clone(), inline, open)
        }
    };
    let lineage = source.lineage.as_ref();
    let spans = lineage.map_or(&[][..], |lineage| &lineage.owners);
    let mut owners = spans_within(spans, first, end);
    close(&mut owners, first, end, source.incarnation);
    Ok(Cut {
        recent_first: first,
        recent,
        inline,
        owners,
        timelines: Timelines::default(),
    })
}

/// Returns the owners of the index blocks that a fork of `source` has before its own blocks.
fn runs_before(source: &Head, own_block: u64) -> Vec<Run> {
    let lineage = source.lineage.as_ref();
    let mut runs = lineage.map_or_else(Vec::new, |lineage| lineage.runs.clone());
    let first_block = source.own_block();
    if first_block < own_block {
        runs.push(Run {
            first_block,
            owner: source.incarnation,
        });
    }
    runs.retain(|run| run.first_block < own_block);
    runs
}

/// Returns the segments up to `point`; the last segment is shortened.
fn until(segments: &[Segment], first: u64, point: Position) -> Result<Vec<Segment>, ForkError> {
    let count = point
        .number()
        .checked_sub(first)
        .map(|n| n.saturating_add(1));
    let count = count.and_then(|count| usize::try_from(count).ok());
    let taken = count.and_then(|count| segments.get(..count));
    let mut taken = taken.ok_or(ForkError::NoSuchPlace)?.to_vec();
    let last = taken.last_mut().ok_or(ForkError::NoSuchPlace)?;
    if point.byte == 0 || point.byte > u64::from(last.length) {
        return Err(ForkError::NoSuchPlace);
    }
    if point.byte < u64::from(last.length) {
        last.length = u32::try_from(point.byte).unwrap_or(last.length);
        last.ends_message = true;
    }
    Ok(taken)
}

/// Adds a span of `owner` for the segments up to `end` that `spans` does not cover.
fn close(spans: &mut Vec<Span>, first: u64, end: u64, owner: Incarnation) {
    let closed = spans.last().map_or(first, |span| span.end);
    if closed < end {
        spans.push(Span { end, owner });
    }
}

/// Returns the pending head of a new fork, with the chunks and blocks to store first. The head is
/// `branch` with the properties and bytes that the creator gave.
#[must_use]
pub(crate) fn begin_fork(
    branch: Head,
    create: &Create,
    payload: Payload,
    after: Option<&Tombstone>,
    timeline: u64,
    budget: usize,
    next_id: impl FnMut() -> u64,
) -> Settled {
    let timeline = timeline_after(timeline, after);
    let mut head = branch;
    head.version = after.map_or(1, |tombstone| tombstone.version.saturating_add(1));
    head.born = head.version;
    head.content_type = create.content_type.clone();
    head.expiry = create.expiry;
    head.closed = create.closed();
    head.lease = create.lease(head.created_ms);
    let floor = after.map_or(0, |tombstone| tombstone.next_segment);
    let empty = head.tail() == Position::ZERO;
    if empty {
        // The fork shares no offset with its source, so its offsets need not be the source's.
        head.first = head.first.max(floor);
        head.recent_first = head.first;
        head.timelines = Timelines::beginning(head.first, timeline);
    }
    let own_block = head.first / BLOCK_SEGMENTS;
    if let Some(lineage) = &mut head.lineage {
        lineage.floor = floor;
        if empty {
            lineage.own_block = own_block;
            lineage.runs.clear();
        }
    }
    let start = head.inline.len();
    let (bytes, ends) = match payload {
        Payload::Bytes(bytes) => (bytes, None),
        Payload::Messages { bytes, ends } => {
            let behind = ends.iter().map(|end| start.saturating_add(*end));
            let ends: Vec<usize> = std::iter::once(start).chain(behind).collect();
            (bytes, Some(ends))
        }
    };
    let grew = !bytes.is_empty();
    head.inline.extend_from_slice(&bytes);
    head.bytes = head.bytes.saturating_add(bytes.len() as u64);
    // Blocks are built only of segments that a committed head has listed.
    let growth = Growth {
        kept: start,
        grew,
        ends: ends.as_deref(),
        budget,
        timeline,
    };
    seal(head, Vec::new(), &growth, next_id)
}

/// Whether `head` is the fork of `source` that a creation with `asked` requests. A request that
/// gives the fork's resolved point as its offset matches too.
#[must_use]
pub(crate) fn is_fork_of(head: &Head, source: &[u8; 20], asked: Asked) -> bool {
    head.lineage.as_ref().is_some_and(|lineage| {
        let resolved = asked.sub == 0 && asked.offset == Some(lineage.point);
        lineage.source.hash == *source && (lineage.asked == asked || resolved)
    })
}

/// Returns the expiry of a fork: the requested one, or the source's if none was requested.
#[must_use]
pub(crate) const fn inherited_expiry(asked: Expiry, source: Expiry) -> Expiry {
    match asked {
        Expiry::Never => source,
        asked => asked,
    }
}

#[cfg(test)]
#[path = "branch_tests.rs"]
mod tests;
