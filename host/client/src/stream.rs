//! Handle of one stream.

use crate::client::Shared;
use crate::http::{self, Call, Http};
use crate::names::Base;
use crate::{
    Client, Closed, CreateOptions, Error, Follow, FollowOptions, ForkPoint, Metadata, Offset,
    Pages, Producer, ProducerOptions, Start, headers,
};
use bytes::Bytes;
use reqwest::{Method, StatusCode};
use std::sync::Arc;
use tokio::sync::OnceCell;
use url::Url;

/// One stream of a server. The handle is cheap to clone, and making one sends nothing.
#[derive(Debug, Clone)]
pub struct Stream {
    pub(crate) shared: Arc<Shared>,
    name: Arc<str>,
    url: Url,
    base: Base,
    content_type: Arc<OnceCell<String>>,
}

/// Options of a plain append.
#[derive(Debug, Clone, Default)]
pub struct AppendOptions {
    /// Content type. If not given, the client asks the server once.
    pub content_type: Option<String>,
    /// `Stream-Seq`: the server refuses the append unless it is greater, byte by byte, than that of
    /// the last append which had one.
    pub seq: Option<String>,
    /// Offset that must be the tail: the extension `if-match`. A server without it ignores the
    /// option.
    pub if_tail: Option<Offset>,
    /// Length of the writer's lease in seconds: the extension `leases`.
    pub lease_secs: Option<u32>,
    /// Whether the append closes the stream, in one step.
    pub close: bool,
    /// Reason of the close: the extension `close-reasons`.
    pub closed_reason: Option<String>,
}

/// Result of an append or a close.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Tail after the append.
    pub next_offset: Offset,
    /// The close, if the stream is closed now.
    pub closed: Option<Closed>,
}

/// Result of a creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Whether the stream is new. A retry after a lost response can't tell, and reports `false`.
    pub is_new: bool,
    /// Description of the stream.
    pub metadata: Metadata,
}

impl Stream {
    pub(crate) fn new(shared: Arc<Shared>, name: &str, url: Url, base: Base) -> Self {
        Self {
            shared,
            name: name.into(),
            url,
            base,
            content_type: Arc::default(),
        }
    }

    /// The name, as it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name below the base URL of the stream's server, also if a whole URL was given; `None` for a
    /// URL that is no UTF-8 text.
    #[must_use]
    pub fn server_name(&self) -> Option<String> {
        self.base().name(&self.url)
    }

