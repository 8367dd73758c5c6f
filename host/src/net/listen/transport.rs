//! Connections by TCP, by TLS and by Unix sockets, as one type.

use super::super::tls;
use rustls::ServerConfig;
use std::io::{IoSlice, Result};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

/// A connection that was accepted.
#[derive(Debug)]
pub(crate) enum Arrived {
    /// The connection can be used.
    Open(Transport),
    /// The connection still needs its handshake of TLS.
    Tls(TcpStream, Arc<ServerConfig>),
}

impl Arrived {
    /// Address of this machine that the connection uses; none for a Unix socket.
    pub(crate) fn local(&self) -> Option<IpAddr> {
        let (Self::Open(Transport::Tcp(stream)) | Self::Tls(stream, _)) = self else {
            return None;
        };
        Some(stream.local_addr().ok()?.ip())
    }
}

/// A connection for plain bytes.
#[derive(Debug)]
pub(crate) enum Transport {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Transport {
    /// Makes the handshake of TLS.
    ///
    /// # Errors
    ///
    /// The client is not one of TLS, accepts no common version, does not trust the certificate, or
    /// takes too long.
    pub(crate) async fn secure(stream: TcpStream, config: Arc<ServerConfig>) -> Result<Self> {
        let secured = tls::shake_hands(stream, config).await?;
        Ok(Self::Tls(Box::new(secured)))
    }

    /// Whether its bytes are encrypted on their way.
    pub(crate) const fn is_secure(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

/// Calls a method of the connection.
macro_rules! delegate {
    ($this:ident, $method:ident($($argument:expr),*)) => {
        match $this.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).$method($($argument),*),
            Self::Unix(stream) => Pin::new(stream).$method($($argument),*),
            Self::Tls(stream) => Pin::new(stream).$method($($argument),*),
        }
    };
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        delegate!(self, poll_read(context, buffer))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        delegate!(self, poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        delegate!(self, poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        delegate!(self, poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        delegate!(self, poll_shutdown(context))
    }
}
