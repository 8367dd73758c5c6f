//! A running server as the source of a backup.

use super::disk::{BackupError, Moment, Source};
use super::wire::{BACKUP, Begun, Digest};
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Longest wait for a connection, for a response, and for its next bytes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest JSON document: the list of all segments that a store can have open.
const DOCUMENT: usize = 64 << 20;
/// Attempts in a row without further bytes.
const ATTEMPTS: u32 = 3;

/// A backup that is taken from a server.
pub(super) struct Remote {
    runtime: Runtime,
    server: Server,
    id: String,
    moment: Moment,
}

struct Server {
    admin: Uri,
    token: Option<HeaderValue>,
    /// The connection, if there is one.
    sender: Option<SendRequest<Empty<Bytes>>>,
}

/// Failure of a request.
enum Failed {
    /// The connection broke. The request may be repeated.
    Broken(String),
    /// The server refused.
    Refused(String),
}

impl Failed {
    fn error(self, admin: &Uri) -> BackupError {
        match self {
            Self::Broken(why) => BackupError::Source(format!(
                "{admin}: {why}; is this the admin listener of a running server?"
            )),
            Self::Refused(why) => BackupError::Source(why),
        }
    }
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<hyper::Error> for Failed {
    fn from(error: hyper::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl Remote {
    /// Begins a backup of the store of the server with this admin listener.
    ///
    /// # Errors
    ///
    /// When the server can't be reached or refuses.
    pub(super) fn begin(admin: &str, token: Option<&str>) -> Result<Self, BackupError> {
        let wrong = |why| BackupError::Source(format!("--admin {admin}: {why}"));
        let parsed: Uri = admin
            .parse()
            .map_err(|_| wrong("expected a URL such as http://127.0.0.1:4438"))?;
        if parsed.authority().is_none() || !matches!(parsed.scheme_str(), Some("http" | "https")) {
            return Err(wrong("expected a URL such as http://127.0.0.1:4438"));
        }
        let token = token.map(|token| HeaderValue::try_from(format!("Bearer {token}")));
        let token = token.transpose();
        let token = token.map_err(|_| BackupError::Source("the token is not valid".to_owned()))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| BackupError::Source(error.to_string()))?;
        let mut server = Server {
            admin: parsed,
            token,
            sender: None,
        };
        let begun = runtime.block_on(server.document::<Begun>(Method::POST, String::new()));
        let begun = begun.map_err(|failed| failed.error(&server.admin))?;
        Ok(Self {
            runtime,
            server,
            id: begun.id,
            moment: begun.moment,
        })
    }
}

impl Source for Remote {
    fn moment(&self) -> &Moment {
        &self.moment
    }

    fn digest(&mut self, segment: u32, bytes: u64) -> Result<String, BackupError> {
        let mut attempts = 0;
        loop {
            let path = format!("/{}/{segment}/digest?bytes={bytes}", self.id);
            let answered = self.server.document::<Digest>(Method::GET, path);
            match self.runtime.block_on(answered) {
                Ok(digest) => return Ok(digest.sha256),
                Err(Failed::Broken(_)) if attempts < ATTEMPTS => attempts += 1,
                Err(failed) => return Err(failed.error(&self.server.admin)),
            }
        }
    }

    fn read(
        &mut self,
        segment: u32,
        from: u64,
        put: &mut dyn FnMut(&[u8]) -> Result<(), BackupError>,
    ) -> Result<(), BackupError> {
        let (mut offset, mut attempts) = (from, 0);
        loop {
            let before = offset;
            let path = format!("/{}/{segment}?from={offset}", self.id);
            let (mut wrong, server) = (None, &mut self.server);
            let passed = self.runtime.block_on(server.pass(path, &mut |bytes| {
                offset = offset.saturating_add(bytes.len() as u64);
                let stored = put(bytes);
                stored.map_err(|error| wrong = Some(error)).is_ok()
            }));
            attempts = if offset > before { 0 } else { attempts + 1 };
            match (wrong, passed) {
                (Some(error), _) => return Err(error),
                (None, Ok(())) => return Ok(()),
                (None, Err(Failed::Broken(_))) if attempts < ATTEMPTS => {}
                (None, Err(failed)) => return Err(failed.error(&self.server.admin)),
            }
        }
    }
}

impl Drop for Remote {
    /// Ends the backup, so that the server gives up the pins at once.
    fn drop(&mut self) {
        let path = format!("/{}", self.id);
        let ended = self.server.send(Method::DELETE, path);
        // The server ends it by itself after a minute.
        let _ = self.runtime.block_on(ended);
    }
}

impl Server {
    /// Reads a JSON document.
    async fn document<T: serde::de::DeserializeOwned>(
        &mut self,
        method: Method,
        path: String,
    ) -> Result<T, Failed> {
        let response = self.accepted(method, path).await?;
        let body = Limited::new(response.into_body(), DOCUMENT).collect();
        let body = timeout(PATIENCE, body).await.map_err(|_| late())?;
        let body = body.map_err(|error| Failed::Broken(error.to_string()))?;
        let parsed = serde_json::from_slice(&body.to_bytes());
        parsed.map_err(|_| Failed::Refused(format!("{} is not an admin listener", self.admin)))
    }

    /// Passes the bytes of a response on, until `put` returns false.
    async fn pass(
        &mut self,
        path: String,
        put: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), Failed> {
        let mut body = self.accepted(Method::GET, path).await?.into_body();
        while let Some(frame) = timeout(PATIENCE, body.frame()).await.map_err(|_| late())? {
            if let Ok(bytes) = frame?.into_data()
                && !put(&bytes)
            {
                // The rest is not read, so the connection is of no use.
                self.sender = None;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Sends a request and reads the head of the response.
    async fn accepted(
        &mut self,
        method: Method,
        path: String,
    ) -> Result<Response<Incoming>, Failed> {
        let begins = path.is_empty();
        let response = self.send(method, path).await?;
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(response);
        }
        let body = Limited::new(response.into_body(), 64 << 10).collect();
        let body = timeout(PATIENCE, body).await.map_err(|_| late())?;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        let why = refusal(status, &body);
        Err(Failed::Refused(
            match begins && status == StatusCode::NOT_FOUND {
                true => format!("{why} Is {} the admin listener?", self.admin),
                false => why,
            },
        ))
    }

    async fn send(&mut self, method: Method, path: String) -> Result<Response<Incoming>, Failed> {
        let mut sender = match self.sender.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => timeout(PATIENCE, connect(&self.admin))
                .await
                .map_err(|_| late())??,
        };
        let base = self.admin.path().trim_end_matches('/');
        let authority = self.admin.authority().map_or("", |name| name.as_str());
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{base}{BACKUP}{path}"))
            .header(HOST, authority);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.clone());
        }
        let request = request.body(Empty::new());
        let request = request.map_err(|error| Failed::Refused(error.to_string()))?;
        let answered = async {
            sender.ready().await?;
            sender.send_request(request).await
        };
        let response = timeout(PATIENCE, answered).await.map_err(|_| late())??;
        self.sender = Some(sender);
        Ok(response)
    }
}

fn late() -> Failed {
    Failed::Broken("no answer within a minute".to_owned())
}

/// Text of a refusal: the detail of the problem, if there is one.
fn refusal(status: StatusCode, body: &[u8]) -> String {
    let problem: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    match problem.get("detail").and_then(serde_json::Value::as_str) {
        Some(detail) if matches!(status.as_u16(), 401 | 403) => {
            format!("{detail} Name a manage token without a prefix with --token or DS_TOKEN")
        }
        Some(detail) => detail.to_owned(),
        None => format!("the server answered {status}; is this its admin listener?"),
    }
}

async fn connect(admin: &Uri) -> Result<SendRequest<Empty<Bytes>>, Failed> {
    let tls = admin.scheme_str() == Some("https");
    let port = admin.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let host = admin.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, port)).await?;
    if !tls {
        return shake(stream).await;
    }
    let roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failed::Refused(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned());
    let name = name.map_err(|error| Failed::Refused(error.to_string()))?;
    let tls = TlsConnector::from(Arc::new(config));
    shake(tls.connect(name, stream).await?).await
}

async fn shake(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<SendRequest<Empty<Bytes>>, Failed> {
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // The response carries the connection's error.
        let _ = connection.await;
    });
    Ok(sender)
}
