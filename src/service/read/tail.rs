//! The start of a read near the tail: the place with a number of messages or bytes after it.
//!
//! The search goes back from the tail and reads no more than it counts. It counts bytes by the
//! lengths of segments. It counts messages in runs of segments that begin and end with a message:
//! only from the beginning of a message can a reader tell the end of the message. A run is one
//! segment, unless a message is larger than a chunk.
//!
//! Each step of a search is bounded. A longer search continues in the next step of the request.

use crate::limits::{
    STEP_BYTES, TAIL_MESSAGES, TAIL_STEP_BYTES, TAIL_STEP_CHUNKS, TAIL_STEP_SEGMENTS,
};
use crate::protocol::sse::Encoding;
use crate::service::attempt::{TailAttempt, TailRun};
use crate::service::core::Core;
use crate::service::env::Env;
use crate::service::fault::{Fault, Refusal};
use crate::service::places::{self, Placed};
use crate::service::problems;
use crate::service::segments::Segments;
use crate::stream::{Head, Position};

/// Bytes of a UTF-8 character before or after a place within it, at most.
const REST_OF_CHARACTER: u64 = 3;

/// Result of one step of a search.
pub(super) enum Search {
    /// The place.
    Found(Position),
    /// The search continues in another step.
    Again(TailAttempt),
}

/// Searches the place with the last `count` messages or bytes after it. Text begins with a
/// character, and may be some bytes shorter or longer than `count` for that. In a shorter stream,
/// the place is the start. `known`: the search that an earlier step began.
pub(super) fn search<E: Env>(
    core: &Core<E>,
    head: &Head,
    count: u64,
    known: Option<TailAttempt>,
) -> Result<Search, Refusal> {
    let encoding = Encoding::of(&head.content_type);
    if encoding == Encoding::Json && count > TAIL_MESSAGES {
        return Err(Refusal::Problem(problems::tail_too_long(count)));
    }
    if head.tail() == Position::ZERO {
        return Ok(Search::Found(Position::ZERO));
    }
    let mut search = match known {
        Some(known) if is_there(core, head, &known)? => known,
        _ => TailAttempt {
            incarnation: head.incarnation,
            at: head.tail(),
            left: match encoding {
                // The bytes before the place show whether it is within a character.
                Encoding::Text => count.saturating_add(REST_OF_CHARACTER),
                Encoding::Json | Encoding::Base64 => count,
            },
            run: None,
        },
    };
    let mut segments = Segments::new(core, head);
    let found = match encoding {
        Encoding::Json => messages(&mut segments, head, &mut search)?,
        Encoding::Text | Encoding::Base64 => bytes(&mut segments, head, &mut search)?,
    };
    let Some(at) = found else {
        return Ok(Search::Again(search));
    };
    if encoding != Encoding::Text {
        return Ok(Search::Found(at));
    }
    let after = count
        .saturating_add(REST_OF_CHARACTER)
        .saturating_sub(search.left);
    let surplus = after.saturating_sub(count);
    Ok(Search::Found(character(&mut segments, head, at, surplus)?))
}

/// Whether the stream still has the place that a search reached. Another life and a store that went
/// back in time do not.
fn is_there<E: Env>(core: &Core<E>, head: &Head, search: &TailAttempt) -> Result<bool, Fault> {
    let same = search.incarnation == head.incarnation;
    Ok(same && places::judge(core, head, Some(search.at))? == Placed::Here(search.at))
}

/// Counts bytes. `None`: the step is over.
fn bytes<E: Env>(
    segments: &mut Segments<'_, E>,
    head: &Head,
    search: &mut TailAttempt,
) -> Result<Option<Position>, Fault> {
    (search.at, search.left) = segments.back(search.at, search.left, TAIL_STEP_SEGMENTS)?;
    let is_over = search.left == 0 || search.at <= head.start();
    Ok(is_over.then_some(search.at))
}

/// Counts messages. `None`: the step is over.
fn messages<E: Env>(
    segments: &mut Segments<'_, E>,
    head: &Head,
    search: &mut TailAttempt,
) -> Result<Option<Position>, Fault> {
    let mut budget = Budget::default();
    while search.left > 0 && search.at > head.start() {
        let mut run = match search.run.take() {
            Some(run) => run,
            None => begin(head, segments.message_start(search.at.number())?),
        };
        match read_on(segments, &mut run, search.at, &mut budget)? {
            Progress::Paused => {
                search.run = Some(run);
                return Ok(None);
            }
            Progress::Skipped(place) => return Ok(Some(place)),
            Progress::Over => {}
        }
        match run.found.checked_sub(search.left) {
            None | Some(0) => {
                search.left = search.left.saturating_sub(run.found);
                search.at = segments.end_before(run.first)?;
            }
            // The place is in this run. Its messages are read again up to there, since their ends
            // may be too many to remember.
            more => {
                search.run = Some(TailRun {
                    skip: more,
                    ..begin(head, run.first)
                });
            }
        }
    }
    Ok(Some(search.at))
}

