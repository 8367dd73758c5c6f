//! Listening sockets: TCP addresses, Unix sockets, and sockets that a supervisor passes.

mod activation;
mod address;
mod transport;
mod unix;

pub use activation::{ActivationError, Inherited};
pub use address::{Address, Listen};
pub(crate) use transport::{Arrived, Transport};

use super::tls::Certificates;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpListener;
use unix::UnixSocket;

/// Address that counts for all peers of Unix sockets, which have none. TCP never has this peer.
pub(crate) const UNIX_PEER: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Error of a socket that can't be opened. Its text is one line.
#[derive(Debug, thiserror::Error)]
#[error("can't listen on {address}: {source}")]
pub struct ListenError {
    /// The socket.
    pub address: String,
    /// The reason.
    pub source: io::Error,
}

/// A listening socket.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Socket,
    /// Connections of TCP use TLS with these certificates.
    certificates: Option<Arc<Certificates>>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixSocket),
}

impl Listener {
    /// Opens a socket. TCP connections use TLS if there are `certificates`.
    ///
    /// # Errors
    ///
    /// [`ListenError`] if the address can't be used.
    pub(crate) async fn bind(
        at: &Listen,
        certificates: Option<&Arc<Certificates>>,
    ) -> Result<Self, ListenError> {
        let socket = match at {
            Listen::Tcp(address) => TcpListener::bind(address).await.map(Socket::Tcp),
            Listen::Unix(path) => UnixSocket::bind(path).await.map(Socket::Unix),
        };
        let socket = socket.map_err(|source| ListenError {
            address: at.to_string(),
            source,
        })?;
        Ok(Self {
            socket,
            certificates: certificates.map(Arc::clone),
        })
    }

    /// Takes a socket that was opened by the supervisor. TCP connections use TLS if there are
    /// `certificates`.
    ///
    /// # Errors
    ///
    /// [`ListenError`] if the socket can't be used.
    pub(crate) fn inherit(
        inherited: Inherited,
        certificates: Option<&Arc<Certificates>>,
    ) -> Result<Self, ListenError> {
        let address = inherited.to_string();
        let socket = match inherited {
            Inherited::Tcp(listener) => listener
                .set_nonblocking(true)
                .and_then(|()| TcpListener::from_std(listener))
                .map(Socket::Tcp),
            Inherited::Unix(listener) => UnixSocket::inherit(listener).map(Socket::Unix),
        };
        let socket = socket.map_err(|source| ListenError { address, source })?;
        Ok(Self {
            socket,
            certificates: certificates.map(Arc::clone),
        })
    }

    /// Address of the socket, with the port that the system chose for port 0.
    ///
    /// # Errors
    ///
    /// [`ListenError`] if the system does not tell it.
    pub(crate) fn address(&self) -> Result<Address, ListenError> {
        let unknown = |source| ListenError {
            address: format!("{:?}", self.socket),
            source,
        };
        Ok(match &self.socket {
            Socket::Tcp(listener) => Address::Tcp {
                address: listener.local_addr().map_err(unknown)?,
                tls: self.certificates.is_some(),
            },
            Socket::Unix(socket) => Address::Unix(socket.path()),
        })
    }

    /// Accepts a connection. The handshake of TLS comes later.
    pub(super) fn poll_accept(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<(Arrived, IpAddr)>> {
        match &self.socket {
            Socket::Tcp(listener) => listener.poll_accept(context).map_ok(|(stream, peer)| {
                // A connection without this option works too, with more latency.
                let _ = stream.set_nodelay(true);
                let arrived = match &self.certificates {
                    Some(certificates) => Arrived::Tls(stream, certificates.current()),
                    None => Arrived::Open(Transport::Tcp(stream)),
                };
                (arrived, peer.ip())
            }),
            Socket::Unix(socket) => {
                let accepted = socket.poll_accept(context);
                accepted.map_ok(|stream| (Arrived::Open(Transport::Unix(stream)), UNIX_PEER))
            }
        }
    }
}
