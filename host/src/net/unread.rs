//! HTTP/2 streams whose client takes nothing.
//!
//! An HTTP/2 client says of each stream how much of it may be sent. While it says nothing no write
//! waits, so [`Stall`](super::stall::Stall) sees nothing, but what was made for the client is kept.
//! So each stream counts what it was given and has not sent ([`Unread`]), and the task of one that
//! falls a minute behind the least rate is dropped, which resets the stream. A stream that was given
//! nothing, such as a live read of a silent stream, may wait for as long as it likes.

use super::crowd::Busy;
use super::owed::Owed;
use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// Bytes that may be unsent when the end of a body is handed over. After that the task is gone, and
/// with it the way to reset the stream; so much costs no more than the stream itself. Bodies that
/// are not larger, and there are many, need no frame of their own for the end.
const LEFT: usize = 1024;

tokio::task_local! {
    /// Of the stream whose task this is.
    static UNREAD: Arc<Unread>;
}

/// What a stream was given and has not sent.
#[derive(Debug)]
struct Unread(Mutex<State>);

#[derive(Debug)]
struct State {
    bytes: usize,
    /// The time that the client has left for them.
    owed: Owed,
    /// The most that it ever has.
    patience: Duration,
    /// Waits until nearly all of them are sent.
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

    /// So many are sent, or will never be.
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

    /// When it will have stalled if nothing moves; never, if there is nothing to send.
    fn stalls_at(&self) -> Option<Instant> {
        let state = self.state();
        state.owed.ends().filter(|_| state.bytes > 0)
    }

    /// Returns when the client has no time left for the bytes that wait. To be polled whenever
    /// the stream's task was: that is when it is given something.
    async fn stalled(&self) {
        let mut timer: Option<Pin<Box<Sleep>>> = None;
        std::future::poll_fn(|context| {
            loop {
                let Some(stalls) = self.stalls_at() else {
                    return Poll::Pending;
                };
                // One that was set for an earlier time goes on: most streams are over before.
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

/// Runs the tasks of HTTP/2 streams, and drops those that stall for so long.
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

/// A body on its way to a client. On an HTTP/2 stream it is counted.
#[derive(Debug)]
pub(crate) struct Outgoing<B> {
    body: B,
    /// What comes when the pieces are nearly sent: trailers or nothing.
    end: Option<Option<Frame<Piece>>>,
    unread: Option<Arc<Unread>>,
    /// Its connection has something to do until the body is gone.
    _busy: Busy,
}

impl<B> Outgoing<B> {
    /// To be called on the task of the stream, if there is one.
    pub(super) fn new(body: B, busy: Busy) -> Self {
        Self {
            body,
            _busy: busy,
            end: None,
            // Connections of HTTP/1 have none: a write that waits shows what they do not take.
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
