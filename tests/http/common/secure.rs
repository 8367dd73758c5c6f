//! Certificates, and a client over TLS.

use super::PATIENCE;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper::{Method, Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// A certificate for 127.0.0.1, signed by its own key.
#[derive(Debug)]
pub(crate) struct Pair {
    certificate: String,
    key: String,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]);
        let made = made.expect("a certificate");
        Self {
            certificate: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        }
    }

    /// Writes the files that [`flags`] names.
    pub(crate) fn write_to(&self, directory: &Path) {
        std::fs::write(directory.join("tls.crt"), &self.certificate).expect("written");
        std::fs::write(directory.join("tls.key"), &self.key).expect("written");
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("a certificate")
    }
}

/// Flags of a server with the pair in this directory.
pub(crate) fn flags(directory: &Path) -> [String; 2] {
    ["--tls-cert=", "--tls-key="].map(|flag| {
        let file = if flag == "--tls-cert=" {
            "tls.crt"
        } else {
            "tls.key"
        };
        format!("{flag}{}", directory.join(file).display())
    })
}

/// A connection over TLS.
#[derive(Debug)]
pub(crate) struct Secure {
    sender: Sender,
    /// The certificate that the server showed.
    pub(crate) certificate: CertificateDer<'static>,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// Fails the test if this takes too long.
async fn in_time<T>(task: impl Future<Output = T>) -> T {
    timeout(PATIENCE, task)
        .await
        .expect("the server is in time")
}

impl Secure {
    /// Connects as a client that trusts these certificates and offers these versions by ALPN.
    /// Speaks the version that the server chose.
    pub(crate) async fn connect(to: SocketAddr, trusted: &[&Pair], versions: &[&str]) -> Self {
        let mut roots = RootCertStore::empty();
        for pair in trusted {
            roots.add(pair.certificate()).expect("an authority");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the default versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let versions = versions.iter().map(|version| version.as_bytes().to_vec());
        config.alpn_protocols = versions.collect();
        let stream = in_time(TcpStream::connect(to)).await.expect("it listens");
        let name = ServerName::IpAddress(to.ip().into());
        let secured = TlsConnector::from(Arc::new(config)).connect(name, stream);
        let stream = in_time(secured).await.expect("a handshake");
        let (_, session) = stream.get_ref();
        let shown = session.peer_certificates().and_then(<[_]>::first);
        let certificate = shown.expect("a certificate").clone().into_owned();
        let is_http2 = session.alpn_protocol() == Some(b"h2");
        let stream = TokioIo::new(stream);
        let sender = if is_http2 {
            let handshake = http2::handshake(TokioExecutor::new(), stream).await;
            let (sender, connection) = handshake.expect("a connection");
            tokio::spawn(connection);
            Sender::Http2(sender)
        } else {
            let (sender, connection) = http1::handshake(stream).await.expect("a connection");
            tokio::spawn(connection);
            Sender::Http1(sender)
        };
        Self {
            sender,
            certificate,
        }
    }

    pub(crate) fn version(&self) -> Version {
        match &self.sender {
            Sender::Http1(_) => Version::HTTP_11,
            Sender::Http2(_) => Version::HTTP_2,
        }
    }

    /// Sends a request with a text and returns the whole answer.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        to: SocketAddr,
        path: &str,
        body: &'static str,
    ) -> Response<Bytes> {
        let request = Request::builder().method(method).version(self.version());
        let request = request.header("content-type", "text/plain");
        let request = match self.sender {
            Sender::Http1(_) => request.uri(path).header("host", to.to_string()),
            Sender::Http2(_) => request.uri(format!("https://{to}{path}")),
        };
        let request = request.body(Full::new(Bytes::from_static(body.as_bytes())));
        let request = request.expect("a request");
        let answer = match &mut self.sender {
            Sender::Http1(sender) => {
                in_time(sender.ready()).await.expect("it is open");
                in_time(sender.send_request(request)).await
            }
            Sender::Http2(sender) => {
                in_time(sender.ready()).await.expect("it is open");
                in_time(sender.send_request(request)).await
            }
        };
        let (parts, body) = answer.expect("an answer").into_parts();
        let body = in_time(body.collect()).await.expect("its body");
        Response::from_parts(parts, body.to_bytes())
    }
}
