//! Request bodies that arrive too slowly.

use crate::budget::Budget;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// Average bytes a second that a client must send while room is short.
const RATE: u32 = 16 * 1024;
/// Longest lag behind that rate, and longest pause at any time.
const GRACE: Duration = Duration::from_secs(30);
/// Interval between checks of a client that fell behind.
const LOOK: Duration = Duration::from_secs(1);

/// Error of an incomplete body.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PaceError<E> {
    /// The body fell behind.
    #[error("the request body arrived too slowly")]
    TooSlow,
    /// The body was cut off.
    #[error(transparent)]
    Body(E),
}

/// Time left to wait for a client.
#[derive(Debug, Clone, Copy)]
struct Credit(Duration);

impl Credit {
    /// Accounts for bytes that arrived after a wait. Fast bytes earn no credit for later: the
    /// credit is never more than [`GRACE`].
    fn came(&mut self, bytes: usize, after: Duration) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let earned = Duration::from_secs(1).saturating_mul(bytes) / RATE;
        self.0 = self
            .0
            .saturating_sub(after)
            .saturating_add(earned)
            .min(GRACE);
    }

    /// How much longer to wait for a client after this much silence. The caller checks again after
    /// that time.
    fn patience(self, silent: Duration, is_short: bool) -> Option<Duration> {
        let left = match self.0.checked_sub(silent) {
            Some(left) if !left.is_zero() => left,
            _ if is_short => return None,
            _ => LOOK,
        };
        let left = left.min(GRACE.saturating_sub(silent));
        (!left.is_zero()).then_some(left)
    }
}

/// Body that fails when its client pauses for half a minute. While room is short, it also fails
/// when it falls that far behind a slow link. A bound on pauses is not enough: a client that sends
/// a byte now and then would keep the room of its body, and a few such clients would keep all the
/// room. Requiring a rate at all times is too strict: a model that streams its tokens sends a few a
/// second for minutes. The clock runs only while the body is being read.
#[derive(Debug)]
pub(crate) struct Paced<B> {
    body: B,
    /// Budget that the body's bytes come from.
    room: Arc<Budget>,
    credit: Credit,
    waits: Option<Waits>,
}

#[derive(Debug)]
struct Waits {
    since: Instant,
    over: Pin<Box<Sleep>>,
}

impl<B> Paced<B> {
    pub(crate) const fn new(body: B, room: Arc<Budget>) -> Self {
        Self::with(body, room, GRACE)
    }

    /// Creates a body with this much grace for its client to begin.
    pub(crate) const fn with(body: B, room: Arc<Budget>, grace: Duration) -> Self {
        Self {
            body,
            room,
            credit: Credit(grace),
            waits: None,
        }
    }

    /// Counts the body's bytes in another budget.
    pub(crate) fn keep_in(&mut self, room: &Arc<Budget>) {
        self.room = Arc::clone(room);
    }

