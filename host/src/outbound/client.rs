//! Requests to webhooks: only to the public internet, and never where a redirect points.
//!
//! The component has the rules for a URL (`subscription::url`), but only this client sees the
//! addresses of its name. It connects to the very address that it judged, so a name that resolves
//! to another address a moment later gains nothing.

use super::permits::Permits;
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

/// The value of `User-Agent`.
const AGENT: &str = concat!("durable-streams/", env!("CARGO_PKG_VERSION"));

/// Error of a request without an answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutboundError {
    /// The URL is none that a webhook may have.
    #[error("the URL is refused: {0}")]
    Url(#[from] UrlError),
    /// The name has no address that is on the public internet.
    #[error("{0} does not resolve to a public address")]
    NotPublic(String),
    /// No connection, or a broken one.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// No HTTP.
    #[error("{0}")]
    Http(#[from] hyper::Error),
    /// A header field whose value is not valid.
    #[error("{0}")]
    Request(#[from] http::Error),
    /// It took too long.
    #[error("no answer in time")]
    TimedOut,
}

/// The client.
pub(crate) struct Outbound {
    allow_localhost: bool,
    tls: TlsConnector,
    permits: Permits,
}

/// A whole answer; of its body, the frames before `limits::WEBHOOK_ANSWER_BYTES` is passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The beginning of the body.
    pub body: Bytes,
}

impl Outbound {
    /// A client that knows the usual certificate authorities. `allow_localhost` is the variable
    /// `webhook_allow_localhost`.
    #[must_use]
    pub(crate) fn new(allow_localhost: bool) -> Arc<Self> {
        let roots = webpki_roots::TLS_SERVER_ROOTS;
        Self::trusting(roots.iter().cloned().collect(), allow_localhost)
    }

    /// A client that knows these certificate authorities.
    fn trusting(roots: RootCertStore, allow_localhost: bool) -> Arc<Self> {
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
        })
    }

    /// Posts `body` to `url` and reads the answer.
    ///
    /// # Errors
    ///
    /// [`OutboundError`], also if all of it took longer than `most`, the wait for a permit included.
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
            // What is cut, or breaks off, is judged by what came.
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

    /// Sends a request and answers with the head of the response.
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
        let target = url::judge(url, self.allow_localhost)?;
        let request = request(method, &target, headers, body)?;
        let address = self.resolve(&target).await?;
        self.send_to(address, &target, request).await
    }

    /// Sends a request to the address that was chosen for its target.
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

    /// The address to connect to: the first that the name has, if all of them are public.
    async fn resolve(&self, target: &Target<'_>) -> Result<SocketAddr, OutboundError> {
        let found = tokio::net::lookup_host((target.host, target.port)).await?;
        choose(target, found.collect())
    }
}

/// The request for a target.
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
    // `localhost` was excepted by its name, for what is on this machine and nothing else.
    let allowed = |address: IpAddr| match target.is_localhost() {
        true => address.is_loopback(),
        false => url::is_public(address),
    };
    let all = found.iter().all(|address| allowed(address.ip()));
    // What listens for a test often does so on one of the two families only.
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
        // How it ended, the response tells.
        let _ = connection.await;
    });
    Ok(sender.send_request(request).await?)
}

#[cfg(test)]
mod tests;
