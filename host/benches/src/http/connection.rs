//! A keep-alive connection.

use super::{Body, Head, Malformed, field};
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Reason that an exchange has no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    /// The connection could not be used.
    #[error("connection: {}", .0.kind())]
    Io(#[from] io::Error),
    /// The server ended the connection before the response was complete.
    #[error("answer cut off")]
    CutOff,
    /// The response is not HTTP/1.1.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// One connection, one exchange at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: TcpStream,
    input: Vec<u8>,
    body: Vec<u8>,
}

/// A complete response.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
    head: &'a [u8],
}

impl Answer<'_> {
    /// The value of a header field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        field(self.head, name)
    }
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        Ok(Self {
            socket,
            input: Vec::with_capacity(4 << 10),
            body: Vec::new(),
        })
    }

    /// Sends a request and reads the response.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>, ExchangeError> {
        let head = self.send(request).await?;
        self.body.clear();
        let mut body = Body::new(head.framing);
        let rest = self.input.get(head.length..).unwrap_or_default();
        body.take(rest, |part| self.body.extend_from_slice(part))?;
        while !body.ended() {
            self.input.truncate(head.length);
            if self.socket.read_buf(&mut self.input).await? == 0 {
                if body.may_end_here() {
                    break;
                }
                return Err(ExchangeError::CutOff);
            }
            let rest = self.input.get(head.length..).unwrap_or_default();
            body.take(rest, |part| self.body.extend_from_slice(part))?;
        }
        Ok(Answer {
            status: head.status,
            body: &self.body,
            head: self.input.get(..head.length).unwrap_or_default(),
        })
    }

    /// Sends a request and returns the head of the response, the socket, and the part of the body
    /// read so far.
    pub(crate) async fn open_body(
        mut self,
        request: &[u8],
    ) -> Result<(Head, TcpStream, Vec<u8>), ExchangeError> {
        let head = self.send(request).await?;
        let rest = self.input.split_off(head.length);
        Ok((head, self.socket, rest))
    }

    async fn send(&mut self, request: &[u8]) -> Result<Head, ExchangeError> {
        self.input.clear();
        self.socket.write_all(request).await?;
        loop {
            if self.socket.read_buf(&mut self.input).await? == 0 {
                return Err(ExchangeError::CutOff);
            }
            if let Some(head) = Head::parse(&self.input)? {
                return Ok(head);
            }
        }
    }
}
