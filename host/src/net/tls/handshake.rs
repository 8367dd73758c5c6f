//! Handshakes of TLS.

use crate::limits::{HANDSHAKE_TIMEOUT, TLS_UNSENT};
use rustls::ServerConfig;
use std::io::{ErrorKind, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Makes the handshake with a client.
///
/// # Errors
///
/// The handshake fails, or takes longer than [`HANDSHAKE_TIMEOUT`].
pub(in crate::net) async fn shake_hands<S>(
    stream: S,
    config: Arc<ServerConfig>,
) -> Result<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    shake_hands_within(HANDSHAKE_TIMEOUT, stream, config).await
}

async fn shake_hands_within<S>(
    patience: Duration,
    stream: S,
    config: Arc<ServerConfig>,
) -> Result<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let limit = |session: &mut rustls::ServerConnection| {
        session.set_buffer_limit(Some(TLS_UNSENT));
    };
    let accept = TlsAcceptor::from(config).accept_with(stream, limit);
    timeout(patience, accept)
        .await
        .unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tls::certificates::Certificates;
    use crate::net::tls::tests::pair;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test]
    async fn a_client_that_does_not_complete_its_handshake_is_given_up() {
        let (_directory, files) = pair("a.example").write();
        let config = Certificates::load(files).expect("a good pair").current();
        for said in [&b""[..], &[22, 3, 1]] {
            let (mut client, server) = duplex(1024);
            client.write_all(said).await.expect("sent");
            let secured = shake_hands_within(Duration::ZERO, server, Arc::clone(&config)).await;
            let error = secured.map(drop).expect_err("no client");
            assert_eq!(error.kind(), ErrorKind::TimedOut, "{said:?}");
        }
    }

    #[tokio::test]
    async fn a_client_that_speaks_plain_http_is_refused_at_once() {
        let (_directory, files) = pair("a.example").write();
        let config = Certificates::load(files).expect("a good pair").current();
        let (mut client, server) = duplex(1024);
        client
            .write_all(b"GET / HTTP/1.1\r\n\r\n")
            .await
            .expect("sent");
        assert!(shake_hands(server, config).await.is_err());
        let mut alert = Vec::new();
        client.read_to_end(&mut alert).await.expect("it ends");
        assert_eq!(alert.first(), Some(&21), "an alert");
    }
}
