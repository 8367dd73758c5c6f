//! Reading and writing of bodies, in bounded time and memory.

use super::waits::{after, now, ready_by};
use crate::guest::message::READ_BYTES;
use crate::guest::service;
use crate::limits::{CLIENT_STALL_MS, WEBHOOK_ANSWER_BYTES};
use crate::protocol::request::BodyState;
use wasi::http::types::{IncomingBody, IncomingRequest, OutgoingBody};
use wasi::io::streams::{InputStream, OutputStream, StreamError};

/// The other side has disconnected, or has stopped reading.
pub(super) struct Gone;

impl From<StreamError> for Gone {
    fn from(_: StreamError) -> Self {
        Self
    }
}

/// Reads a request's body of at most `max_append_bytes`.
pub(super) fn collect(request: &IncomingRequest, announced: Option<usize>) -> (Vec<u8>, BodyState) {
    let most = service().config().max_append_bytes;
    match announced {
        Some(0) => return (Vec::new(), BodyState::Complete),
        Some(length) if length > most => return (Vec::new(), BodyState::TooLarge),
        _ => {}
    }
    let Ok(body) = request.consume() else {
        return (Vec::new(), BodyState::Broken);
    };
    let read = read(&body, announced, most, |read_at| {
        after(read_at, CLIENT_STALL_MS)
    });
    match read {
        Ok(bytes) if bytes.len() > most => (Vec::new(), BodyState::TooLarge),
        Ok(bytes) if announced.is_none_or(|length| length == bytes.len()) => {
            (bytes, BodyState::Complete)
        }
        Ok(_) | Err(Gone) => (Vec::new(), BodyState::Broken),
    }
}

/// Reads the beginning of a webhook's response, until `end`.
pub(super) fn collect_answer(body: &IncomingBody, end: u64) -> Result<Vec<u8>, Gone> {
    let mut bytes = read(body, None, WEBHOOK_ANSWER_BYTES, |_| end)?;
    bytes.truncate(WEBHOOK_ANSWER_BYTES);
    Ok(bytes)
}

/// Reads a body to its end, or until it has more than `most` bytes. The next bytes must arrive by
/// `deadline(now)`.
fn read(
    body: &IncomingBody,
    announced: Option<usize>,
    most: usize,
    deadline: impl Fn(u64) -> u64,
) -> Result<Vec<u8>, Gone> {
    let stream = body.stream().map_err(|()| Gone)?;
    let mut bytes = Vec::new();
    while announced != Some(bytes.len()) && bytes.len() <= most {
        match next(&stream, deadline(now()))? {
            Some(more) if bytes.is_empty() => bytes = more,
            Some(more) => bytes.extend_from_slice(&more),
            None => break,
        }
    }
    Ok(bytes)
}

/// Returns the next bytes of a body, or `None` at its end. A body that was cut off, or that sends
/// nothing by `end`, is an error.
fn next(stream: &InputStream, end: u64) -> Result<Option<Vec<u8>>, Gone> {
    loop {
        match stream.read(READ_BYTES as u64) {
            Ok(bytes) if bytes.is_empty() => {}
            Ok(bytes) => return Ok(Some(bytes)),
            Err(StreamError::Closed) => return Ok(None),
            Err(StreamError::LastOperationFailed(_)) => return Err(Gone),
        }
        if !ready_by(&stream.subscribe(), end) {
            return Err(Gone);
        }
    }
}

/// An outgoing body. Dropping it before [`finish`](Self::finish) resets the connection.
pub(super) struct Outgoing {
    /// A child resource of the body, so it must be dropped first.
    stream: OutputStream,
    body: OutgoingBody,
}

impl Outgoing {
    /// Opens the stream of `body`, which must not have been written to.
    pub(super) fn new(body: OutgoingBody) -> Result<Self, Gone> {
        let stream = body.write().map_err(|()| Gone)?;
        Ok(Self { stream, body })
    }

    /// Writes as much as there is room for, without waiting. Returns the number of bytes written.
    pub(super) fn write_now(&self, bytes: &[u8]) -> Result<usize, Gone> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let room = usize::try_from(self.stream.check_write()?).unwrap_or(usize::MAX);
        let (piece, _) = bytes.split_at(room.min(bytes.len()));
        if !piece.is_empty() {
            self.stream.write(piece)?;
            self.stream.flush()?;
        }
        Ok(piece.len())
    }

    /// Writes all bytes, as fast as the other side reads them.
    pub(super) fn write(&self, mut bytes: &[u8]) -> Result<(), Gone> {
        while !bytes.is_empty() {
            let written = self.write_now(bytes)?;
            bytes = bytes.get(written..).unwrap_or_default();
            let end = after(now(), CLIENT_STALL_MS);
            if !bytes.is_empty() && !ready_by(&self.stream.subscribe(), end) {
                return Err(Gone);
            }
        }
        Ok(())
    }

    /// Whether the other side is known to have disconnected.
    pub(super) fn is_gone(&self) -> bool {
        self.stream.check_write().is_err()
    }

    /// Ends the body regularly.
    pub(super) fn finish(self) {
        drop(self.stream);
        // A reader that has disconnected needs no end.
        let _ = OutgoingBody::finish(self.body, None);
    }
}
