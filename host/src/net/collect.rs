//! Collects request bodies before an exchange begins.

use super::pace::{PaceError, Paced};
use crate::budget::{Reservation, Rooms};
use crate::exchange::BodyState;
use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;
use http::header::EXPECT;
use http_body::Body;
use http_body_util::BodyExt;
use std::time::Duration;
use tokio::time::timeout;

/// How long the server reads the rest of a refused body, so that the client sees the answer instead
/// of a reset connection.
const DISCARD: Duration = Duration::from_secs(5);

/// Reason why there is no body.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Incomplete {
    /// The client left before its request was complete.
    #[error("the request body was cut off")]
    CutOff,
    /// The client is still there, but sends too slowly.
    #[error("the request body arrived too slowly")]
    TooSlow,
}

/// Body in the form that an exchange needs.
#[derive(Debug)]
pub(crate) struct Collected {
    /// The bytes; empty unless complete.
    pub(crate) body: Bytes,
    /// DeliveryResult of collecting the body.
    pub(crate) state: BodyState,
    /// Room that the body takes.
    pub(crate) room: Option<Reservation>,
}

/// Reads a body of at most `max` bytes, and takes room for it as the bytes arrive.
///
/// An announced length is judged before anything is read. A body without one moves to the room for
/// long requests when it reaches their size.
///
/// # Errors
///
/// When the body ends too early, or arrives too slowly.
pub(crate) async fn collect<B>(
    mut body: Paced<B>,
    headers: &HeaderMap,
    max: usize,
    rooms: &Rooms,
) -> Result<Collected, Incomplete>
where
    B: Body<Data = Bytes, Error: Send> + Send + Unpin + 'static,
{
    if body.is_end_stream() {
        return Ok(Collected {
            body: Bytes::new(),
            state: BodyState::Complete,
            room: None,
        });
    }
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > max {
        turn_away(body.into_inner(), headers);
        return Ok(refused(BodyState::TooLarge));
    }
    let mut is_long = announced >= rooms.long_from;
    body.keep_in(rooms.of(announced));
    let mut room = rooms.of(announced).reserve();
    let mut first: Option<Bytes> = None;
    let mut more = BytesMut::new();
    loop {
        let frame = match body.frame().await {
            None => break,
            Some(Ok(frame)) => frame,
            Some(Err(PaceError::Body(_))) => return Err(Incomplete::CutOff),
            Some(Err(PaceError::TooSlow)) => {
                discard(body.into_inner());
                return Err(Incomplete::TooSlow);
            }
        };
        // Trailers have no meaning here.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let have = first
            .as_ref()
            .map_or(0, Bytes::len)
            .saturating_add(more.len());
        let whole = have.saturating_add(data.len());
        if whole > max {
            discard(body.into_inner());
            return Ok(refused(BodyState::TooLarge));
        }
        let mut more_room = data.len();
        if !is_long && whole >= rooms.long_from {
            is_long = true;
            body.keep_in(&rooms.long);
            room = rooms.long.reserve();
            more_room = whole;
        }
        if !room.grow(more_room) {
            discard(body.into_inner());
            return Ok(refused(BodyState::NoRoom));
        }
        match first.take() {
            // Most bodies are one piece, which is passed on unchanged.
            None if more.is_empty() => first = Some(data),
            head => {
                if let Some(head) = head {
                    more.reserve(announced.max(head.len().saturating_add(data.len())));
                    more.put_slice(&head);
                }
                more.put_slice(&data);
            }
        }
    }
    Ok(Collected {
        body: first.unwrap_or_else(|| more.freeze()),
        state: BodyState::Complete,
        room: Some(room),
    })
}

const fn refused(state: BodyState) -> Collected {
    Collected {
        body: Bytes::new(),
        state,
        room: None,
    }
}

/// Discards an unread body, unless its client still waits for permission to send it: such a client
/// has sent nothing, and gets no permission.
pub(crate) fn turn_away<B>(body: B, headers: &HeaderMap)
where
    B: Body<Data: Send, Error: Send> + Send + Unpin + 'static,
{
    if !body.is_end_stream() && !headers.contains_key(EXPECT) {
        discard(body);
    }
}