    /// Returns the body without the pace check.
    pub(crate) fn into_inner(self) -> B {
        self.body
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Paced<B> {
    type Data = Bytes;
    type Error = PaceError<B::Error>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) else {
            let waits = this.waits.get_or_insert_with(|| Waits {
                since: Instant::now(),
                over: Box::pin(sleep(this.credit.0)),
            });
            loop {
                ready!(waits.over.as_mut().poll(context));
                let silent = waits.since.elapsed();
                match this.credit.patience(silent, this.room.is_short()) {
                    Some(left) => waits.over.as_mut().reset(Instant::now() + left),
                    None => return Poll::Ready(Some(Err(PaceError::TooSlow))),
                }
            }
        };
        let data = match &frame {
            Some(Ok(frame)) => frame.data_ref(),
            Some(Err(_)) | None => None,
        };
        let bytes = data.map_or(0, Bytes::len);
        let waited = self.waits.take().map(|waits| waits.since.elapsed());
        self.credit.came(bytes, waited.unwrap_or_default());
        Poll::Ready(frame.map(|frame| frame.map_err(PaceError::Body)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full};
    use std::convert::Infallible;

    /// Body with these bytes at once, and nothing after them.
    pub(crate) struct Begun(pub(crate) Bytes);

    impl Body for Begun {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match std::mem::take(&mut self.0) {
                none if none.is_empty() => Poll::Pending,
                some => Poll::Ready(Some(Ok(Frame::data(some)))),
            }
        }
    }

    /// How long the server waits for a body: pieces of this many bytes with this pause before each,
    /// up to this many pieces.
    fn waited(pieces: u32, bytes: usize, pause: Duration, is_short: bool) -> Duration {
        let mut credit = Credit(GRACE);
        let patient = (0..pieces).take_while(|_| {
            let mut silent = Duration::ZERO;
            let in_time = loop {
                match credit.patience(silent, is_short) {
                    None => break false,
                    Some(left) if silent + left >= pause => break true,
                    Some(left) => silent += left,
                }
            };
            credit.came(bytes, pause);
            in_time
        });
        pause * patient.count() as u32
    }

    /// Each pause was shorter than the longest allowed one, so the server waited forever.
    #[test]
    fn a_body_that_drips_is_given_up_half_a_minute_after_it_fell_behind() {
        for (bytes, secs) in [(1, 1), (1, 29), (1000, 1), (1, 31)] {
            let waited = waited(1_000_000, bytes, Duration::from_secs(secs), true);
            assert!(
                waited < GRACE * 2,
                "{bytes} bytes each {secs} s: {waited:?}"
            );
        }
    }

    #[test]
    fn a_large_body_over_a_slow_link_is_waited_for_however_long_it_takes() {
        for (pieces, bytes, secs) in [(500, 20 << 10, 1), (20, 500 << 10, 25), (1, 0, 30)] {
            let whole = Duration::from_secs(secs) * pieces;
            for is_short in [true, false] {
                let waited = waited(pieces, bytes, Duration::from_secs(secs), is_short);
                assert_eq!(waited, whole, "{bytes} bytes each {secs} s");
            }
        }
    }

    /// The server cut off an append that carried a model's tokens after half a minute.
    #[test]
    fn a_body_that_drips_is_waited_for_while_there_is_room_and_a_pause_has_an_end() {
        for (secs, expected) in [(1, 10_000), (30, 10_000), (31, 0)] {
            let pause = Duration::from_secs(secs);
            let waited = waited(10_000, 1, pause, false);
            assert_eq!(waited, pause * expected, "a byte each {secs} s");
        }
    }

    #[test]
    fn a_quick_beginning_buys_no_time_for_later() {
        let mut credit = Credit(GRACE);
        credit.came(100 << 20, Duration::ZERO);
        assert_eq!(credit.0, GRACE);
        credit.came(1, GRACE);
        assert!(credit.0 < Duration::from_millis(1));
    }

    fn room() -> Arc<Budget> {
        Arc::new(Budget::new(10))
    }

    /// Budget with more than half of its room taken.
    pub(crate) fn short_room(bytes: usize) -> Arc<Budget> {
        let budget = Arc::new(Budget::new(bytes));
        let mut taken = budget.reserve();
        assert!(taken.grow(bytes / 2 + 1));
        // Never given back.
        std::mem::forget(taken);
        budget
    }

    #[tokio::test]
    async fn a_client_without_time_left_is_given_up() {
        let begun = Begun(Bytes::from_static(b"begun"));
        let mut body = Paced::with(begun, short_room(10), Duration::ZERO);
        // Bytes already there need no time. No time is left after them either: five bytes are worth
        // a third of a millisecond.
        assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
        let error = body.frame().await.expect("no end").expect_err("no bytes");
        assert!(matches!(error, PaceError::TooSlow));
    }

    #[tokio::test]
    async fn a_body_that_is_there_is_passed_on() {
        let whole = Full::new(Bytes::from_static(b"whole"));
        let body = Paced::with(whole, room(), Duration::ZERO);
        assert_eq!(body.size_hint().exact(), Some(5));
        assert_eq!(body.collect().await.expect("it came").to_bytes(), "whole");
    }
}