/// A run that begins with segment `first`, without any message read.
fn begin(head: &Head, first: u64) -> TailRun {
    TailRun {
        first,
        at: head.timelines.position(first, 0),
        ends: Default::default(),
        found: 0,
        skip: None,
    }
}

/// Stored bytes and chunks that a step has read.
#[derive(Default)]
struct Budget {
    bytes: usize,
    chunks: usize,
}

/// Result of reading a run.
enum Progress {
    /// The step has read enough.
    Paused,
    /// All messages to skip were read, and end here.
    Skipped(Position),
    /// The whole run was read.
    Over,
}

/// Reads the messages of a run up to `end`.
fn read_on<E: Env>(
    segments: &mut Segments<'_, E>,
    run: &mut TailRun,
    end: Position,
    budget: &mut Budget,
) -> Result<Progress, Fault> {
    while run.at < end {
        if budget.bytes >= TAIL_STEP_BYTES || budget.chunks >= TAIL_STEP_CHUNKS {
            return Ok(Progress::Paused);
        }
        // At least one segment is read, and no second one fits.
        let part = segments.read(run.at, end, 0)?;
        budget.bytes = budget.bytes.saturating_add(part.bytes.len());
        budget.chunks = budget.chunks.saturating_add(1);
        let Some(next) = part.position(part.bytes.len()).filter(|at| *at > run.at) else {
            return Ok(Progress::Over);
        };
        run.at = next;
        if let Some(left) = &mut run.skip {
            let read = run.ends.skip(&part.bytes, left);
            if *left == 0 {
                return Ok(Progress::Skipped(part.position(read).unwrap_or(next)));
            }
        } else {
            let mut left = u64::MAX;
            run.ends.skip(&part.bytes, &mut left);
            let found = u64::MAX.saturating_sub(left);
            run.found = run.found.saturating_add(found);
        }
    }
    Ok(Progress::Over)
}

/// The place `surplus` bytes after `at`, moved to the beginning of a character.
fn character<E: Env>(
    segments: &mut Segments<'_, E>,
    head: &Head,
    at: Position,
    surplus: u64,
) -> Result<Position, Fault> {
    if surplus == 0 {
        return Ok(at);
    }
    let window = segments.skip(at, surplus.saturating_add(REST_OF_CHARACTER))?;
    let window = segments.read(at, window.unwrap_or_else(|| head.tail()), STEP_BYTES)?;
    let place = usize::try_from(surplus).unwrap_or(usize::MAX);
    let begin = boundary(&window.bytes, place) as u64;
    Ok(segments.skip(at, begin)?.unwrap_or(at))
}

/// Moves `place` out of a character: to its end, or to its beginning if `bytes` end within it.
fn boundary(bytes: &[u8], place: usize) -> usize {
    let before = bytes.get(..place).unwrap_or(bytes);
    let Some(begin) = before.iter().rposition(|byte| byte & 0xc0 != 0x80) else {
        return place;
    };
    let length = match bytes.get(begin) {
        Some(0xc2..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf4) => 4,
        _ => 1,
    };
    let end = begin.saturating_add(length);
    if end <= place {
        return place;
    }
    let whole = bytes.get(begin..end);
    let character = whole.or_else(|| bytes.get(begin..)).unwrap_or_default();
    match std::str::from_utf8(character) {
        Ok(_) => end,
        // The rest of the character was not appended yet.
        Err(error) if error.error_len().is_none() => begin,
        // These bytes are no text.
        Err(_) => place,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_within_a_character_moves_to_its_end_or_before_an_incomplete_one() {
        for (bytes, places) in [
            (&b"abcd"[..], &[0, 1, 2, 3, 4][..]),
            ("a\u{e9}b".as_bytes(), &[0, 1, 3, 3, 4]),
            ("\u{20ac}b".as_bytes(), &[0, 3, 3, 3, 4]),
            ("\u{1d11e}".as_bytes(), &[0, 4, 4, 4, 4]),
            // Cut off.
            (b"a\xe2\x82", &[0, 1, 1, 1]),
            (b"\xf0\x9d\x84", &[0, 0, 0, 0]),
            // No text.
            (b"\x80\x80\x80\x80", &[0, 1, 2, 3, 4]),
            (b"\xe2\x82a\x80", &[0, 1, 2, 3, 4]),
            (b"\xc0\x80\xff\x80", &[0, 1, 2, 3, 4]),
        ] {
            let moved: Vec<_> = (0..=bytes.len()).map(|at| boundary(bytes, at)).collect();
            assert_eq!(moved, places, "{bytes:?}");
        }
    }
}
