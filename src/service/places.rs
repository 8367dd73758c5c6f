//! Places that requests name, judged by the stream as it is now.
//!
//! A place may be gone because the name has another life, or because the store went back to an older
//! state and lost it. A place beyond the tail may also be one that this step's read of the store does
//! not show yet. Only the store's timeline tells these apart, so all requests that name a place have it
//! judged here.

use super::core::Core;
use super::env::Env;
use super::fault::Fault;
use super::segments::Segments;
use crate::stream::{Head, OffsetGone, Origin, Position, locate};

/// A place in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    /// It is here. Its byte was not compared with the segment's length, unless history was lost
    /// behind that segment.
    Here(Position),
    /// It is not in the stream any more.
    Gone(OffsetGone),
    /// It is beyond the tail, on the store's own timeline.
    Beyond,
    /// It is of a timeline that this instance does not know.
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
    if head.timelines.ends_at(at.number())
        && let Some((length, _)) = Segments::new(core, head).measure(at.number())?
        && at.byte > length
    {
        return Ok(Placed::Gone(OffsetGone::Lost));
    }
    Ok(Placed::Here(at))
}
