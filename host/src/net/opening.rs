//! Timeouts for clients that send nothing, or send an incomplete head.

use super::crowd::Activity;
use super::framing::Framing;
use std::io::{ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// The first bytes of an HTTP/2 client. Any others begin HTTP/1.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection with timeouts for its first bytes and for incomplete heads. It passes all bytes to
/// the framing parser. hyper's timeouts begin only after it knows the version of HTTP, so a silent
/// client would hold the connection for ever.
#[derive(Debug)]
pub(crate) struct Opening<T> {
    inner: T,
    begins: Option<Begins>,
    framing: Framing,
    activity: Arc<Activity>,
    /// Timeout of an incomplete head.
    head: Option<Pin<Box<Sleep>>>,
    patience: Duration,
}

#[derive(Debug)]
struct Begins {
    /// Number of bytes received that match the preface.
    seen: usize,
    until: Pin<Box<Sleep>>,
}

impl Begins {
    /// Whether the version of HTTP is still unknown after these bytes.
    fn goes_on(&mut self, bytes: &[u8]) -> bool {
        let rest = PREFACE.get(self.seen..).unwrap_or_default();
        self.seen = self.seen.saturating_add(bytes.len());
        rest.len() > bytes.len() && rest.starts_with(bytes)
    }
}

impl<T> Opening<T> {
    /// A connection with this timeout for its first bytes.
    pub(super) fn new(
        inner: T,
        patience: Duration,
        framing: Framing,
        activity: Arc<Activity>,
    ) -> Self {
        let until = Box::pin(sleep(patience));
        Self {
            inner,
            begins: Some(Begins { seen: 0, until }),
            framing,
            activity,
            head: None,
            patience,
        }
    }
}

impl<T> Opening<T> {
    /// Fails a read if a head of HTTP/1 is not complete in time. The clock runs only while the read
    /// waits for the rest of a head, and not in the pause before a head.
    fn judge_head(
        &mut self,
        context: &mut Context<'_>,
        read: Poll<Result<()>>,
    ) -> Poll<Result<()>> {
        if !self.framing.is_in_head() || self.activity.idle_since().is_none() {
            self.head = None;
            return read;
        }
        if read.is_ready() {
            return read;
        }
        let patience = self.patience;
        let over = self.head.get_or_insert_with(|| Box::pin(sleep(patience)));
        let over = over.as_mut().poll(context);
        over.map(|()| Err(ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Opening<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        let this = &mut *self;
        let came = buffer.filled().get(before..).unwrap_or_default();
        this.framing.read(came);
        let Some(begins) = &mut this.begins else {
            return this.judge_head(context, read);
        };
        if read.is_pending() {
            let over = begins.until.as_mut().poll(context);
            return over.map(|()| Err(ErrorKind::TimedOut.into()));
        }
        if !begins.goes_on(came) {
            self.begins = None;
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Opening<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
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

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    /// A connection with timeouts of zero. Its client sent `said` and is still connected.
    async fn after(said: &[u8]) -> Result<(Opening<DuplexStream>, DuplexStream)> {
        let (mut client, server) = duplex(1024);
        client.write_all(said).await?;
        let framing = Framing::new(Arc::default());
        let mut server = Opening::new(server, Duration::ZERO, framing, Activity::new());
        server.read_exact(&mut vec![0; said.len()]).await?;
        Ok((server, client))
    }

    /// Such clients held a connection for ever.
    #[tokio::test]
    async fn a_client_that_does_not_show_its_http_version_is_disconnected() -> Result<()> {
        for said in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r"] {
            let (mut server, _client) = after(said).await?;
            let error = server.read_u8().await.expect_err("nothing more comes");
            assert_eq!(error.kind(), ErrorKind::TimedOut, "{said:?}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_client_with_a_known_http_version_has_the_timeouts_of_its_protocol() -> Result<()> {
        for said in [&b"G"[..], b"PRI * HTTP/1.1", PREFACE] {
            let (server, _client) = after(said).await?;
            assert!(server.begins.is_none(), "{said:?}");
        }
        Ok(())
    }

    /// A client with an incomplete head held its connection for the whole idle timeout.
    #[tokio::test]
    async fn a_head_that_does_not_end_is_given_up_and_a_pause_before_it_is_not() -> Result<()> {
        const WHOLE: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
        for (said, is_given_up) in [
            (&b""[..], false),
            (b"GET", true),
            (b"GET / HTTP/1.1\r\na: b", true),
        ] {
            let (mut server, _client) = after(&[WHOLE, said].concat()).await?;
            match is_given_up {
                true => assert!(server.read_u8().await.is_err(), "{said:?}"),
                false => assert!(server.read_u8().now_or_never().is_none(), "{said:?}"),
            }
            let (mut server, _client) = after(&[WHOLE, said].concat()).await?;
            let busy = server.activity.begin();
            assert!(server.read_u8().now_or_never().is_none(), "{said:?}");
            drop(busy);
        }
        Ok(())
    }
}
