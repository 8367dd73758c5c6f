//! Timelines of a stream, which tell the histories of its store that its segments belong to.
//!
//! A store that was restored to an older state begins a new timeline with a greater number.
//! Segments written before and after the restore can have the same numbers, so an offset names the
//! timeline of its segment. Segment numbers themselves stay dense: index blocks and chunks do not
//! record timelines.

use super::Position;

/// An entry: the segments from `first` to the next entry were written on `timeline`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Era {
    /// Number of the first segment.
    pub first: u64,
    /// The timeline.
    pub timeline: u64,
}

/// All timelines of a stream, ascending. Segments before the first entry are of timeline 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Timelines(Vec<Era>);

impl Timelines {
    /// Creates the list of these entries; `None` if they are not ascending.
    #[must_use]
    pub fn of(eras: Vec<Era>) -> Option<Self> {
        let mut pairs = eras.iter().zip(eras.iter().skip(1));
        let ascend =
            pairs.all(|(one, next)| one.first < next.first && one.timeline < next.timeline);
        let begins = eras.first().is_none_or(|era| era.timeline > 0);
        (ascend && begins).then_some(Self(eras))
    }

    /// Creates the timelines of a stream with first segment `first`, written on `timeline`.
    #[must_use]
    pub fn beginning(first: u64, timeline: u64) -> Self {
        let mut timelines = Self::default();
        timelines.begin(first, timeline);
        timelines
    }

    /// All entries.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Era> {
        self.0.iter()
    }

    /// Number of entries.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether all segments are of timeline 0.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The newest timeline.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.0.last().map_or(0, |era| era.timeline)
    }

    /// The timeline of segment `number`.
    #[must_use]
    pub fn at(&self, number: u64) -> u64 {
        let mut eras = self.0.iter().rev();
        let era = eras.find(|era| era.first <= number);
        era.map_or(0, |era| era.timeline)
    }

    /// Returns the position `byte` bytes into segment `number`.
    #[must_use]
    pub fn position(&self, number: u64, byte: u64) -> Position {
        Position::on(self.at(number), number, byte)
    }

    /// Begins `timeline` with segment `first`, if it is newer than all others.
    pub fn begin(&mut self, first: u64, timeline: u64) {
        if timeline > self.last() {
            self.0.retain(|era| era.first < first);
            self.0.push(Era { first, timeline });
        }
    }

    /// Whether segment `number` is the last one of its timeline, and another timeline follows.
    #[must_use]
    pub fn ends_at(&self, number: u64) -> bool {
        let next = number.saturating_add(1);
        self.0.iter().any(|era| era.first == next)
    }

    /// Returns the first position on a timeline newer than `timeline`.
    #[must_use]
    pub fn after(&self, timeline: u64) -> Option<Position> {
        let era = self.0.iter().find(|era| era.timeline > timeline)?;
        Some(Position::on(era.timeline, era.first, 0))
    }

    /// Returns the timelines of the segments before `end`.
    #[must_use]
    pub fn cut(&self, end: u64) -> Self {
        let eras = self.0.iter().filter(|era| era.first < end);
        Self(eras.copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn timelines(steps: &[(u64, u64)]) -> Timelines {
        let mut timelines = Timelines::default();
        let (mut first, mut timeline) = (0, 0);
        for (segments, raise) in steps {
            first += segments;
            timeline += raise;
            timelines.begin(first, timeline);
        }
        timelines
    }

    #[test]
    fn segments_before_the_first_entry_are_of_timeline_0() {
        let some = timelines(&[(3, 7), (2, 1)]);
        let of = |number| some.at(number);
        assert_eq!(
            [of(0), of(2), of(3), of(4), of(5), of(99)],
            [0, 0, 7, 7, 8, 8]
        );
        assert_eq!(
            (some.ends_at(2), some.ends_at(3), some.ends_at(4)),
            (true, false, true)
        );
        assert_eq!(some.cut(5), timelines(&[(3, 7)]));
        assert_eq!(some.after(7), Some(Position::on(8, 5, 0)));
        assert_eq!(some.after(8), None);
    }

    #[test]
    fn a_timeline_without_segments_leaves_no_entry() {
        let mut some = timelines(&[(3, 7)]);
        some.begin(3, 9);
        assert_eq!(some, timelines(&[(3, 9)]));
        some.begin(8, 9);
        assert_eq!(some, timelines(&[(3, 9)]));
    }

    proptest! {
        #[test]
        fn places_ascend_with_their_segments_and_name_segment_and_timeline(
            steps in proptest::collection::vec((0u64..9, 0u64..9), 0..9),
            one in (0u64..60, 0u64..9),
            other in (0u64..60, 0u64..9),
        ) {
            let some = timelines(&steps);
            prop_assert_eq!(Timelines::of(some.iter().copied().collect()), Some(some.clone()));
            let at = |(number, byte)| some.position(number, byte);
            prop_assert_eq!(at(one).cmp(&at(other)), one.cmp(&other));
            prop_assert_eq!((at(one).number(), at(one).timeline()), (one.0, some.at(one.0)));
        }
    }
}
