//! Start positions of reads (sections 5.6 and 8).

use super::{Head, Position};
use crate::limits::MAX_TIMELINE;

/// Start of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A position at or before the tail. In a sealed segment, the position was not compared with
    /// the segment's length.
    Inside(Position),
    /// A position beyond the tail, on the store's own timeline. Either the head was read from a
    /// stale replica, or the store has lost that part of the stream.
    Ahead(Position),
    /// A position on a timeline that this instance does not know yet.
    Later,
}

/// The offset refers to a part of the history that no longer exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OffsetGone {
    /// The offset belongs to an earlier life of the name.
    #[error("The offset belongs to a deleted stream of this name")]
    EarlierLife,
    /// The store was restored to an older state and has lost the position.
    #[error("The offset belongs to a part of the stream that the store has lost")]
    Lost,
}

/// Finds the start of a read at the position `asked`; `None` is the start of the stream. `timeline`
/// is the store's, as far as this instance knows it.
///
/// # Errors
///
/// The position belongs to an earlier life of the name, or to lost history.
pub(crate) fn locate(
    head: &Head,
    asked: Option<Position>,
    timeline: u64,
) -> Result<Origin, OffsetGone> {
    let (start, tail) = (head.start(), head.tail());
    let timeline = timeline.max(head.timelines.last());
    let from = match asked {
        None | Some(Position::ZERO) => start,
        // A timeline above the largest one can never begin.
        Some(asked) if asked.timeline() > MAX_TIMELINE => return Ok(Origin::Ahead(asked)),
        Some(asked) if asked.timeline() > timeline => return Ok(Origin::Later),
        Some(asked) if asked < start && asked.number() < head.first => {
            return Err(OffsetGone::EarlierLife);
        }
        Some(asked) if asked < start => return Err(OffsetGone::Lost),
        Some(asked) => asked,
    };
    if tail == Position::ZERO && from == start {
        return Ok(Origin::Inside(Position::ZERO));
    }
    let is_of_its_segment = from.timeline() == head.timelines.at(from.number());
    match () {
        () if from <= tail && is_of_its_segment => Ok(Origin::Inside(from)),
        () if from <= tail => Err(OffsetGone::Lost),
        // The next byte goes to this position, so it equals the tail.
        () if from == Position::on(timeline, head.open_segment(), 0) => Ok(Origin::Inside(from)),
        () if from.timeline() < timeline => Err(OffsetGone::Lost),
        () => Ok(Origin::Ahead(from)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::head::tests::head;

    #[test]
    fn offsets_of_an_earlier_life_are_gone_and_later_ones_are_ahead() {
        let mut head = head();
        head.first = 4;
        head.recent_first = 4;
        let at = |head: &Head, segment, byte| locate(head, Some(Position::new(segment, byte)), 0);
        assert_eq!(locate(&head, None, 0), Ok(Origin::Inside(Position::ZERO)));
        assert_eq!(at(&head, 0, 0), Ok(Origin::Inside(Position::ZERO)));
        assert_eq!(at(&head, 3, 9), Err(OffsetGone::EarlierLife));
        head.inline = vec![0; 5];
        assert_eq!(at(&head, 0, 0), Ok(Origin::Inside(Position::new(4, 0))));
        assert_eq!(at(&head, 4, 5), Ok(Origin::Inside(Position::new(4, 5))));
        assert_eq!(at(&head, 4, 6), Ok(Origin::Ahead(Position::new(4, 6))));
        assert_eq!(at(&head, 5, 0), Ok(Origin::Ahead(Position::new(5, 0))));
    }

    #[test]
    fn an_offset_is_of_its_segments_timeline_or_lost() {
        let mut head = head();
        head.recent_first = 6;
        head.timelines.begin(6, 2);
        head.inline = vec![0; 5];
        let at =
            |timeline, number, byte| locate(&head, Some(Position::on(timeline, number, byte)), 3);
        let inside =
            |timeline, number, byte| Ok(Origin::Inside(Position::on(timeline, number, byte)));
        assert_eq!(at(0, 5, 9), inside(0, 5, 9));
        assert_eq!(at(0, 6, 1), Err(OffsetGone::Lost));
        assert_eq!(at(0, 9, 1), Err(OffsetGone::Lost));
        assert_eq!(at(1, 5, 1), Err(OffsetGone::Lost));
        assert_eq!(at(2, 6, 5), inside(2, 6, 5));
        assert_eq!(at(2, 6, 6), Err(OffsetGone::Lost));
        assert_eq!(at(3, 6, 6), Ok(Origin::Ahead(Position::on(3, 6, 6))));
        assert_eq!(at(4, 6, 1), Ok(Origin::Later));
        assert_eq!(at(MAX_TIMELINE, 6, 1), Ok(Origin::Later));
        let never = Position::on(MAX_TIMELINE + 1, 6, 1);
        assert_eq!(locate(&head, Some(never), 3), Ok(Origin::Ahead(never)));
    }
}
