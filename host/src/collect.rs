//! Request bodies, collected before an exchange begins.

use crate::budget::{Budget, Reservation};
use crate::exchange::BodyState;
use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;
use http::header::EXPECT;
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long a client may pause within a body.
const STALL: Duration = Duration::from_secs(30);
/// How long the rest of a body that was refused is read, so that the client sees the answer
/// instead of a reset connection.
const DISCARD: Duration = Duration::from_secs(5);

/// The client left or stalled before its request was complete.
#[derive(Debug, thiserror::Error)]
#[error("the request body did not arrive")]
pub struct Incomplete;

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
/// When the body ends too early.
pub async fn collect(
    mut body: Incoming,
    headers: &HeaderMap,
    max: usize,
    budget: &Arc<Budget>,
) -> Result<Collected, Incomplete> {
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
        let frame = timeout(STALL, body.frame()).await;
        let data = match frame.map_err(|_| Incomplete)? {
            None => break,
            Some(frame) => match frame.map_err(|_| Incomplete)?.into_data() {
                Ok(data) => data,
                // Trailers say nothing here.
                Err(_) => continue,
            },
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

fn refuse(body: Incoming, headers: &HeaderMap, state: BodyState) -> Collected {
    // Who waits for permission has sent nothing and is not given it.
    if !headers.contains_key(EXPECT) {
        tokio::spawn(timeout(DISCARD, discard(body)));
    }
    Collected {
        body: Bytes::new(),
        state,
        room: None,
    }
}

async fn discard(mut body: Incoming) {
    while let Some(Ok(_)) = body.frame().await {}
}
