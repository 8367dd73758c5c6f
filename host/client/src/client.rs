//! The client, and its options.

use crate::http::{Call, Http};
use crate::names::Base;
use crate::{Error, Retry, Stream, tls};
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::HeaderValue;
use std::sync::Arc;
use std::time::Duration;

/// Base URL of a server that runs on this machine with its defaults.
pub const DEFAULT_URL: &str = "http://127.0.0.1:4437/v1/stream";

/// Options of a client.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Token, sent as `Authorization: Bearer TOKEN` to the origin of the base URL and nowhere else.
    pub token: Option<String>,
    /// Retry rules.
    pub retry: Retry,
    /// Longest wait for a connection. Default: 10 s.
    pub connect_timeout: Duration,
    /// Longest wait for the next part of a response. Live reads wait [`Options::live_timeout`]
    /// instead. Default: 60 s.
    pub timeout: Duration,
    /// Longest silence of a live read, before it connects again. It should be longer than a server
    /// holds a long-poll. Default: 90 s.
    pub live_timeout: Duration,
    /// Longest wait for the first event of an SSE response. After it, the read takes a proxy to
    /// hold events back, and goes on by long-polls. Default: 10 s.
    pub sse_patience: Duration,
    /// More root certificates, in PEM format, for servers with certificates of their own.
    pub root_certificates: Option<Vec<u8>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            token: None,
            retry: Retry::default(),
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(60),
            live_timeout: Duration::from_secs(90),
            sse_patience: Duration::from_secs(10),
            root_certificates: None,
        }
    }
}

/// Client of one server. Clones share connections.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) http: Http,
    pub(crate) base: Base,
    pub(crate) options: Options,
}

impl Client {
    /// A client of the server whose streams are below `url`, such as
    /// `http://127.0.0.1:4437/v1/stream`. It does not connect yet.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidUrl`], [`Error::InvalidValue`] for a token that no header field can carry, or
    /// [`Error::Setup`].
    pub fn new(url: &str, options: Options) -> Result<Self, Error> {
        let base = Base::parse(url)?;
        let authorization = match &options.token {
            Some(token) => {
                let field = "authorization";
                let value = HeaderValue::from_str(&format!("Bearer {token}"));
                let mut value = value.map_err(|_| Error::InvalidValue { field })?;
                value.set_sensitive(true);
                Some((value, base.origin()))
            }
            None => None,
        };
        let roots = options.root_certificates.as_deref();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::settings(roots, base.is_https())?)
            .user_agent(concat!(
                "durable-streams-edge-client/",
                env!("CARGO_PKG_VERSION")
            ))
            .connect_timeout(options.connect_timeout)
            // A URL may have a secret in its query.
            .referer(false)
            // Other redirects may turn a write into a read.
            .redirect(reqwest::redirect::Policy::custom(|attempt| {
                match attempt.status().as_u16() {
                    307 | 308 if attempt.previous().len() <= 5 => attempt.follow(),
                    _ => attempt.stop(),
                }
            }))
            .build()
            .map_err(|error| Error::Setup(error.to_string()))?;
        let http = Http {
            client,
            authorization,
            retry: options.retry.clone(),
            timeout: options.timeout,
        };
        let shared = Shared {
            http,
            base,
            options,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Base URL of the server, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        self.shared.base.as_str()
    }

    /// Reads another resource of the server, such as `/metrics` of an admin listener. `path` is the path
    /// with its query, from the root of the origin.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidUrl`], [`Error::NotFound`] if there is none, and the errors of every call.
    pub async fn resource(&self, path: &str) -> Result<Bytes, Error> {
        let url = self.shared.base.at_root(path)?;
        let reply = self
            .shared
            .http
            .request(&Call::new(Method::GET, url))
            .await?;
        Ok(reply.body)
    }

    /// The stream with this name, or with this whole URL. Slashes separate segments, and other
    /// characters with a meaning in URLs are encoded. A whole URL is used as it is. The call sends
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidUrl`].
    pub fn stream(&self, name: &str) -> Result<Stream, Error> {
        let (url, base) = self.shared.base.resolve(name)?;
        Ok(Stream::new(Arc::clone(&self.shared), name, url, base))
    }
}
