//! Timeouts for clients that do not read.

use super::owed::Owed;
use crate::budget::Line;
use crate::limits::STALL;
use hyper::rt::{Read, ReadBufCursor, Write};
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// A connection that fails when its client falls a minute behind the least rate. Such a slow reader
/// would hold its buffers for ever. The clock runs only while a write waits, or a flush: TLS takes
/// bytes before the system does.
#[derive(Debug)]
pub(crate) struct Stall<T> {
    inner: T,
    line: Arc<Line>,
    left: Duration,
    waits: Option<Waits>,
}

#[derive(Debug)]
struct Waits {
    /// Whether a write waits; otherwise only a flush or the end does.
    for_write: bool,
    owed: Owed,
    over: Pin<Box<Sleep>>,
}

impl<T> Stall<T> {
    pub(crate) const fn new(inner: T, line: Arc<Line>) -> Self {
        Self {
            inner,
            line,
            left: STALL,
            waits: None,
        }
    }

    fn judge(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<Result<usize>>,
    ) -> Poll<Result<usize>> {
        if written.is_ready() {
            let bytes = match &written {
                Poll::Ready(Ok(bytes)) => *bytes,
                _ => 0,
            };
            self.line.send(bytes);
            self.end_wait(bytes);
            return written;
        }
        self.wait(context, true)
    }

    fn judge_flush(
        &mut self,
        context: &mut Context<'_>,
        flushed: Poll<Result<()>>,
    ) -> Poll<Result<()>> {
        if flushed.is_ready() {
            if self.waits.as_ref().is_some_and(|waits| !waits.for_write) {
                self.end_wait(0);
            }
            return flushed;
        }
        self.wait(context, false)
    }

    /// The client took `bytes`, so nothing waits.
    fn end_wait(&mut self, bytes: usize) {
        if let Some(Waits { mut owed, .. }) = self.waits.take() {
            let now = Instant::now();
            owed.took(bytes, now, STALL);
            self.left = owed.left(now);
        }
    }

    /// Fails when the client has no time left.
    fn wait<R>(&mut self, context: &mut Context<'_>, for_write: bool) -> Poll<Result<R>> {
        let left = self.left;
        let waits = self.waits.get_or_insert_with(|| Waits {
            for_write,
            owed: Owed::new(left, Instant::now()),
            over: Box::pin(sleep(left)),
        });
        waits.for_write |= for_write;
        let over = waits.over.as_mut().poll(context);
        over.map(|()| Err(Error::from(ErrorKind::TimedOut)))
    }
}

impl<T: Read + Unpin> Read for Stall<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<T: Write + Unpin> Write for Stall<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.judge(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.judge(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(context);
        self.judge_flush(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let ended = Pin::new(&mut self.inner).poll_shutdown(context);
        self.judge_flush(context, ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Unsent;
    use futures::FutureExt;
    use std::future::poll_fn;

    /// Takes all bytes at once, and never flushes: TLS to a client that does not read.
    struct Unflushed;

    impl Write for Unflushed {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
            Poll::Pending
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
            Poll::Pending
        }
    }

    /// A connection whose client has this much time left.
    fn connection(left: Duration) -> Stall<Unflushed> {
        let registered = Unsent::new(1 << 20, false).register(0);
        let mut connection = Stall::new(Unflushed, Arc::clone(registered.line()));
        connection.left = left;
        connection
    }

    /// Such clients kept their connections of TLS until the idle timeout.
    #[tokio::test]
    async fn a_client_that_takes_no_encrypted_bytes_is_given_up() {
        for is_end in [false, true] {
            let mut connection = connection(Duration::ZERO);
            let waited = poll_fn(|context| match is_end {
                false => Pin::new(&mut connection).poll_flush(context),
                true => Pin::new(&mut connection).poll_shutdown(context),
            });
            let error = waited.await.expect_err("no time is left");
            assert_eq!(error.kind(), ErrorKind::TimedOut);
        }
    }

    #[tokio::test]
    async fn a_write_that_is_taken_earns_time_for_the_flush_after_it() {
        let mut connection = connection(Duration::ZERO);
        let flush = |connection: &mut Stall<Unflushed>| {
            poll_fn(|context| Pin::new(&mut *connection).poll_flush(context)).now_or_never()
        };
        connection.left = Duration::from_secs(1);
        assert!(flush(&mut connection).is_none());
        let bytes = [0; 30 * 1024];
        let write =
            |context: &mut Context<'_>| Pin::new(&mut connection).poll_write(context, &bytes);
        let written = poll_fn(write).await;
        assert!(written.is_ok_and(|written| written == bytes.len()));
        assert!(
            connection.left > Duration::from_secs(29),
            "{:?}",
            connection.left
        );
        assert!(flush(&mut connection).is_none());
    }
}