    /// The whole URL.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) fn http(&self) -> &Http {
        &self.shared.http
    }

    pub(crate) fn base(&self) -> &Base {
        &self.base
    }

    /// Creates the stream, or confirms that it exists with the same configuration.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] if it exists with another configuration, and the errors of every call.
    pub async fn create(&self, options: &CreateOptions) -> Result<Created, Error> {
        let call = options.apply(Call::new(Method::PUT, self.url.clone()))?;
        self.put(&call).await
    }

    /// Creates the stream as a fork of `source`, which must be on the same server. Without an
    /// offset, the client asks for the source's tail first, so that a retry forks at the same place.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such source, [`Error::Conflict`] if the stream exists or
    /// the source was deleted, [`Error::Protocol`] if the server has no forks and created a plain
    /// stream, and the errors of every call.
    pub async fn fork_from(
        &self,
        source: &Self,
        point: &ForkPoint,
        options: &CreateOptions,
    ) -> Result<Created, Error> {
        let offset = match &point.offset {
            Some(offset) => offset.clone(),
            None => source.head().await?.next_offset,
        };
        let sub_offset = (point.sub_offset > 0).then_some(point.sub_offset);
        let call = Call::new(Method::PUT, self.url.clone())
            .with(headers::STREAM_FORKED_FROM, source.url.path())?
            .with(headers::STREAM_FORK_OFFSET, offset.as_str())?
            .with_some(headers::STREAM_FORK_SUB_OFFSET, sub_offset)?;
        let call = options.apply(call)?;
        let created = self.put(&call).await?;
        // A server without forks creates a plain stream. Sentinels have no place in the order.
        let is_sentinel = matches!(offset.as_str(), "-1" | "now");
        if created.is_new && !is_sentinel && created.metadata.next_offset < offset {
            let problem = "the server ignored Stream-Forked-From, so the new stream has no data of \
                           its source: this server has no forks";
            return Err(call.protocol_error(problem));
        }
        Ok(created)
    }

    async fn put(&self, call: &Call) -> Result<Created, Error> {
        let reply = self.http().request(call).await?;
        let metadata = Metadata::of(call, &reply)?;
        Ok(Created {
            is_new: reply.status == StatusCode::CREATED,
            metadata,
        })
    }

    /// Returns the description of the stream, without its data.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Gone`], and the errors of every call.
    pub async fn head(&self) -> Result<Metadata, Error> {
        let call = Call::new(Method::HEAD, self.url.clone());
        let reply = self.http().request(&call).await?;
        let metadata = Metadata::of(&call, &reply)?;
        // Only the first description of a handle is kept; later ones say the same.
        let _ = self.content_type.set(metadata.content_type.clone());
        Ok(metadata)
    }

    /// Content type of the stream: asked for once, and never again by this handle.
    pub(crate) async fn content_type(&self) -> Result<&str, Error> {
        if self.content_type.get().is_none() {
            self.head().await?;
        }
        Ok(self.content_type.get().map_or("", String::as_str))
    }

    /// Appends data, which must not be empty. To a JSON stream, append one message, or an array of
    /// messages.
    ///
    /// The append is sent again only after failures that cannot have applied it.
    ///
    /// # Errors
    ///
    /// [`Error::OutcomeUnknown`], [`Error::Closed`], [`Error::TailMoved`], [`Error::Conflict`], and
    /// the errors of every call.
    pub async fn append(
        &self,
        data: impl Into<Bytes>,
        options: &AppendOptions,
    ) -> Result<Appended, Error> {
        let content_type = match &options.content_type {
            Some(content_type) => content_type,
            None => self.content_type().await?,
        };
        let tag = options.if_tail.as_ref().map(|tail| format!("\"{tail}\""));
        let mut call = Call::new(Method::POST, self.url.clone())
            .with("content-type", content_type)?
            .with_some(headers::STREAM_SEQ, options.seq.as_ref())?
            .with_some("if-match", tag)?
            .with_some(headers::STREAM_LEASE, options.lease_secs)?
            .with_some(headers::STREAM_CLOSED, options.close.then_some(true))?
            .with_some(
                headers::STREAM_CLOSED_REASON,
                options.closed_reason.as_ref(),
            )?;
        call.body = Some(data.into());
        call.is_repeatable = false;
        appended(&call, &self.http().request(&call).await?)
    }

    /// Closes the stream, and keeps its data. A closed stream stays closed with its first reason.
    /// The reason is the extension `close-reasons`, which other servers ignore.
    ///
    /// # Errors
    ///
    /// The errors of every call.
    pub async fn close(&self, reason: Option<&str>) -> Result<Appended, Error> {
        let call = Call::new(Method::POST, self.url.clone())
            .with(headers::STREAM_CLOSED, "true")?
            .with_some(headers::STREAM_CLOSED_REASON, reason)?;
        appended(&call, &self.http().request(&call).await?)
    }

    /// Stops the stream: closes it with the reason `stopped`, as a stop button does. This is the
    /// extension `stop`, for which a token with the scope `close` is enough.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] if the server does not announce the extension. The stream is then
    /// unchanged, and [`Stream::close`] closes it.
    pub async fn stop(&self) -> Result<Appended, Error> {
        let purpose = "closes a stream with the reason `stopped`: use a plain close";
        self.require("stop", purpose).await?;
        self.close(Some("stopped")).await
    }

    /// Checks that the server announces an extension.
    pub(crate) async fn require(
        &self,
        extension: &'static str,
        purpose: &'static str,
    ) -> Result<(), Error> {
        let server = crate::listing::server(self.http(), &self.base).await?;
        match server.is_some_and(|server| server.has(extension)) {
            true => Ok(()),
            false => Err(Error::Unsupported {
                server: self.base.as_str().to_owned(),
                extension,
                purpose,
            }),
        }
    }

    /// Deletes the stream and its data. Forks keep the data that they share.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Gone`], and the errors of every call.
    pub async fn delete(&self) -> Result<(), Error> {
        let call = Call::new(Method::DELETE, self.url.clone());
        match self.http().call(&call).await {
            // The response to an earlier try was lost, and that try deleted the stream.
            Ok(_) | Err((Error::NotFound(_) | Error::Gone(_), true)) => Ok(()),
            Err((error, _)) => Err(error),
        }
    }

    /// Reads the stream page by page, up to its present tail.
    #[must_use]
    pub fn read(&self, start: Start) -> Pages {
        Pages::new(self.clone(), start)
    }

    /// Follows the stream until it is closed: its data from `start` on, then each append.
    #[must_use]
    pub fn follow(&self, start: Start, options: FollowOptions) -> Follow {
        Follow::new(self.clone(), start, options)
    }

    /// An idempotent producer of this stream.
    ///
    /// # Errors
    ///
    /// The errors of [`Stream::head`], which asks for the content type if the options have none.
    pub async fn producer(&self, options: ProducerOptions) -> Result<Producer, Error> {
        Producer::open(self.clone(), options).await
    }

    /// The client that this handle came from.
    #[must_use]
    pub fn client(&self) -> Client {
        Client {
            shared: Arc::clone(&self.shared),
        }
    }
}

/// Reads the response to an append or a close.
pub(crate) fn appended(call: &Call, reply: &http::Reply) -> Result<Appended, Error> {
    let next_offset = http::offset(&reply.headers);
    Ok(Appended {
        next_offset: next_offset
            .ok_or_else(|| call.protocol_error("Stream-Next-Offset is missing"))?,
        closed: http::closed(&reply.headers),
    })
}
