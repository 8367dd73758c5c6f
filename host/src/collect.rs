//! Request bodies, collected before an exchange begins.

use crate::budget::{Budget, Reservation};
use crate::exchange::BodyState;
use crate::pace::{PaceError, Paced};
use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;
use http::header::EXPECT;
use http_body::Body;
use http_body_util::BodyExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long the rest of a body that was refused is read, so that the client sees the answer
/// instead of a reset connection.
const DISCARD: Duration = Duration::from_secs(5);

/// Why there is no body.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Incomplete {
    /// The client left before its request was complete.
    #[error("the request body was cut off")]
    CutOff,
    /// It is still there, but can't be waited for.
    #[error("the request body came too slowly")]
    TooSlow,
}

/// A body as an exchange wants it.
#[derive(Debug)]
pub struct Collected {
    /// The bytes; empty unless complete.
    pub body: Bytes,
    /// How it ended.
    pub state: BodyState,
    /// The room it takes.
    pub room: Option<Reservation>,
}

/// Reads a body of at most `max` bytes, in room taken from `budget` as the bytes arrive.
///
/// A length that is announced is judged before anything is read.
///
/// # Errors
///
/// When the body ends too early, or comes too slowly.
pub(crate) async fn collect<B>(
    mut body: Paced<B>,
    headers: &HeaderMap,
    max: usize,
    budget: &Arc<Budget>,
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
        return Ok(refuse(body, headers, BodyState::TooLarge));
    }
    let mut room = budget.reserve();
    let mut first: Option<Bytes> = None;
    let mut more = BytesMut::new();
    loop {
        let frame = match body.frame().await {
            None => break,
            Some(Ok(frame)) => frame,
            Some(Err(PaceError::Body(_))) => return Err(Incomplete::CutOff),
            Some(Err(PaceError::TooSlow)) => {
                discard(body, headers);
                return Err(Incomplete::TooSlow);
            }
        };
        // Trailers say nothing here.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let have = first
            .as_ref()
            .map_or(0, Bytes::len)
            .saturating_add(more.len());
        if have.saturating_add(data.len()) > max {
            return Ok(refuse(body, headers, BodyState::TooLarge));
        }
        if !room.grow(data.len()) {
            return Ok(refuse(body, headers, BodyState::NoRoom));
        }
        match first.take() {
            // Most bodies are one piece, which is passed on as it came.
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

fn refuse<B>(body: B, headers: &HeaderMap, state: BodyState) -> Collected
where
    B: Body<Data: Send, Error: Send> + Send + Unpin + 'static,
{
    discard(body, headers);
    Collected {
        body: Bytes::new(),
        state,
        room: None,
    }
}

/// Reads on for a moment, while the client is answered.
fn discard<B>(mut body: B, headers: &HeaderMap)
where
    B: Body<Data: Send, Error: Send> + Send + Unpin + 'static,
{
    // Who waits for permission has sent nothing and is not given it.
    if headers.contains_key(EXPECT) {
        return;
    }
    tokio::spawn(timeout(DISCARD, async move {
        while let Some(Ok(_)) = body.frame().await {}
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::tests::Begun;

    #[tokio::test]
    async fn the_room_of_a_body_that_is_given_up_is_given_back() {
        let budget = Arc::new(Budget::new(10));
        let body = Paced::with(Begun(Bytes::from_static(b"begun")), Duration::ZERO);
        let headers = HeaderMap::new();
        let outcome = collect(body, &headers, 10, &budget).await;
        assert_eq!(outcome.err(), Some(Incomplete::TooSlow));
        assert!(budget.reserve().grow(10), "all of it is there");
    }
}
