//! Creation of streams and forks.

use crate::http::Call;
use crate::{Error, Offset, headers};
use bytes::Bytes;

/// Expiry of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expiry {
    /// So many seconds after the last read or write.
    Ttl(u64),
    /// At this time, in the form of RFC 3339.
    At(String),
}

/// Options of a creation. A server takes a repeated creation with the same options as a success.
#[derive(Debug, Clone, Default)]
pub struct CreateOptions {
    /// Content type. A fork inherits its source's; a server may have a default for other streams.
    pub content_type: Option<String>,
    /// Expiry of the stream.
    pub expiry: Option<Expiry>,
    /// Length of the writer's lease in seconds: the extension `leases`. A server without it ignores
    /// the option, and answers without `lease_secs`.
    pub lease_secs: Option<u32>,
    /// First data.
    pub data: Bytes,
    /// Whether the stream is closed from the start.
    pub is_closed: bool,
    /// Reason of the close: the extension `close-reasons`. A server without it ignores the option.
    pub closed_reason: Option<String>,
}

impl CreateOptions {
    /// Options with only a content type.
    #[must_use]
    pub fn of_type(content_type: impl Into<String>) -> Self {
        Self {
            content_type: Some(content_type.into()),
            ..Self::default()
        }
    }

    /// Adds the options to a request.
    pub(crate) fn apply(&self, call: Call) -> Result<Call, Error> {
        let (ttl, expires_at) = match &self.expiry {
            Some(Expiry::Ttl(seconds)) => (Some(seconds), None),
            Some(Expiry::At(time)) => (None, Some(time)),
            None => (None, None),
        };
        let mut call = call
            .with_some(CONTENT_TYPE_FIELD, self.content_type.as_ref())?
            .with_some(headers::STREAM_TTL, ttl)?
            .with_some(headers::STREAM_EXPIRES_AT, expires_at)?
            .with_some(headers::STREAM_LEASE, self.lease_secs)?
            .with_some(headers::STREAM_CLOSED, self.is_closed.then_some(true))?
            .with_some(headers::STREAM_CLOSED_REASON, self.closed_reason.as_ref())?;
        call.body = (!self.data.is_empty()).then(|| self.data.clone());
        Ok(call)
    }
}

/// Name of `Content-Type`.
const CONTENT_TYPE_FIELD: &str = "content-type";

/// Place where a fork leaves its source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ForkPoint {
    /// Offset in the source, as the server gave it. The default is the source's tail.
    pub offset: Option<Offset>,
    /// Messages of a JSON stream, or bytes of another stream, past the offset.
    pub sub_offset: u64,
}
