//! The streams of a subscription, each with its cursor.

use crate::limits::SUBSCRIPTION_LINKS;
use crate::stream::Position;

/// A stream, with the cursor of the subscription in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The hash of its name, which is in its head or among the names given.
    pub stream: [u8; 20],
    /// Everything up to here was processed.
    pub acked: Position,
    /// Why it is linked.
    pub kind: Kind,
}

/// Why a stream is linked: at least one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The pattern is for it.
    Glob,
    /// It was named.
    Explicit,
    /// Both.
    Both,
}

impl Kind {
    /// Why, in the words of the specification: naming a stream takes precedence.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Glob => "glob",
            Self::Explicit | Self::Both => "explicit",
        }
    }

    /// Whether the stream was named.
    #[must_use]
    pub const fn is_explicit(self) -> bool {
        matches!(self, Self::Explicit | Self::Both)
    }

    /// This reason and another.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match self == other {
            true => self,
            false => Self::Both,
        }
    }
}

/// There is no room for another link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("A subscription has at most {SUBSCRIPTION_LINKS} streams")]
pub struct TooManyLinks;

/// All links, ascending by stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Links(Vec<Link>);

impl Links {
    /// These links, or nothing if they are not ascending.
    #[must_use]
    pub fn of(links: Vec<Link>) -> Option<Self> {
        let mut pairs = links.iter().zip(links.iter().skip(1));
        pairs
            .all(|(one, next)| one.stream < next.stream)
            .then_some(Self(links))
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Link> + Clone {
        self.0.iter()
    }

    fn place(&self, stream: &[u8; 20]) -> Result<usize, usize> {
        self.0.binary_search_by(|link| link.stream.cmp(stream))
    }

    /// The link to a stream.
    #[must_use]
    pub fn get(&self, stream: &[u8; 20]) -> Option<&Link> {
        self.place(stream).ok().and_then(|place| self.0.get(place))
    }

    /// Sees to it that a stream is linked, with a cursor not before `since`. Says whether that
    /// changed anything.
    pub fn add(
        &mut self,
        stream: [u8; 20],
        since: Position,
        kind: Kind,
    ) -> Result<bool, TooManyLinks> {
        match self.place(&stream) {
            Ok(place) => Ok(self.0.get_mut(place).is_some_and(|link| {
                let before = *link;
                link.acked = link.acked.max(since);
                link.kind = link.kind.and(kind);
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
                    },
                );
                Ok(true)
            }
        }
    }

    /// Takes back the naming of a stream. Says whether that changed anything.
    pub fn remove_explicit(&mut self, stream: &[u8; 20]) -> bool {
        let Ok(place) = self.place(stream) else {
            return false;
        };
        match self.0.get_mut(place) {
            Some(link) if link.kind == Kind::Both => {
                link.kind = Kind::Glob;
                true
            }
            Some(link) if link.kind == Kind::Explicit => {
                self.0.remove(place);
                true
            }
            _ => false,
        }
    }

    /// Forgets a stream that is gone, unless it was named. Says whether that changed anything.
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

    /// Moves a cursor on, never back. Says whether there is such a link.
    pub fn ack(&mut self, stream: &[u8; 20], to: Position) -> bool {
        let Ok(place) = self.place(stream) else {
            return false;
        };
        if let Some(link) = self.0.get_mut(place) {
            link.acked = link.acked.max(to);
        }
        true
    }
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
        assert_eq!(links.add([1; 20], at(5), Kind::Glob), Ok(true));
        assert_eq!(links.add([1; 20], at(3), Kind::Explicit), Ok(true));
        let link = *links.get(&[1; 20]).unwrap();
        assert_eq!((link.kind, link.acked), (Kind::Both, at(5)));
        assert!(!links.forget(&[1; 20]));
        assert!(links.remove_explicit(&[1; 20]) && !links.remove_explicit(&[1; 20]));
        assert_eq!(links.get(&[1; 20]).unwrap().kind.as_str(), "glob");
        assert!(links.forget(&[1; 20]) && links.is_empty());
    }

    #[test]
    fn there_is_room_for_so_many_links() {
        let mut links = Links::default();
        for number in 0..SUBSCRIPTION_LINKS as u32 {
            let mut stream = [0; 20];
            stream[..4].copy_from_slice(&number.to_be_bytes());
            assert_eq!(links.add(stream, at(0), Kind::Glob), Ok(true));
        }
        assert_eq!(links.add([9; 20], at(0), Kind::Glob), Err(TooManyLinks));
        assert_eq!(links.add([0; 20], at(1), Kind::Glob), Ok(true));
    }

    proptest! {
        #[test]
        fn links_are_a_map_whose_cursors_only_rise(
            steps in prop::collection::vec((0_u8..5, 0_u8..6, 0_u64..9), 0..60),
        ) {
            let mut links = Links::default();
            let mut model = BTreeMap::<u8, u64>::new();
            for (what, stream, to) in steps {
                let hash = [stream; 20];
                match what {
                    0 | 1 => {
                        links.add(hash, at(to), Kind::Glob).unwrap();
                        let cursor = model.entry(stream).or_insert(to);
                        *cursor = (*cursor).max(to);
                    }
                    2 => prop_assert_eq!(links.forget(&hash), model.remove(&stream).is_some()),
                    _ => {
                        prop_assert_eq!(links.ack(&hash, at(to)), model.contains_key(&stream));
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
