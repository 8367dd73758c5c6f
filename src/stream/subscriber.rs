//! Who is to be woken by a stream: links from its head to subscriptions (section 6).

use super::{Head, LifeMark, Position};
use crate::limits::SUBSCRIBERS;

/// A subscription that is linked to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscriber {
    /// The hash of its id.
    pub subscription: [u8; 20],
    /// Which subscription of that id: an id may be used again.
    pub life: u64,
    /// Its first cursor, before everything it is to be told of. Kept here too, so that whoever
    /// finds the link before the subscription knows of it can bring it there.
    pub since: Position,
}

/// As many subscriptions are linked to the stream as may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("The stream is linked to {SUBSCRIBERS} subscriptions already")]
pub struct TooManySubscribers;

impl Head {
    /// Links a subscription, in the place of an earlier one of the same id. Says whether that
    /// changed anything: an existing link keeps its first cursor.
    ///
    /// # Errors
    ///
    /// When the stream has as many subscriptions as it may; nothing was changed.
    pub fn attach(&mut self, subscriber: Subscriber) -> Result<bool, TooManySubscribers> {
        let full = self.subscribers.len() >= SUBSCRIBERS;
        let same = |other: &&mut Subscriber| other.subscription == subscriber.subscription;
        match self.subscribers.iter_mut().find(same) {
            Some(known) if known.life == subscriber.life => Ok(false),
            Some(former) => {
                *former = subscriber;
                Ok(true)
            }
            None if full => Err(TooManySubscribers),
            None => {
                self.subscribers.push(subscriber);
                Ok(true)
            }
        }
    }

    /// The link of one life of a subscription.
    #[must_use]
    pub fn subscriber(&self, subscription: &[u8; 20], life: u64) -> Option<&Subscriber> {
        self.subscribers
            .iter()
            .find(|other| other.subscription == *subscription && other.life == life)
    }

    /// Removes the link of one life of a subscription. Says whether it was there.
    pub fn detach(&mut self, subscription: &[u8; 20], life: u64) -> bool {
        let before = self.subscribers.len();
        self.subscribers
            .retain(|other| other.subscription != *subscription || other.life != life);
        self.subscribers.len() != before
    }

    /// The cursor before everything that was appended to this stream itself: what a fork shares
    /// with its source is not news.
    #[must_use]
    pub fn beginning(&self) -> Position {
        match &self.lineage {
            Some(lineage) => lineage.point,
            None => Position::ZERO,
        }
    }

    /// Where a cursor stands in this life of the name: one of an earlier life is at the beginning.
    /// `life` is the one that the cursor is of, where that is known. A fork has the positions of its
    /// source, so they alone don't tell.
    #[must_use]
    pub fn cursor(&self, acked: Position, life: Option<LifeMark>) -> Position {
        let is_another = life.is_some_and(|life| life != self.incarnation.mark());
        match is_another || acked < Position::new(self.first, 0) {
            true => self.beginning(),
            false => acked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::head::tests::head;

    fn subscriber(number: u8, life: u64) -> Subscriber {
        Subscriber {
            subscription: [number; 20],
            life,
            since: Position::new(0, life),
        }
    }

    #[test]
    fn a_link_is_there_once_and_keeps_its_first_cursor() {
        let mut head = head();
        assert_eq!(head.attach(subscriber(1, 7)), Ok(true));
        let again = Subscriber {
            since: Position::new(9, 9),
            ..subscriber(1, 7)
        };
        assert_eq!(head.attach(again), Ok(false));
        assert_eq!(head.subscriber(&[1; 20], 7), Some(&subscriber(1, 7)));
        // Another subscription of the same id takes the place.
        assert_eq!(head.attach(subscriber(1, 8)), Ok(true));
        assert_eq!(head.subscribers, [subscriber(1, 8)]);
        assert!(!head.detach(&[1; 20], 7) && head.detach(&[1; 20], 8));
    }

    #[test]
    fn a_stream_has_room_for_so_many_subscriptions() {
        let mut head = head();
        for number in 0..SUBSCRIBERS as u8 {
            assert_eq!(head.attach(subscriber(number, 1)), Ok(true));
        }
        assert_eq!(head.attach(subscriber(200, 1)), Err(TooManySubscribers));
        assert_eq!(head.attach(subscriber(3, 1)), Ok(false));
    }

    #[test]
    fn a_cursor_of_an_earlier_life_is_at_the_beginning() {
        let mut head = head();
        head.first = 4;
        let at = Position::new;
        let ours = Some(head.incarnation.mark());
        for life in [None, ours] {
            assert_eq!(head.cursor(at(3, 9), life), Position::ZERO);
            assert_eq!(head.cursor(at(4, 9), life), at(4, 9));
            assert_eq!(head.cursor(Position::ZERO, life), Position::ZERO);
        }
        assert_eq!(head.cursor(at(4, 9), Some([0xee; 8])), Position::ZERO);
    }
}
