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
/// would hold its buffers for ever. The clock runs only while a write waits.
#[derive(Debug)]
pub(crate) struct Stall<T> {
    inner: T,
    line: Arc<Line>,
    left: Duration,
    waits: Option<Waits>,
}

#[derive(Debug)]
struct Waits {
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
            if let Some(Waits { mut owed, .. }) = self.waits.take() {
                let now = Instant::now();
                owed.took(bytes, now, STALL);
                self.left = owed.left(now);
            }
            return written;
        }
        let left = self.left;
        let waits = self.waits.get_or_insert_with(|| Waits {
            owed: Owed::new(left, Instant::now()),
            over: Box::pin(sleep(left)),
        });
        match waits.over.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(Error::from(ErrorKind::TimedOut))),
            Poll::Pending => Poll::Pending,
        }
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
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
