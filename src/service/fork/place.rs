//! Where a fork branches off its source (section 4.2): the place that `Stream-Fork-Offset` and
//! `Stream-Fork-Sub-Offset` name.

use crate::limits::{PAGE_SEGMENTS, STEP_BYTES};
use crate::protocol::json;
use crate::service::core::Core;
use crate::service::env::Env;
use crate::service::fault::{Fault, Refusal};
use crate::service::places::{self, Placed};
use crate::service::problems;
use crate::service::segments::Segments;
use crate::stream::{Asked, Head, OffsetGone, Position};

/// The requested place in `head`, in canonical form: written with the segment that holds the byte
/// before it, zeros for the start.
pub(in crate::service) fn place<E: Env>(
    core: &Core<E>,
    head: &Head,
    asked: Asked,
) -> Result<Position, Refusal> {
    let refuse = |why: &str| Err(Refusal::Problem(problems::fork_place(why)));
    let anchor = match asked.offset {
        None => head.tail(),
        Some(offset) => match places::judge(core, head, Some(offset))? {
            Placed::Here(place) => place,
            Placed::Gone(OffsetGone::EarlierLife) => {
                return refuse(&OffsetGone::EarlierLife.to_string());
            }
            Placed::Gone(gone @ OffsetGone::Lost) => {
                let now_ms = core.env.now_ms();
                return Err(Refusal::Problem(problems::offset_gone(gone, head, now_ms)));
            }
            Placed::Beyond => {
                return refuse("The fork offset is beyond the tail of the source stream.");
            }
            Placed::Later => return Err(Refusal::Problem(problems::later_timeline())),
        },
    };
    let Some(anchor) = canonical(core, head, anchor)? else {
        return refuse(
            "The source stream never returned the fork offset. Send an offset exactly as the \
             server returned it.",
        );
    };
    if asked.sub == 0 {
        return Ok(anchor);
    }
    match after(core, head, anchor, asked.sub)? {
        Some(place) => Ok(place),
        None => refuse("The fork sub-offset is beyond the page that begins at the fork offset."),
    }
}

/// The canonical form of `place`. `None` if the stream has no such place, or if it is inside a JSON
/// message.
fn canonical<E: Env>(
    core: &Core<E>,
    head: &Head,
    place: Position,
) -> Result<Option<Position>, Fault> {
    if place <= head.start() {
        return Ok(Some(Position::ZERO));
    }
    let mut segments = Segments::new(core, head);
    let number = match place.byte {
        0 => place.number().saturating_sub(1),
        _ => place.number(),
    };
    let Some((length, _)) = segments.measure(number)? else {
        return Ok(None);
    };
    let byte = if place.byte == 0 { length } else { place.byte };
    let found = head.timelines.position(number, byte);
    if byte > length {
        return Ok(None);
    }
    let whole = !head.content_type.is_json() || segments.is_message_end(found)?;
    Ok(whole.then_some(found))
}

/// The place `count` bytes or messages after `anchor`. `None` if it is beyond the page that a read
/// from `anchor` returns.
fn after<E: Env>(
    core: &Core<E>,
    head: &Head,
    anchor: Position,
    count: u64,
) -> Result<Option<Position>, Fault> {
    let mut segments = Segments::new(core, head);
    let anchor = anchor.max(head.start());
    let page = segments.page(anchor, core.config.page_bytes, PAGE_SEGMENTS)?;
    let Some(page) = page.filter(|page| count <= page.bytes) else {
        return Ok(None);
    };
    if !head.content_type.is_json() {
        return segments.skip(anchor, count);
    }
    let (mut at, mut left) = (anchor, count);
    let mut ends = json::Ends::default();
    while left > 0 && at < page.to {
        let part = segments.read(at, page.to, STEP_BYTES)?;
        if part.bytes.is_empty() {
            return Ok(None);
        }
        let read = ends.skip(&part.bytes, &mut left);
        at = part.position(read).unwrap_or(page.to);
    }
    Ok((left == 0).then_some(at))
}
