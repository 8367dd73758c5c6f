//! Places that requests name, judged by the stream's current state.
//!
//! A place may be gone because the name has another life, or because the store went back to an
//! older state and lost it. A place beyond the tail may exist, but this step's read may be too old
//! to show it. Only the store's timeline tells these cases apart. So this file judges the places of
//! all requests.

use super::core::Core;
use super::env::Env;
use super::fault::Fault;
use super::segments::Segments;
use crate::stream::{Head, OffsetGone, Origin, Position, locate};

/// A place in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    /// The place exists. Its byte was not compared with the segment's length, unless history was
    /// lost behind that segment.
    Here(Position),
    /// The place is not in the stream any more.
    Gone(OffsetGone),
    /// The place is beyond the tail, on the store's own timeline.
    Beyond,
    /// The place is on a timeline that this instance does not know.
    Later,
}

/// Judges a place; `None` is the start.
pub(super) fn judge<E: Env>(
    core: &Core<E>,
    head: &Head,
    asked: Option<Position>,
) -> Result<Placed, Fault> {
    let at = match locate(head, asked, core.config.timeline) {
        Ok(Origin::Inside(at)) => at,
        Ok(Origin::Ahead(_)) => return Ok(Placed::Beyond),
        Ok(Origin::Later) => return Ok(Placed::Later),
        Err(gone) => return Ok(Placed::Gone(gone)),
    };
    // The last segment of a timeline may have been longer before the store lost its end.
    // All zeros are the start of an empty stream, whatever its first segment is.
    if at.number() >= head.first
        && head.timelines.ends_at(at.number())
        && let Some((length, _)) = Segments::new(core, head).measure(at.number())?
        && at.byte > length
    {
        return Ok(Placed::Gone(OffsetGone::Lost));
    }
    Ok(Placed::Here(at))
}
