//! Descriptions of streams in header fields.

use crate::http::{self, Call, Reply};
use crate::{Closed, Error, Format, Offset, headers};
use reqwest::header::HeaderMap;
use serde::Serialize;

/// Description of a stream, as `HEAD` and creation give it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Metadata {
    /// Content type of the stream.
    pub content_type: String,
    /// Tail of the stream.
    pub next_offset: Offset,
    /// Whether the stream is closed.
    pub closed: bool,
    /// Reason of the close, where the server has the extension `close-reasons`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_reason: Option<String>,
    /// Sliding time to live, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_secs: Option<u64>,
    /// Absolute expiry, in the form of RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Length of the writer's lease in seconds, where the server has the extension `leases`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_secs: Option<u64>,
    /// Seconds until the lease ends, rounded up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_remaining_secs: Option<u64>,
}

impl Metadata {
    /// Reads the header fields of a response.
    pub(crate) fn of(call: &Call, reply: &Reply) -> Result<Self, Error> {
        let fields = &reply.headers;
        let next_offset = http::offset(fields);
        let closed = http::closed(fields);
        Ok(Self {
            content_type: http::content_type(fields).unwrap_or_default().to_owned(),
            next_offset: next_offset
                .ok_or_else(|| call.protocol_error("Stream-Next-Offset is missing"))?,
            closed: closed.is_some(),
            closed_reason: closed.and_then(|closed| closed.reason),
            ttl_secs: http::number(fields, headers::STREAM_TTL),
            expires_at: owned(fields, headers::STREAM_EXPIRES_AT),
            lease_secs: http::number(fields, headers::STREAM_LEASE),
            lease_remaining_secs: http::number(fields, headers::STREAM_LEASE_REMAINING),
        })
    }

    /// Form of the stream's data.
    #[must_use]
    pub fn format(&self) -> Format {
        Format::of(&self.content_type)
    }

    /// The close, if the stream is closed.
    #[must_use]
    pub fn close(&self) -> Option<Closed> {
        self.closed.then(|| Closed {
            reason: self.closed_reason.clone(),
        })
    }
}

fn owned(fields: &HeaderMap, name: &str) -> Option<String> {
    http::text(fields, name).map(str::to_owned)
}