/// Keeps reading for a moment while the client gets its answer. The first read has already given
/// the client any permission that it asked for.
pub(super) fn discard<B>(mut body: B)
where
    B: Body<Data: Send, Error: Send> + Send + Unpin + 'static,
{
    tokio::spawn(timeout(DISCARD, async move {
        while let Some(Ok(_)) = body.frame().await {}
    }));
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::budget::Budget;
    use crate::net::pace::tests::{Begun, short_room};
    use http::header::HeaderValue;
    use http_body::{Frame, SizeHint};
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll};
    use tokio::sync::oneshot;

    /// Body of this many bytes, one at a time, that signals when it has been read to its end.
    struct AnnouncedBody {
        bytes: usize,
        announced: bool,
        end: Option<oneshot::Sender<()>>,
    }

    impl Body for AnnouncedBody {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let Some(rest) = self.bytes.checked_sub(1) else {
                let _ = self.end.take().map(|end| end.send(()));
                return Poll::Ready(None);
            };
            self.bytes = rest;
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
        }

        fn size_hint(&self) -> SizeHint {
            match self.announced {
                true => SizeHint::with_exact(self.bytes as u64),
                false => SizeHint::default(),
            }
        }
    }

    /// Body of this many bytes, and a receiver for the end of its reading.
    pub(in crate::net) fn unannounced_body(
        bytes: usize,
    ) -> (
        impl Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
        oneshot::Receiver<()>,
    ) {
        let (end, ended) = oneshot::channel();
        let body = AnnouncedBody {
            bytes,
            announced: false,
            end: Some(end),
        };
        (body, ended)
    }

    /// Body that begins to arrive on a signal.
    struct Late {
        comes: Option<oneshot::Receiver<()>>,
        rest: AnnouncedBody,
    }

    impl Body for Late {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            if let Some(comes) = &mut self.comes {
                let came = std::task::ready!(Pin::new(comes).poll(context));
                came.expect("it is let come");
                self.comes = None;
            }
            Pin::new(&mut self.rest).poll_frame(context)
        }
    }

    /// While the body was being refused, hyper had told the client to continue, and a reset lost
    /// the answer.
    #[tokio::test]
    async fn a_refused_body_is_read_unless_its_client_still_waits_for_permission() {
        for (announced, expects, is_read) in [
            (false, false, true),
            (false, true, true),
            (true, false, true),
            (true, true, false),
        ] {
            let (end, ended) = oneshot::channel();
            let body = AnnouncedBody {
                bytes: 100,
                announced,
                end: Some(end),
            };
            let expect = (EXPECT, HeaderValue::from_static("100-continue"));
            let headers: HeaderMap = expects.then_some(expect).into_iter().collect();
            let budget = Arc::new(Budget::new(1000));
            let rooms = Rooms::same(&budget);
            let collected = collect(Paced::new(body, budget), &headers, 10, &rooms).await;
            assert_eq!(collected.expect("it came").state, BodyState::TooLarge);
            assert_eq!(ended.await.is_ok(), is_read, "{announced} {expects}");
        }
    }

    /// A late body may still be on its way when the server stops waiting for it.
    #[tokio::test]
    async fn a_body_that_arrived_too_slowly_is_read_for_a_moment_more() {
        let (more, comes) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let body = Late {
            comes: Some(comes),
            rest: AnnouncedBody {
                bytes: 100,
                announced: false,
                end: Some(end),
            },
        };
        let room = short_room(1000);
        let paced = Paced::with(body, Arc::clone(&room), Duration::ZERO);
        let outcome = collect(paced, &HeaderMap::new(), 1000, &Rooms::same(&room)).await;
        assert_eq!(outcome.err(), Some(Incomplete::TooSlow));
        // The reading task has begun.
        tokio::task::yield_now().await;
        more.send(()).expect("the task reads");
        assert_eq!(ended.await, Ok(()));
    }

    /// Large bodies used up the room of small ones, so the small ones were refused.
    #[tokio::test]
    async fn a_large_body_takes_no_room_of_small_ones_whether_its_length_is_announced_or_not() {
        for announced in [false, true] {
            let rooms = Rooms {
                short: Arc::new(Budget::new(10)),
                long: Arc::new(Budget::new(100)),
                long_from: 10,
            };
            let (end, _ended) = oneshot::channel();
            let body = AnnouncedBody {
                bytes: 100,
                announced,
                end: Some(end),
            };
            let paced = Paced::new(body, Arc::clone(&rooms.short));
            let collected = collect(paced, &HeaderMap::new(), 100, &rooms).await;
            let collected = collected.expect("it came");
            assert_eq!(collected.body.len(), 100, "{announced}");
            assert!(rooms.short.reserve().grow(10), "{announced}");
            assert!(!rooms.long.reserve().grow(1), "{announced}");
            drop(collected);
            assert!(rooms.long.reserve().grow(100), "{announced}");
        }
    }

    #[tokio::test]
    async fn the_room_of_a_body_that_is_given_up_is_given_back() {
        let budget = short_room(20);
        let begun = Begun(Bytes::from_static(b"begun"));
        let body = Paced::with(begun, Arc::clone(&budget), Duration::ZERO);
        let outcome = collect(body, &HeaderMap::new(), 20, &Rooms::same(&budget)).await;
        assert_eq!(outcome.err(), Some(Incomplete::TooSlow));
        assert!(budget.reserve().grow(9), "all that was left is there");
    }
}
