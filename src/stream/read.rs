//! Where a read begins (sections 5.6 and 8).

use super::{Head, Position};

/// Where a read begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// At this place, at or before the tail. A place in a sealed segment was not compared with
    /// that segment's length.
    Inside(Position),
    /// At a place that the stream has not reached; the tail is before it or the same place.
    Ahead(Position),
}

/// The offset belongs to an earlier life of the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("The offset is of a deleted stream of this name")]
pub(crate) struct OffsetGone;

/// Finds the place `asked` for; `None` is the start.
///
/// # Errors
///
/// When the place is of an earlier life of the name.
pub(crate) fn locate(head: &Head, asked: Option<Position>) -> Result<Origin, OffsetGone> {
    let start = Position::new(head.first, 0);
    let tail = head.tail();
    let from = match asked {
        None | Some(Position::ZERO) => start,
        Some(asked) if asked < start => return Err(OffsetGone),
        Some(asked) => asked,
    };
    if tail == Position::ZERO && from == start {
        return Ok(Origin::Inside(Position::ZERO));
    }
    match from <= tail {
        true => Ok(Origin::Inside(from)),
        false => Ok(Origin::Ahead(from)),
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
        let at = |head: &Head, segment, byte| locate(head, Some(Position::new(segment, byte)));
        assert_eq!(locate(&head, None), Ok(Origin::Inside(Position::ZERO)));
        assert_eq!(at(&head, 0, 0), Ok(Origin::Inside(Position::ZERO)));
        assert_eq!(at(&head, 3, 9), Err(OffsetGone));
        head.inline = vec![0; 5];
        assert_eq!(at(&head, 0, 0), Ok(Origin::Inside(Position::new(4, 0))));
        assert_eq!(at(&head, 4, 5), Ok(Origin::Inside(Position::new(4, 5))));
        assert_eq!(at(&head, 4, 6), Ok(Origin::Ahead(Position::new(4, 6))));
        assert_eq!(at(&head, 5, 0), Ok(Origin::Ahead(Position::new(5, 0))));
    }
}
