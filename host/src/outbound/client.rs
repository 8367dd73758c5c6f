//! Requests to webhooks. They go only to the public internet, and never follow a redirect.
//!
//! The component has the rules for a URL (`subscription::url`), but only this client has the
//! addresses of a name. It connects to the address that it checked. A later change of the name's
//! address therefore has no effect.

use super::permits::Permits;
use crate::meters::WebhookMeters;
use crate::trace;
use bytes::Bytes;
use durable_streams_edge::limits::WEBHOOK_ANSWER_BYTES;
use durable_streams_edge::subscription::url::{self, Target, UrlError};
use http::header::{CONTENT_LENGTH, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tracing::Instrument;

/// The value of `User-Agent`.
const AGENT: &str = concat!("durable-streams/", env!("CARGO_PKG_VERSION"));

/// Error of a request without a response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutboundError {
    /// The URL is not allowed for a webhook.
    #[error("the URL is refused: {0}")]
    Url(#[from] UrlError),
    /// The name has no address, or one outside of the public internet.
    #[error("{0} does not resolve to a public address")]
    NotPublic(String),
    /// The connection failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The response is not valid HTTP.
    #[error("{0}")]
    Http(#[from] hyper::Error),
    /// A header field has an invalid value.
    #[error("{0}")]
    Request(#[from] http::Error),
    /// The request timed out.
    #[error("no answer in time")]
    TimedOut,
}

/// The client.
pub(crate) struct Outbound {
    allow_localhost: bool,
    tls: TlsConnector,
    permits: Permits,
    meters: WebhookMeters,
}

/// A complete response. Its body has only the frames up to `limits::WEBHOOK_ANSWER_BYTES`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The beginning of the body.
    pub body: Bytes,
}

impl Outbound {
    /// A client that trusts the usual certificate authorities. `allow_localhost` is the variable
    /// `webhook_allow_localhost`.
    #[must_use]
    pub(crate) fn new(allow_localhost: bool, meters: WebhookMeters) -> Arc<Self> {
        let roots = webpki_roots::TLS_SERVER_ROOTS;
        Self::trusting(roots.iter().cloned().collect(), allow_localhost, meters)
    }

    /// A client that trusts these certificate authorities.
    fn trusting(roots: RootCertStore, allow_localhost: bool, meters: WebhookMeters) -> Arc<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("this provider has what the default versions need")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(Self {
            allow_localhost,
            tls: TlsConnector::from(Arc::new(config)),
            permits: Permits::new(),
            meters,
        })
    }

    /// Posts `body` to `url` and reads the response.
    ///
    /// # Errors
    ///
    /// [`OutboundError`], also if the call takes longer than `most`, including the wait for a
    /// permit.
    pub(crate) async fn post(
        &self,
        url: &str,
        headers: &HeaderMap,
        body: Bytes,
        most: Duration,
    ) -> Result<Reply, OutboundError> {
        let exchange = async {
            let target = url::judge(url, self.allow_localhost)?;
            let _permit = self.permits.take(target.authority).await;
            let response = self.send(Method::POST, url, headers, body).await?;
            let status = response.status();
            let mut body = Vec::new();
            let mut rest = Limited::new(response.into_body(), WEBHOOK_ANSWER_BYTES);
            // A truncated or broken body is judged by the bytes received.
            while let Some(Ok(frame)) = rest.frame().await {
                if let Ok(data) = frame.into_data() {
                    body.extend_from_slice(&data);
                }
            }
            let body = Bytes::from(body);
            Ok(Reply { status, body })
        };
        timeout(most, exchange)
            .await
            .unwrap_or(Err(OutboundError::TimedOut))
    }

    /// Sends a request and returns the response with its body unread.
    ///
    /// # Errors
    ///
    /// [`OutboundError`].
    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, OutboundError> {
        let posting = self.meters.begin();
        let target = url::judge(url, self.allow_localhost)?;
        let span = trace::webhook(&method, target.host, target.port);
        let mut request = request(method, &target, headers, body)?;
        let response = async {
            trace::inject(request.headers_mut());
            let address = self.resolve(&target).await?;
            self.send_to(address, &target, request).await
        };
        let response = response.instrument(span.clone()).await;
        trace::answered(&span, response.as_ref().map(Response::status).ok());
        let response = response?;
        posting.answered(response.status());
        Ok(response)
    }

    /// Sends a request to the address chosen for its target.
    async fn send_to(
        &self,
        address: SocketAddr,
        target: &Target<'_>,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, OutboundError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        if !target.is_https {
            return exchange(stream, request).await;
        }
        let name = ServerName::try_from(target.host.to_owned()).map_err(std::io::Error::other)?;
        let stream = self.tls.connect(name, stream).await?;
        exchange(stream, request).await
    }

    /// The address to connect to: the first IPv4 address of the name, or else its first, if all are
    /// allowed.
    async fn resolve(&self, target: &Target<'_>) -> Result<SocketAddr, OutboundError> {
        let found = tokio::net::lookup_host((target.host, target.port)).await?;
        choose(target, found.collect())
    }
}

/// Builds the request for a target.
fn request(
    method: Method,
    target: &Target<'_>,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, http::Error> {
    let path = target.path_and_query();
    let length = body.len();
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .body(Full::new(body))?;
    let fields = request.headers_mut();
    fields.extend(headers.clone());
    fields.insert(HOST, HeaderValue::from_str(target.authority)?);
    fields.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    fields.insert(CONTENT_LENGTH, HeaderValue::from(length));
    Ok(request)
}

fn choose(target: &Target<'_>, found: Vec<SocketAddr>) -> Result<SocketAddr, OutboundError> {
    // The exception for `localhost` covers only loopback addresses.
    let allowed = |address: IpAddr| match target.is_localhost() {
        true => address.is_loopback(),
        false => url::is_public(address),
    };
    let all = found.iter().all(|address| allowed(address.ip()));
    // A test server often listens on IPv4 only.
    let first = found.iter().find(|address| address.is_ipv4());
    match first.or_else(|| found.first()) {
        Some(first) if all => Ok(*first),
        _ => Err(OutboundError::NotPublic(target.host.to_owned())),
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, OutboundError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // The response carries the connection's error.
        let _ = connection.await;
    });
    Ok(sender.send_request(request).await?)
}

#[cfg(test)]
mod tests;
