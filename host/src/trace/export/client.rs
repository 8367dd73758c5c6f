//! A client that posts spans to the collector.
//!
//! It runs on the thread that batches spans, so it has a runtime of its own: the server's may be
//! stopped or busy. Each request has a connection of its own, every few seconds.

use bytes::Bytes;
use http::header::HOST;
use http::uri::Scheme;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use opentelemetry_http::{HttpClient, HttpError};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Most bytes of a response, which says which spans were refused.
const ANSWER_BYTES: usize = 64 * 1024;

/// Sends requests of the exporter.
#[derive(Debug)]
pub(super) struct Client {
    /// Always there until the client is dropped.
    runtime: Option<Runtime>,
    tls: Tls,
    most: Duration,
}

struct Tls(TlsConnector);

impl std::fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Tls")
    }
}

impl Client {
    /// A client whose requests take no longer than `most`. It trusts the certificates of this file, or
    /// the usual authorities.
    pub(super) fn new(most: Duration, certificate: Option<&str>) -> Result<Self, HttpError> {
        let mut roots = RootCertStore::empty();
        match certificate {
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(file) => {
                let failed = |error| format!("OTEL_EXPORTER_OTLP_CERTIFICATE={file}: {error}");
                for one in CertificateDer::pem_file_iter(file).map_err(failed)? {
                    roots.add(one.map_err(failed)?)?;
                }
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            runtime: Some(Builder::new_current_thread().enable_all().build()?),
            tls: Tls(TlsConnector::from(Arc::new(config))),
            most,
        })
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (mut parts, body) = request.into_parts();
        let authority = parts
            .uri
            .authority()
            .ok_or("the endpoint has no host")?
            .clone();
        let is_https = parts.uri.scheme() == Some(&Scheme::HTTPS);
        let port = authority
            .port_u16()
            .unwrap_or(if is_https { 443 } else { 80 });
        parts
            .headers
            .insert(HOST, HeaderValue::from_str(authority.as_str())?);
        parts.uri = match parts.uri.path_and_query() {
            Some(path) => path.as_str().parse()?,
            None => "/".parse()?,
        };
        let request = Request::from_parts(parts, Full::new(body));
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        let stream = TcpStream::connect((host, port)).await?;
        if !is_https {
            return exchange(stream, request).await;
        }
        let name = ServerName::try_from(host.to_owned())?;
        exchange(self.tls.0.connect(name, stream).await?, request).await
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, HttpError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // The response carries the connection's error.
    let connection = tokio::spawn(connection);
    let (parts, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, ANSWER_BYTES).collect().await?.to_bytes();
    connection.abort();
    Ok(Response::from_parts(parts, body))
}

impl HttpClient for Client {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            let runtime = self.runtime.as_ref().ok_or("the client has ended")?;
            let sent = runtime.block_on(async { timeout(self.most, self.send(request)).await });
            sent.unwrap_or_else(|_| Err("the collector did not answer in time".into()))
        })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // A lookup of a name may block for longer than the process lasts.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
