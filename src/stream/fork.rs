//! Forks (section 4.2): streams that begin as another's head, cut at a place.
//!
//! A fork shares the sealed chunks and index blocks of its source and of the source's sources, and
//! has a copy of the bytes that were inline. Its head names the life that owns each, so a read
//! never looks at another head. Each source counts its forks, and lives on unseen while there are
//! any. The count is kept by steps of the fork in [`Forks::steps`], each of which is found by
//! whoever comes later:
//!
//! | step | added | removed |
//! |---|---|---|
//! | joining | before the fork's head is written, pending | with the count raised, or to give the fork up |
//! | joined | with the count raised | once the fork's head is seen without `pending` |
//! | leaving | with the count lowered | once the fork's tombstone is seen not to owe the source |
//!
//! So a pending fork that its source has no step of was given up: nobody can have counted it.

use crate::limits::{BLOCK_SEGMENTS, FORK_DEPTH, FORK_STEPS};

use super::append::Payload;
use super::segment::seal;
use super::{
    Birth, Block, Closed, Create, Expiry, Head, Incarnation, Position, Ring, Segment, Settled,
    Tombstone,
};

/// One life of a stream, as the record of another names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Link {
    /// Hash of the stream's name.
    pub hash: [u8; 20],
    /// Its life.
    pub incarnation: Incarnation,
}

/// What a stream has to do with its forks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Forks {
    /// Forks that are there.
    pub count: u64,
    /// Forks that come or go, at most `limits::FORK_STEPS`.
    pub steps: Vec<(Incarnation, ForkStep)>,
    /// Whether the stream is deleted, and only kept for its forks.
    pub deleted: bool,
}

/// How far a fork came, or how far it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForkStep {
    /// It will be written; not counted.
    Joining,
    /// It is counted.
    Joined,
    /// It is not counted any more.
    Leaving,
}

/// As many forks come and go as a head has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many forks of the stream are being created or deleted at this moment")]
pub struct TooManySteps;

impl Forks {
    /// Whether it is like that of a stream that was never forked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a fork needs the stream's bytes, or may need them.
    #[must_use]
    pub fn need_it(&self) -> bool {
        let needs = |(_, step): &(Incarnation, ForkStep)| *step != ForkStep::Leaving;
        self.count > 0 || self.steps.iter().any(needs)
    }

    /// The step of a fork.
    #[must_use]
    pub fn step(&self, fork: Incarnation) -> Option<ForkStep> {
        let mut steps = self.steps.iter();
        steps.find(|step| step.0 == fork).map(|step| step.1)
    }

    fn set(&mut self, fork: Incarnation, to: Option<ForkStep>) {
        self.steps.retain(|step| step.0 != fork);
        self.steps.extend(to.map(|to| (fork, to)));
    }

    /// Adds the step of a fork that will be written.
    pub fn join(&mut self, fork: Incarnation) -> Result<(), TooManySteps> {
        if self.step(fork).is_some() {
            return Ok(());
        }
        if self.steps.len() >= FORK_STEPS {
            return Err(TooManySteps);
        }
        self.steps.push((fork, ForkStep::Joining));
        Ok(())
    }

    /// Counts a fork whose head is written. False if it was given up, or is counted.
    pub fn count(&mut self, fork: Incarnation) -> bool {
        let joining = self.step(fork) == Some(ForkStep::Joining);
        if joining {
            self.count = self.count.saturating_add(1);
            self.set(fork, Some(ForkStep::Joined));
        }
        joining
    }

    /// Forgets the step of a fork that is there. False if there was none.
    pub fn settle(&mut self, fork: Incarnation) -> bool {
        let joined = self.step(fork) == Some(ForkStep::Joined);
        if joined {
            self.set(fork, None);
        }
        joined
    }

    /// Gives up a fork that was not counted. False if there was nothing to give up.
    pub fn give_up(&mut self, fork: Incarnation) -> bool {
        let joining = self.step(fork) == Some(ForkStep::Joining);
        if joining {
            self.set(fork, None);
        }
        joining
    }

    /// Takes a fork, whose tombstone owes the stream, out of the count. `Ok(false)` if it was.
    pub fn leave(&mut self, fork: Incarnation) -> Result<bool, TooManySteps> {
        match self.step(fork) {
            Some(ForkStep::Leaving) => return Ok(false),
            Some(_) => {}
            None if self.steps.len() >= FORK_STEPS => return Err(TooManySteps),
            None => {}
        }
        self.count = self.count.saturating_sub(1);
        self.set(fork, Some(ForkStep::Leaving));
        Ok(true)
    }

    /// Forgets the step of a fork that owes nothing any more. False if there was none.
    pub fn forget(&mut self, fork: Incarnation) -> bool {
        let leaving = self.step(fork) == Some(ForkStep::Leaving);
        if leaving {
            self.set(fork, None);
        }
        leaving
    }
}

/// Index blocks from `first_block` on, up to those of the next run, that another life owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first of them.
    pub first_block: u64,
    /// Whose they are.
    pub owner: Incarnation,
}

/// Segments before `end`, from where the span before ends, whose chunks another life owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Number of the segment after the last of them.
    pub end: u64,
    /// Whose they are.
    pub owner: Incarnation,
}

/// Whose chunk segment `number` is; `None` if it is of the life that has the spans.
#[must_use]
pub fn owner(spans: &[Span], number: u64) -> Option<Incarnation> {
    let mut spans = spans.iter();
    spans.find(|span| number < span.end).map(|span| span.owner)
}

/// The part of `spans` that says something of the segments from `first` up to `end`.
pub(super) fn spans_within(spans: &[Span], first: u64, end: u64) -> Vec<Span> {
    let mut within: Vec<Span> = Vec::new();
    for span in spans.iter().filter(|span| span.end > first) {
        within.push(Span {
            end: span.end.min(end),
            owner: span.owner,
        });
        if span.end >= end {
            break;
        }
    }
    within
}

