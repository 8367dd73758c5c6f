//! Links from a stream's head to the subscriptions that the stream wakes (section 6).

use super::Position;
use crate::limits::SUBSCRIBERS;

/// A subscription that is linked to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscriber {
    /// The hash of the subscription's id.
    pub subscription: [u8; 20],
    /// The life of the subscription: an id may be used again.
    pub life: u64,
    /// The first cursor, before all events that the subscription must receive. An instance that
    /// finds a link before the subscription has recorded it takes the cursor from here.
    pub since: Position,
}

/// The stream is linked to the largest number of subscriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("The stream is linked to {SUBSCRIBERS} subscriptions already")]
pub struct TooManySubscribers;

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
        // Another life with the same id replaces the link.
        assert_eq!(head.attach(subscriber(1, 8)), Ok(true));
        assert_eq!(head.subscribers, [subscriber(1, 8)]);
        assert!(!head.detach(&[1; 20], 7) && head.detach(&[1; 20], 8));
    }

    #[test]
    fn a_stream_has_a_limited_number_of_subscriptions() {
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
