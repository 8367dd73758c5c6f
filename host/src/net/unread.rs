//! Timeouts for HTTP/2 streams that the client does not read.
//!
//! An HTTP/2 client opens a window for each stream. Without a window no write waits, so
//! [`Stall`](super::stall::Stall) notices nothing, but the stream's bytes stay in memory. Each
//! stream therefore counts its unsent bytes ([`Unread`]). The task of a stream that falls a minute
//! behind the least rate is dropped, which resets the stream. A stream without unsent bytes, such
//! as a live read of a silent stream, may wait for any length of time.

use super::crowd::Busy;
use super::owed::Owed;
use crate::meters::LiveReader;
use crate::quota::Reader;
use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// Bytes that may be unsent when hyper receives the end of a body. After the end the stream has no
/// task, and can't be reset any more. This many bytes cost no more than the stream itself. The many
/// bodies up to this size need no separate frame for the end.
const LEFT: usize = 1024;

tokio::task_local! {
    /// The counter of the stream that the current task serves.
    static UNREAD: Arc<Unread>;
}

/// Counter of the bytes of a stream that are not sent yet.
#[derive(Debug)]
struct Unread(Mutex<State>);

#[derive(Debug)]
struct State {
    bytes: usize,
    /// The time that the client has left for the bytes.
    owed: Owed,
    /// The most time that the client can have left.
    patience: Duration,
    /// Waker of the task that waits until nearly all bytes are sent.
    waker: Option<Waker>,
}

impl Unread {
    fn new(patience: Duration) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            bytes: 0,
            owed: Owed::new(patience, Instant::now()),
            patience,
            waker: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give(&self, bytes: usize, now: Instant) {
        let mut state = self.state();
        if state.bytes == 0 {
            state.owed = Owed::new(state.patience, now);
        }
        state.bytes = state.bytes.saturating_add(bytes);
    }

    /// Records that `bytes` were sent or dropped.
    fn take(&self, bytes: usize, now: Instant) {
        let mut state = self.state();
        state.bytes = state.bytes.saturating_sub(bytes);
        let patience = state.patience;
        state.owed.took(bytes, now, patience);
        let waker = match state.bytes {
            ..=LEFT => state.waker.take(),
            _ => None,
        };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn is_nearly_sent(&self) -> bool {
        self.state().bytes <= LEFT
    }

    fn poll_nearly_sent(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.bytes <= LEFT {
            return Poll::Ready(());
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// The moment at which the stream stalls unless bytes are sent; none if no byte is unsent.
    fn stalls_at(&self) -> Option<Instant> {
        let state = self.state();
        state.owed.ends().filter(|_| state.bytes > 0)
    }

    /// Returns when the client has no time left for the unsent bytes. The caller polls this after
    /// each poll of the stream's task, since only that task adds bytes.
    async fn stalled(&self) {
        let mut timer: Option<Pin<Box<Sleep>>> = None;
        std::future::poll_fn(|context| {
            loop {
                let Some(stalls) = self.stalls_at() else {
                    return Poll::Pending;
                };
                // A timer set for an earlier moment continues, as most streams end before it fires.
                let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(stalls)));
                ready!(timer.as_mut().poll(context));
                if timer.deadline() >= stalls {
                    return Poll::Ready(());
                }
                timer.as_mut().reset(stalls);
            }
        })
        .await;
    }
}

/// Executor of the tasks of HTTP/2 streams. It drops the task of a stream that stalls for this
/// time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Streams(pub(crate) Duration);

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let Self(patience) = *self;
        tokio::spawn(async move {
            let unread = Unread::new(patience);
            let stream = UNREAD.scope(Arc::clone(&unread), stream);
            tokio::select! {
                biased;
                () = stream => {}
                () = unread.stalled() => {}
            }
        });
    }
}

/// A response body. On an HTTP/2 stream its unsent bytes are counted.
#[derive(Debug)]
pub(crate) struct Outgoing<B> {
    body: B,
    /// The last frame, sent when the pieces are nearly sent: trailers or nothing.
    end: Option<Option<Frame<Piece>>>,
    unread: Option<Arc<Unread>>,
    /// Marks the connection as busy until the body is dropped.
    _busy: Busy,
    /// Counts a live read until the body is dropped.
    _reader: Option<LiveReader>,
    /// Counts it for its prefix.
    _of_prefix: Option<Reader>,
}

impl<B> Outgoing<B> {
    /// Must be called on the task of the stream, if there is one.
    pub(super) fn new(
        body: B,
        busy: Busy,
        reader: Option<LiveReader>,
        of_prefix: Option<Reader>,
    ) -> Self {
        Self {
            body,
            _busy: busy,
            _reader: reader,
            _of_prefix: of_prefix,
            end: None,
            // Connections of HTTP/1 have no counter: a waiting write shows that the client does not
            // read.
            unread: UNREAD.try_with(Arc::clone).ok(),
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Outgoing<B> {
    type Data = Piece;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, B::Error>>> {
        if self.end.is_none() {
            let frame = ready!(Pin::new(&mut self.body).poll_frame(context)).transpose()?;
            let unread = self.unread.clone();
            let frame = frame.map(|frame| frame.map_data(|bytes| Piece::new(bytes, unread)));
            match frame {
                Some(frame) if !frame.is_trailers() => return Poll::Ready(Some(Ok(frame))),
                end => self.end = Some(end),
            }
        }
        if let Some(unread) = &self.unread {
            ready!(unread.poll_nearly_sent(context));
        }
        Poll::Ready(self.end.as_mut().and_then(Option::take).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        let unread = self.unread.as_ref();
        self.body.is_end_stream() && unread.is_none_or(|unread| unread.is_nearly_sent())
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Bytes of a body that are counted until they are sent.
#[derive(Debug)]
pub(crate) struct Piece {
    bytes: Bytes,
    unread: Option<Arc<Unread>>,
}

impl Piece {
    fn new(bytes: Bytes, unread: Option<Arc<Unread>>) -> Self {
        if let Some(unread) = &unread {
            unread.give(bytes.len(), Instant::now());
        }
        Self { bytes, unread }
    }

    fn sent(&self, bytes: usize) {
        if let Some(unread) = &self.unread {
            unread.take(bytes, Instant::now());
        }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.sent(count);
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        let copied = self.bytes.copy_to_bytes(count);
        self.sent(count);
        copied
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.sent(self.bytes.len());
    }
}

#[cfg(test)]
mod tests;
