//! Request bodies that come too slowly.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// Bytes a second that a client has to send, on average.
const RATE: u32 = 16 * 1024;
/// How far it may fall behind that, and so how long it may pause.
const GRACE: Duration = Duration::from_secs(30);

/// Why a body has no end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PaceError<E> {
    /// It fell behind.
    #[error("the request body came too slowly")]
    TooSlow,
    /// It was cut off.
    #[error(transparent)]
    Body(E),
}

/// How long may still be waited for a client.
#[derive(Debug, Clone, Copy)]
struct Credit(Duration);

impl Credit {
    /// So long was waited for so many bytes. What came quickly is not saved up for later: there is
    /// never more than [`GRACE`].
    fn came(&mut self, bytes: usize, after: Duration) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let earned = Duration::from_secs(1).saturating_mul(bytes) / RATE;
        self.0 = self
            .0
            .saturating_sub(after)
            .saturating_add(earned)
            .min(GRACE);
    }
}

/// A body that fails when its client falls half a minute behind a slow link. To bound a pause would
/// not do: who sends a byte now and then would keep the room that the body takes, and a few of them
/// all there is. The clock runs only while somebody waits for the client.
#[derive(Debug)]
pub(crate) struct Paced<B> {
    body: B,
    credit: Credit,
    waits: Option<Waits>,
}

#[derive(Debug)]
struct Waits {
    since: Instant,
    over: Pin<Box<Sleep>>,
}

impl<B> Paced<B> {
    pub(crate) const fn new(body: B) -> Self {
        Self::with(body, GRACE)
    }

    /// A body of a client that may begin so late.
    pub(crate) const fn with(body: B, grace: Duration) -> Self {
        Self {
            body,
            credit: Credit(grace),
            waits: None,
        }
    }

    /// The body, to be read in whatever time it takes.
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
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            let Credit(credit) = self.credit;
            let waits = self.waits.get_or_insert_with(|| Waits {
                since: Instant::now(),
                over: Box::pin(sleep(credit)),
            });
            ready!(waits.over.as_mut().poll(context));
            return Poll::Ready(Some(Err(PaceError::TooSlow)));
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

    /// A body of which so much comes at once and the rest never.
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

    /// For how long pieces of so many bytes, with such a pause before each, are waited for; up to
    /// so many of them.
    fn waited(pieces: u32, bytes: usize, pause: Duration) -> Duration {
        let mut credit = Credit(GRACE);
        let patient = (0..pieces).take_while(|_| {
            let in_time = pause <= credit.0;
            credit.came(bytes, pause);
            in_time
        });
        pause * patient.count() as u32
    }

    /// Each pause was shorter than the longest that was allowed, so it was waited for ever.
    #[test]
    fn a_body_that_drips_is_given_up_half_a_minute_after_it_fell_behind() {
        for (bytes, secs) in [(1, 1), (1, 29), (1000, 1), (1, 31)] {
            let waited = waited(1_000_000, bytes, Duration::from_secs(secs));
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
            let waited = waited(pieces, bytes, Duration::from_secs(secs));
            assert_eq!(waited, whole, "{bytes} bytes each {secs} s");
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

    #[tokio::test]
    async fn who_has_no_time_left_is_waited_for_no_more() {
        let mut body = Paced::with(Begun(Bytes::from_static(b"begun")), Duration::ZERO);
        // What is there needs no time. Nor is any left after it: five bytes are a third of a
        // millisecond.
        assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
        let error = body.frame().await.expect("no end").expect_err("no bytes");
        assert!(matches!(error, PaceError::TooSlow));
    }

    #[tokio::test]
    async fn a_body_that_is_there_is_passed_on() {
        let body = Paced::with(Full::new(Bytes::from_static(b"whole")), Duration::ZERO);
        assert_eq!(body.size_hint().exact(), Some(5));
        assert_eq!(body.collect().await.expect("it came").to_bytes(), "whole");
    }
}
