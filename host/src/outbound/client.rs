//! Requests to webhooks: only to the public internet, and never where a redirect points.
//!
//! What a URL may be is the component's rule (`subscription::url`); what its name resolves to only
//! this client sees. It connects to the very address that it judged, so that a name which resolves
//! to another one a moment later gains nothing.

use super::turns::Turns;
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

/// Who is asking, in `User-Agent`.
const AGENT: &str = concat!("durable-streams/", env!("CARGO_PKG_VERSION"));

/// Why there is no answer.
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
    /// A header field that is none.
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
    turns: Turns,
}

/// A whole answer; of its body, the frames before `limits::WEBHOOK_ANSWER_BYTES` is passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answered {
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
            turns: Turns::new(),
        })
    }

    /// Posts `body` to `url` and reads the answer.
    ///
    /// # Errors
    ///
    /// [`OutboundError`], also if all of it took longer than `most`, the wait for a turn included.
    pub(crate) async fn post(
        &self,
        url: &str,
        headers: &HeaderMap,
        body: Bytes,
        most: Duration,
    ) -> Result<Answered, OutboundError> {
        let exchange = async {
            let target = url::judge(url, self.allow_localhost)?;
            let _turn = self.turns.take(target.authority).await;
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
            Ok(Answered { status, body })
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
mod tests {
    use super::*;
    use rustls::ServerConfig;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    /// The certificates are of a hundred years from 2020: `authority.pem` made `worker.pem` for
    /// the name `worker.example`; `stranger.pem` made nothing.
    macro_rules! pem {
        ($name:literal) => {
            include_bytes!(concat!("../../../tests/fixtures/tls/", $name))
        };
    }

    /// What is posted to a worker.
    const BODY: &[u8] = b"wake";

    fn address(text: &str) -> SocketAddr {
        format!("{text}:443").parse().expect("an address")
    }

    #[test]
    fn a_name_with_any_address_that_is_not_public_is_refused() {
        let target = url::judge("https://worker.example/", false).expect("a URL");
        let chosen = |all: &[&str]| choose(&target, all.iter().map(|one| address(one)).collect());
        assert_eq!(chosen(&["8.8.8.8"]).expect("public"), address("8.8.8.8"));
        assert_eq!(
            chosen(&["[2606:4700::1]", "8.8.8.8"]).expect("public"),
            address("8.8.8.8")
        );
        for all in [
            &["127.0.0.1"][..],
            &["8.8.8.8", "10.0.0.1"],
            &["8.8.8.8", "[::1]"],
            &["[::ffff:10.0.0.1]"],
            &["169.254.169.254"],
            &["[64:ff9b::a00:1]"],
            &[],
        ] {
            assert!(chosen(all).is_err(), "{all:?}");
        }
    }

    #[test]
    fn localhost_is_this_machine_only() {
        let target = url::judge("http://localhost:80/", true).expect("a URL");
        let chosen = |text| choose(&target, vec![address(text)]);
        assert!(chosen("127.0.0.1").is_ok() && chosen("[::1]").is_ok());
        assert!(chosen("8.8.8.8").is_err() && chosen("10.0.0.1").is_err());
    }

    #[tokio::test]
    async fn a_url_that_a_webhook_may_not_have_is_not_even_resolved() {
        let client = Outbound::new(false);
        let headers = HeaderMap::new();
        let sent = client.send(Method::POST, "http://127.0.0.1:9/", &headers, Bytes::new());
        assert!(matches!(sent.await, Err(OutboundError::Url(_))));
    }

    fn certificate(pem: &[u8]) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem).expect("a certificate")
    }

    /// Answers one request over TLS as `worker.example`.
    async fn worker() -> SocketAddr {
        let key = PrivateKeyDer::from_pem_slice(pem!("worker.key")).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the default versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate(pem!("worker.pem"))], key)
            .expect("the key fits the certificate");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a connection");
            // A client that does not trust it ends here.
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            let mut asked = Vec::new();
            while !asked.ends_with(BODY) {
                let read = stream.read_buf(&mut asked).await.expect("a request");
                assert_ne!(read, 0, "the request ended early");
            }
            let length = asked.len();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.expect("sent");
            stream.write_all(&asked).await.expect("sent");
        });
        address
    }

    /// Posts to a worker at an address of this machine as though its name led there, and gives back
    /// what the worker was sent.
    async fn post_to_worker(url: &str, authority: &[u8]) -> Result<String, OutboundError> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate(authority)).expect("an authority");
        let client = Outbound::trusting(roots, false);
        let target = url::judge(url, false)?;
        let body = Bytes::from_static(BODY);
        let request = request(Method::POST, &target, &HeaderMap::new(), body)?;
        let response = client.send_to(worker().await, &target, request).await?;
        let asked = response.into_body().collect().await?.to_bytes();
        Ok(String::from_utf8_lossy(&asked).into_owned())
    }

    #[tokio::test]
    async fn https_reaches_who_has_a_certificate_for_the_name_and_nobody_else() {
        let authority = pem!("authority.pem");
        let asked = post_to_worker("https://worker.example/hook?x=1", authority).await;
        let asked = asked.expect("an answer");
        assert!(asked.starts_with("POST /hook?x=1 HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains("host: worker.example\r\n"), "{asked}");
        assert!(asked.ends_with("\r\n\r\nwake"), "{asked}");
        for (url, authority) in [
            ("https://other.example/hook", &authority[..]),
            ("https://worker.example/hook", pem!("stranger.pem")),
        ] {
            let refused = post_to_worker(url, authority).await;
            assert!(matches!(refused, Err(OutboundError::Io(_))), "{refused:?}");
        }
    }

    /// 64 deliveries to one receiver that did not answer kept all others waiting.
    #[tokio::test]
    async fn who_does_not_answer_keeps_no_other_receiver_waiting() {
        let listen = || TcpListener::bind("127.0.0.1:0");
        let (slow, quick) = (listen().await, listen().await);
        let (slow, quick) = (slow.expect("a free port"), quick.expect("a free port"));
        let url = |listener: &TcpListener| {
            let address = listener.local_addr().expect("its address");
            format!("http://{address}/")
        };
        let client = Outbound::new(true);
        let post = |url: String| {
            let client = Arc::clone(&client);
            let patience = Duration::from_secs(60);
            async move {
                let headers = HeaderMap::new();
                client.post(&url, &headers, Bytes::new(), patience).await
            }
        };
        let _waits: Vec<_> = (0..64).map(|_| tokio::spawn(post(url(&slow)))).collect();
        let mut taken = Vec::new();
        for _ in 0..16 {
            taken.push(slow.accept().await.expect("a connection"));
        }
        let to_quick = url(&quick);
        tokio::spawn(async move {
            let (mut stream, _) = quick.accept().await.expect("a connection");
            let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
            stream.write_all(answer).await.expect("sent");
            // Until the client has it.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        });
        let answered = post(to_quick).await.expect("an answer");
        assert_eq!(answered.status, StatusCode::NO_CONTENT);
    }
}