/// Where a fork comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    /// The stream it was forked from.
    pub source: Link,
    /// What its creator asked for.
    pub asked: Asked,
    /// Where it leaves its source.
    pub point: Position,
    /// Whether its source has not counted it yet: it is as good as absent.
    pub pending: bool,
    /// Sources on the way to the stream that is no fork.
    pub depth: u64,
    /// The first segment number that no earlier life of the name used.
    pub floor: u64,
    /// Blocks of other lives, ascending.
    pub runs: Vec<Run>,
    /// The first block that is its own.
    pub own_block: u64,
    /// Owners of the first segments among the recent ones.
    pub owners: Vec<Span>,
}

/// The divergence point as a creator gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The offset; `None` for the tail at that time.
    pub offset: Option<Position>,
    /// Bytes or messages after it.
    pub sub: u64,
}

impl Head {
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
}

/// Why a stream can't be forked at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForkError {
    /// There is no such place.
    #[error("the fork offset is not a place of the source stream")]
    NoSuchPlace,
    /// It is a fork of a fork of a fork and so on.
    #[error("the source stream is a fork of a fork {FORK_DEPTH} times over, and that is the most")]
    TooDeep,
}

/// The head of a fork of `source`, a life that begins at `birth` under `name`, before it got
/// bytes of its own. `block` is the index block that has the segment of `point`, where the
/// source's head has it not; its owner with it.
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
    })
}

/// What a fork's head has of its source's data, apart from whole index blocks.
struct Cut {
    recent_first: u64,
    recent: Vec<Segment>,
    inline: Vec<u8>,
    owners: Vec<Span>,
}

/// Cuts the source at `point`; see [`branch`].
fn cut(
    source: &Head,
    point: Position,
    block: Option<(&Block, Incarnation)>,
) -> Result<Cut, ForkError> {
    if point <= Position::new(source.first, 0) {
        return Ok(Cut {
            recent_first: source.first,
            recent: Vec::new(),
            inline: Vec::new(),
            owners: Vec::new(),
        });
    }
    match block {
        Some((block, owner)) => cut_block(block, owner, point),
        None => cut_head(source, point),
    }
}

/// Cuts within an index block, whose segments before the cut become recent ones.
fn cut_block(block: &Block, owner: Incarnation, point: Position) -> Result<Cut, ForkError> {
    let end = point.segment.saturating_add(1);
    let recent = until(&block.segments, block.first, point)?;
    let mut owners = spans_within(&block.owners, block.first, end);
    close(&mut owners, block.first, end, owner);
    Ok(Cut {
        recent_first: block.first,
        recent,
        inline: Vec::new(),
        owners,
    })
}

/// Cuts within the source's recent segments or its inline tail.
fn cut_head(source: &Head, point: Position) -> Result<Cut, ForkError> {
    let open = source.open_segment();
    let first = source.recent_first;
    let (recent, inline, end) = match point.segment < open {
        true => {
            let end = point.segment.saturating_add(1);
            (until(&source.recent, first, point)?, Vec::new(), end)
        }
        false => {
            let length = usize::try_from(point.byte).ok();
            let inline = length.and_then(|length| source.inline.get(..length));
            let inline = inline.filter(|_| point.segment == open);
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
    })
}

/// Who has the index blocks of a fork of `source` before its own ones.
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

/// The segments up to `point`, the last of them shortened to it.
fn until(segments: &[Segment], first: u64, point: Position) -> Result<Vec<Segment>, ForkError> {
    let count = point
        .segment
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

/// Says of what `spans` leave up to `end` that `owner` has it.
fn close(spans: &mut Vec<Span>, first: u64, end: u64, owner: Incarnation) {
    let closed = spans.last().map_or(first, |span| span.end);
    if closed < end {
        spans.push(Span { end, owner });
    }
}

/// The head of a new fork, pending, and what it needs stored first: `branch` with what its
/// creator gave it.
#[must_use]
pub fn begin_fork(
    branch: Head,
    create: &Create,
    payload: Payload,
    after: Option<&Tombstone>,
    budget: usize,
    next_id: impl FnMut() -> u64,
) -> Settled {
    let mut head = branch;
    head.version = after.map_or(1, |tombstone| tombstone.version.saturating_add(1));
    head.born = head.version;
    head.content_type = create.content_type.clone();
    head.expiry = create.expiry;
    head.closed = create.close.then_some(Closed { by: None });
    let floor = after.map_or(0, |tombstone| tombstone.next_segment);
    let empty = head.tail() == Position::ZERO;
    if empty {
        // It shares no offset with its source, so it need not repeat any.
        head.first = head.first.max(floor);
        head.recent_first = head.first;
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
    // Blocks are built only of entries that a committed head had.
    seal(head, Vec::new(), ends.as_deref(), grew, budget, next_id)
}

/// Whether a creation that asks for a fork of `source` at `asked`, which is `point` if it was
/// looked up, asks for the fork that `head` is.
#[must_use]
pub fn is_fork_of(head: &Head, source: &[u8; 20], asked: Asked) -> bool {
    head.lineage.as_ref().is_some_and(|lineage| {
        let resolved = asked.sub == 0 && asked.offset == Some(lineage.point);
        lineage.source.hash == *source && (lineage.asked == asked || resolved)
    })
}

/// What a fork's creator gets who gives no expiry: that of the source.
#[must_use]
pub const fn inherited_expiry(asked: Expiry, source: Expiry) -> Expiry {
    match asked {
        Expiry::Never => source,
        asked => asked,
    }
}

#[cfg(test)]
#[path = "fork_tests.rs"]
mod tests;
