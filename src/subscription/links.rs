//! The streams of a subscription, each with its cursor.

use crate::limits::SUBSCRIPTION_LINKS;
use crate::stream::{LifeMark, Position};

/// A linked stream, with the subscription's cursor in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The hash of the stream's name. The name itself is in the stream's head, or is listed
    /// explicitly.
    pub stream: [u8; 20],
    /// The workers have processed the stream up to this position.
    pub acked: Position,
    /// Why the stream is linked.
    pub kind: Kind,
    /// The life of the stream that the cursor belongs to. `None` if no life is known, and in
    /// records of older builds.
    pub life: Option<LifeMark>,
}

/// Why a stream is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The pattern matches its name.
    Glob,
    /// Its name was given explicitly.
    Explicit,
    /// Both reasons apply.
    Both,
}

impl Kind {
    /// Returns the specification's word for the reason. An explicit name takes precedence.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Glob => "glob",
            Self::Explicit | Self::Both => "explicit",
        }
    }

    /// Combines two reasons.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match self == other {
            true => self,
            false => Self::Both,
        }
    }
}

/// The subscription has the largest number of links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("A subscription can have at most {SUBSCRIPTION_LINKS} streams.")]
pub struct TooManyLinks;

/// All links, ascending by stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Links(Vec<Link>);

impl Links {
    /// Creates the list of these links; `None` if they are not ascending.
    #[must_use]
    pub fn of(links: Vec<Link>) -> Option<Self> {
        let mut pairs = links.iter().zip(links.iter().skip(1));
        pairs
            .all(|(one, next)| one.stream < next.stream)
            .then_some(Self(links))
    }

    /// Number of links.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no links.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Iterates over all links, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Link> + Clone {
        self.0.iter()
    }

    fn place(&self, stream: &[u8; 20]) -> Result<usize, usize> {
        self.0.binary_search_by(|link| link.stream.cmp(stream))
    }

    /// Returns the link to a stream.
    #[must_use]
    pub fn get(&self, stream: &[u8; 20]) -> Option<&Link> {
        self.place(stream).ok().and_then(|place| self.0.get(place))
    }

    /// Links a stream, or updates its link: the cursor moves to `since` if it is before that, or
    /// belongs to another life than `life`. Returns whether the list changed.
    ///
    /// # Errors
    ///
    /// The list is full, and is unchanged.
    pub fn add(
        &mut self,
        stream: [u8; 20],
        since: Position,
        kind: Kind,
        life: Option<LifeMark>,
    ) -> Result<bool, TooManyLinks> {
        match self.place(&stream) {
            Ok(place) => Ok(self.0.get_mut(place).is_some_and(|link| {
                let before = *link;
                link.acked = match are_others(link.life, life) {
                    true => since,
                    false => link.acked.max(since),
                };
                link.kind = link.kind.and(kind);
                link.life = life.or(link.life);
                *link != before
            })),
            Err(_) if self.0.len() >= SUBSCRIPTION_LINKS => Err(TooManyLinks),
            Err(place) => {
                let acked = since;
                self.0.insert(
                    place,
                    Link {
                        stream,
                        acked,
                        kind,
                        life,
                    },
                );
                Ok(true)
            }
        }
    }

    /// Moves the cursor of `link` to `cursor`, in the current `life` of its stream, if it belongs to
    /// another life. Does nothing if the link changed meanwhile.
    pub fn follow(&mut self, link: &Link, cursor: Position, life: LifeMark) {
        let place = self.place(&link.stream).ok();
        if let Some(known) = place.and_then(|place| self.0.get_mut(place))
            && known == link
            && are_others(link.life, Some(life))
        {
            (known.acked, known.life) = (cursor, Some(life));
        }
    }

    /// Removes the explicit name of a stream. The link remains with this `kind`, or is removed if
    /// `kind` is `None`.
    pub fn unname(&mut self, stream: &[u8; 20], kind: Option<Kind>) {
        let Ok(place) = self.place(stream) else {
            return;
        };
        match (kind, self.0.get_mut(place)) {
            (Some(kind), Some(link)) => link.kind = kind,
            _ => drop(self.0.remove(place)),
        }
    }

    /// Removes a stream that no longer exists, unless its name was given explicitly. Returns
    /// whether the list changed.
    pub fn forget(&mut self, stream: &[u8; 20]) -> bool {
        match self.place(stream) {
            Ok(place)
                if self
                    .0
                    .get(place)
                    .is_some_and(|link| link.kind == Kind::Glob) =>
            {
                self.0.remove(place);
                true
            }
            _ => false,
        }
    }

    /// Moves a cursor forward, never back, unless it belongs to another life of the stream than
    /// `life`. Returns whether the link exists.
    pub fn ack(&mut self, stream: &[u8; 20], to: Position, life: Option<LifeMark>) -> bool {
        let Ok(place) = self.place(stream) else {
            return false;
        };
        if let Some(link) = self.0.get_mut(place)
            && !are_others(link.life, life)
        {
            link.acked = link.acked.max(to);
        }
        true
    }
}

/// Whether both lives are known and differ.
fn are_others(one: Option<LifeMark>, other: Option<LifeMark>) -> bool {
    one.zip(other).is_some_and(|(one, other)| one != other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn at(byte: u64) -> Position {
        Position::new(0, byte)
    }

    #[test]
    fn a_stream_that_was_named_stays_while_the_pattern_is_for_it() {
        let mut links = Links::default();
        assert_eq!(links.add([1; 20], at(5), Kind::Glob, None), Ok(true));
        assert_eq!(links.add([1; 20], at(3), Kind::Explicit, None), Ok(true));
        let link = *links.get(&[1; 20]).unwrap();
        assert_eq!((link.kind, link.acked), (Kind::Both, at(5)));
        assert!(!links.forget(&[1; 20]));
        links.unname(&[1; 20], Some(Kind::Glob));
        assert_eq!(links.get(&[1; 20]).unwrap().kind.as_str(), "glob");
        assert_eq!(links.get(&[1; 20]).unwrap().acked, at(5));
        links.unname(&[1; 20], None);
        assert!(links.is_empty());
    }

    #[test]
    fn a_cursor_is_of_one_life_of_a_stream() {
        let (mut links, stream) = (Links::default(), [1; 20]);
        let (first, second) = (Some([1; 8]), Some([2; 8]));
        let cursor = |links: &Links| links.get(&stream).unwrap().acked;
        assert_eq!(links.add(stream, at(0), Kind::Explicit, None), Ok(true));
        assert_eq!(links.add(stream, at(0), Kind::Explicit, first), Ok(true));
        assert!(links.ack(&stream, at(9), first));
        assert_eq!(links.add(stream, at(3), Kind::Explicit, first), Ok(false));
        assert_eq!(cursor(&links), at(9));
        // The cursor may also move back: the next life may be a fork, with its source's positions.
        assert_eq!(links.add(stream, at(3), Kind::Explicit, second), Ok(true));
        assert_eq!(cursor(&links), at(3));
        assert!(links.ack(&stream, at(9), first), "a late worker's");
        assert_eq!(cursor(&links), at(3));
    }

    #[test]
    fn a_cursor_follows_the_stream_to_its_next_life_once() {
        let (mut links, stream) = (Links::default(), [1; 20]);
        let (first, second) = (Some([1; 8]), Some([2; 8]));
        assert_eq!(links.add(stream, at(9), Kind::Explicit, first), Ok(true));
        let seen = *links.get(&stream).unwrap();
        links.follow(&seen, at(2), [1; 8]);
        assert_eq!(links.get(&stream), Some(&seen));
        links.follow(&seen, at(2), [2; 8]);
        assert!(links.ack(&stream, at(5), second));
        let moved = *links.get(&stream).unwrap();
        assert_eq!((moved.acked, moved.life), (at(5), second));
        // Another step was faster.
        links.follow(&seen, at(2), [3; 8]);
        assert_eq!(links.get(&stream), Some(&moved));
    }

    #[test]
    fn a_subscription_has_a_limited_number_of_links() {
        let mut links = Links::default();
        for number in 0..SUBSCRIPTION_LINKS as u32 {
            let mut stream = [0; 20];
            stream[..4].copy_from_slice(&number.to_be_bytes());
            assert_eq!(links.add(stream, at(0), Kind::Glob, None), Ok(true));
        }
        assert_eq!(
            links.add([9; 20], at(0), Kind::Glob, None),
            Err(TooManyLinks)
        );
        assert_eq!(links.add([0; 20], at(1), Kind::Glob, None), Ok(true));
    }

    proptest! {
        #[test]
        fn links_are_a_map_with_cursors_that_only_rise(
            steps in prop::collection::vec((0_u8..5, 0_u8..6, 0_u64..9), 0..60),
        ) {
            let mut links = Links::default();
            let mut model = BTreeMap::<u8, u64>::new();
            for (operation, stream, to) in steps {
                let hash = [stream; 20];
                match operation {
                    0 | 1 => {
                        links.add(hash, at(to), Kind::Glob, None).unwrap();
                        let cursor = model.entry(stream).or_insert(to);
                        *cursor = (*cursor).max(to);
                    }
                    2 => prop_assert_eq!(links.forget(&hash), model.remove(&stream).is_some()),
                    _ => {
                        prop_assert_eq!(links.ack(&hash, at(to), None), model.contains_key(&stream));
                        model.entry(stream).and_modify(|cursor| *cursor = (*cursor).max(to));
                    }
                }
                let found: Vec<_> = links.iter().map(|l| (l.stream[0], l.acked.byte)).collect();
                prop_assert_eq!(found, model.clone().into_iter().collect::<Vec<_>>());
                prop_assert!(Links::of(links.iter().copied().collect()).is_some());
            }
        }
    }
}
