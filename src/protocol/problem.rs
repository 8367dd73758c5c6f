//! Problem documents (RFC 9457), each with a stable code: all error responses except those of
//! control calls in `control/refused.rs`.

use super::headers;
use serde::Serialize;

/// The kind of a problem; each has one row in the table `Code::row`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// A header field, a query parameter or their combination is invalid.
    BadRequest,
    /// The path names no stream.
    InvalidStreamName,
    /// The offset is malformed, or lies within no segment.
    InvalidOffset,
    /// The body of a JSON stream is not JSON.
    InvalidJson,
    /// An append without bytes that closes nothing.
    EmptyBody,
    /// An append of `[]`.
    EmptyArray,
    /// A token is missing or wrong.
    Unauthorized,
    /// A callback or claim token is not of this server, or is for another subscription.
    TokenInvalid,
    /// A callback or claim token has expired.
    TokenExpired,
    /// The token is valid, but does not allow the operation.
    InsufficientScope,
    /// A newer session of this producer exists.
    ProducerEpochFenced,
    /// The stream does not exist.
    NotFound,
    /// The path does not exist.
    RouteNotFound,
    /// The path does not support the method. The response has an `allow` field.
    MethodNotAllowed,
    /// The stream exists with other properties.
    AlreadyExists,
    /// The stream is deleted, and keeps its name while forks need its bytes.
    PathBlocked,
    /// The source of a fork is deleted, and is kept only for its existing forks.
    ForkFromTombstone,
    /// The source of a fork already has as many sources in a row as a fork may have.
    ForkTooDeep,
    /// The given content type differs from that of the stream or of the fork's source.
    ContentTypeMismatch,
    /// The stream is closed.
    StreamClosed,
    /// A gap in a producer's numbers, or a `Stream-Seq` that does not grow.
    SequenceConflict,
    /// The tail is not the offset that a conditional append expects.
    PreconditionFailed,
    /// The stream is deleted, but forks still need its bytes.
    Gone,
    /// The offset belongs to a deleted stream with the same name.
    OffsetGone,
    /// The body arrived too slowly. Only the host detects it.
    RequestTimeout,
    /// The body is larger than an append may be.
    PayloadTooLarge,
    /// The stream would grow past its limit.
    StreamFull,
    /// The request target is too long.
    TargetTooLong,
    /// The body is encoded, as `Content-Encoding` says.
    UnsupportedContentEncoding,
    /// The request names a host that the listener does not serve. Only the host detects it.
    Misdirected,
    /// The stream has the largest number of producers, and all of them are active.
    TooManyProducers,
    /// A token, an address or a prefix of names has more requests or live readers than it may, which
    /// the host detects, or keys were rotated too often.
    TooManyRequests,
    /// The header section is too large.
    HeadersTooLarge,
    /// The server failed; the reason is in the log.
    Internal,
    /// Stored bytes are not as they were written. Repeating the request does not help.
    StorageDamaged,
    /// The body has a transfer coding that the server does not decode. Only the host detects it.
    UnsupportedTransferEncoding,
    /// Nothing was applied; the client may retry.
    Unavailable,
    /// There was no room to buffer the body. Nothing was applied; the client may retry.
    Overloaded,
    /// The request may or may not have been applied. A blind retry may apply it twice.
    OutcomeUnknown,
    /// A variable of the server is malformed; only its log says which.
    Misconfigured,
    /// The store is full, or a prefix of names has the streams or bytes that it may have, which the host
    /// detects.
    InsufficientStorage,
}

/// The challenge to a request without a token (RFC 6750, section 3).
const CHALLENGE: &str = "Bearer realm=\"durable-streams\"";

struct Row {
    status: u16,
    kind: &'static str,
    title: &'static str,
    code: &'static str,
}

const fn row(status: u16, kind: &'static str, title: &'static str, code: &'static str) -> Row {
    Row {
        status,
        kind,
        title,
        code,
    }
}

impl Code {
    #[rustfmt::skip]
    const fn row(self) -> Row {
        match self {
            Self::BadRequest => row(400, "/errors/bad-request", "Bad Request", "BAD_REQUEST"),
            Self::InvalidStreamName => row(400, "/errors/invalid-stream-name", "Invalid Stream Name", "INVALID_STREAM_NAME"),
            Self::InvalidOffset => row(400, "/errors/invalid-offset", "Invalid Offset", "INVALID_OFFSET"),
            Self::InvalidJson => row(400, "/errors/invalid-json", "Invalid JSON", "INVALID_JSON"),
            Self::EmptyBody => row(400, "/errors/empty-body", "Empty Body", "EMPTY_BODY"),
            Self::EmptyArray => row(400, "/errors/empty-array", "Empty Array", "EMPTY_ARRAY"),
            Self::Unauthorized => row(401, "/errors/unauthorized", "Unauthorized", "UNAUTHORIZED"),
            Self::TokenInvalid => row(401, "/errors/token-invalid", "Token Invalid", "TOKEN_INVALID"),
            Self::TokenExpired => row(401, "/errors/token-expired", "Token Expired", "TOKEN_EXPIRED"),
            Self::InsufficientScope => row(403, "/errors/insufficient-scope", "Insufficient Scope", "INSUFFICIENT_SCOPE"),
            Self::ProducerEpochFenced => row(403, "/errors/producer-epoch-fenced", "Producer Epoch Fenced", "PRODUCER_EPOCH_FENCED"),
            Self::NotFound => row(404, "/errors/not-found", "Stream Not Found", "NOT_FOUND"),
            Self::RouteNotFound => row(404, "/errors/route-not-found", "Route Not Found", "ROUTE_NOT_FOUND"),
            Self::MethodNotAllowed => row(405, "/errors/method-not-allowed", "Method Not Allowed", "METHOD_NOT_ALLOWED"),
            Self::AlreadyExists => row(409, "/errors/already-exists", "Stream Already Exists", "ALREADY_EXISTS"),
            Self::PathBlocked => row(409, "/errors/path-blocked", "Stream Path Blocked", "PATH_BLOCKED"),
            Self::ForkFromTombstone => row(409, "/errors/fork-from-tombstone", "Fork From Deleted Stream", "FORK_FROM_TOMBSTONE"),
            Self::ForkTooDeep => row(409, "/errors/fork-too-deep", "Fork Too Deep", "FORK_TOO_DEEP"),
            Self::ContentTypeMismatch => row(409, "/errors/content-type-mismatch", "Content Type Mismatch", "CONTENT_TYPE_MISMATCH"),
            Self::StreamClosed => row(409, "/errors/stream-closed", "Stream Closed", "STREAM_CLOSED"),
            Self::SequenceConflict => row(409, "/errors/sequence-conflict", "Sequence Conflict", "SEQUENCE_CONFLICT"),
            Self::Gone => row(410, "/errors/gone", "Stream Gone", "GONE"),
            Self::OffsetGone => row(410, "/errors/offset-gone", "Offset Gone", "OFFSET_GONE"),
            Self::PreconditionFailed => row(412, "/errors/precondition-failed", "Precondition Failed", "PRECONDITION_FAILED"),
            Self::PayloadTooLarge => row(413, "/errors/payload-too-large", "Payload Too Large", "PAYLOAD_TOO_LARGE"),
            Self::StreamFull => row(413, "/errors/stream-full", "Stream Full", "STREAM_FULL"),
            Self::TargetTooLong => row(414, "/errors/target-too-long", "Target Too Long", "TARGET_TOO_LONG"),
            Self::UnsupportedContentEncoding => row(415, "/errors/unsupported-content-encoding", "Unsupported Content Encoding", "UNSUPPORTED_CONTENT_ENCODING"),
            Self::Misdirected => row(421, "/errors/misdirected-request", "Misdirected Request", "MISDIRECTED_REQUEST"),
            Self::TooManyProducers => row(429, "/errors/too-many-producers", "Too Many Producers", "TOO_MANY_PRODUCERS"),
            Self::RequestTimeout => row(408, "/errors/request-timeout", "Request Timeout", "REQUEST_TIMEOUT"),
            Self::TooManyRequests => row(429, "/errors/too-many-requests", "Too Many Requests", "TOO_MANY_REQUESTS"),
            Self::HeadersTooLarge => row(431, "/errors/headers-too-large", "Headers Too Large", "HEADERS_TOO_LARGE"),
            Self::Internal => row(500, "/errors/internal", "Internal Server Error", "INTERNAL_ERROR"),
            Self::StorageDamaged => row(500, "/errors/storage-damaged", "Storage Damaged", "STORAGE_DAMAGED"),
            Self::UnsupportedTransferEncoding => row(501, "/errors/unsupported-transfer-encoding", "Unsupported Transfer Encoding", "UNSUPPORTED_TRANSFER_ENCODING"),
            Self::Unavailable => row(503, "/errors/unavailable", "Service Unavailable", "UNAVAILABLE"),
            Self::Overloaded => row(503, "/errors/overloaded", "Server Overloaded", "OVERLOADED"),
            Self::OutcomeUnknown => row(503, "/errors/outcome-unknown", "Outcome Unknown", "OUTCOME_UNKNOWN"),
            Self::Misconfigured => row(503, "/errors/misconfigured", "Server Misconfigured", "MISCONFIGURED"),
            Self::InsufficientStorage => row(507, "/errors/insufficient-storage", "Insufficient Storage", "INSUFFICIENT_STORAGE"),
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.row().status
    }

    /// The stable code, as in the document and in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.row().code
    }
}

/// An error response: a code, an explanation, and header fields beyond the usual ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", code.as_str())]
pub struct Problem {
    /// The kind of the problem.
    pub code: Code,
    /// An explanation for people, and the next action.
    pub detail: String,
    /// Additional header fields.
    pub fields: Vec<(&'static str, String)>,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
}

impl Problem {
    /// Creates a problem with the fields that its code always has: `retry-after` if the client may
    /// soon retry, `www-authenticate` if the request needs a token.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let fields = match code {
            Code::Unavailable | Code::Overloaded => vec![(headers::RETRY_AFTER, "1".to_owned())],
            Code::Unauthorized | Code::TokenInvalid | Code::TokenExpired => {
                vec![(headers::WWW_AUTHENTICATE, CHALLENGE.to_owned())]
            }
            _ => Vec::new(),
        };
        Self {
            code,
            detail,
            fields,
        }
    }

    /// Adds the attributes of a challenge (RFC 6750, section 3), such as `error="invalid_token"`.
    #[must_use]
    pub fn with_challenge(mut self, attributes: &str) -> Self {
        let bare = |(name, _): &(&str, String)| *name != headers::WWW_AUTHENTICATE;
        self.fields.retain(bare);
        self.with_field(
            headers::WWW_AUTHENTICATE,
            format!("{CHALLENGE}, {attributes}"),
        )
    }

    /// Creates the problem for a request that was not applied; the client may retry.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::new(
            Code::Unavailable,
            "The server can't complete the request now. Nothing was applied; try again.",
        )
    }

    /// Creates the problem for a full store.
    #[must_use]
    pub fn insufficient_storage() -> Self {
        Self::new(
            Code::InsufficientStorage,
            "The store is full. Nothing was applied; try again once there is room.",
        )
    }

    /// Creates the problem for a request that may or may not have been applied.
    #[must_use]
    pub fn outcome_unknown() -> Self {
        Self::new(
            Code::OutcomeUnknown,
            "It is unknown whether the request was applied. An append with a producer can be \
             repeated unchanged. Before you repeat any other request, read the stream.",
        )
    }

    /// Creates the problem for stored bytes that are damaged.
    #[must_use]
    pub fn storage_damaged() -> Self {
        Self::new(
            Code::StorageDamaged,
            "Stored bytes of this stream are damaged. Trying again does not help; the operator of \
             the server must restore them.",
        )
    }

    /// Creates the problem for a failed server. Only the log has the reason.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(Code::Internal, "The server failed. Its log says why.")
    }

    /// Creates the problem for invalid variables or an unsuitable store. Only the log has the
    /// details, because any client can see the response.
    #[must_use]
    pub fn misconfigured() -> Self {
        Self::new(
            Code::Misconfigured,
            "The server is misconfigured. Its log says how.",
        )
    }

    /// Adds one more header field.
    #[must_use]
    pub fn with_field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.code.status()
    }

    /// Encodes the document. `instance` is the path of the request.
    #[must_use]
    pub fn body(&self, instance: Option<&str>) -> Vec<u8> {
        let Row {
            status,
            kind,
            title,
            code,
        } = self.code.row();
        let detail = &self.detail;
        let document = Document {
            kind,
            title,
            status,
            code,
            detail,
            instance,
        };
        // Strings and a number always serialize.
        serde_json::to_vec(&document).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::collections::HashSet;

    const ALL: &[Code] = &[
        Code::BadRequest,
        Code::InvalidStreamName,
        Code::InvalidOffset,
        Code::InvalidJson,
        Code::EmptyBody,
        Code::EmptyArray,
        Code::Unauthorized,
        Code::TokenInvalid,
        Code::TokenExpired,
        Code::InsufficientScope,
        Code::ProducerEpochFenced,
        Code::NotFound,
        Code::RouteNotFound,
        Code::MethodNotAllowed,
        Code::AlreadyExists,
        Code::PathBlocked,
        Code::ForkFromTombstone,
        Code::ForkTooDeep,
        Code::ContentTypeMismatch,
        Code::StreamClosed,
        Code::SequenceConflict,
        Code::PreconditionFailed,
        Code::Gone,
        Code::OffsetGone,
        Code::RequestTimeout,
        Code::PayloadTooLarge,
        Code::StreamFull,
        Code::TargetTooLong,
        Code::UnsupportedContentEncoding,
        Code::Misdirected,
        Code::TooManyProducers,
        Code::TooManyRequests,
        Code::HeadersTooLarge,
        Code::Internal,
        Code::UnsupportedTransferEncoding,
        Code::Unavailable,
        Code::Overloaded,
        Code::OutcomeUnknown,
        Code::Misconfigured,
        Code::InsufficientStorage,
    ];

    #[test]
    fn every_code_has_a_type_and_a_code_of_its_own() {
        let kinds: HashSet<_> = ALL.iter().map(|code| code.row().kind).collect();
        let codes: HashSet<_> = ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!((kinds.len(), codes.len()), (ALL.len(), ALL.len()));
        for code in ALL {
            let row = code.row();
            let slug = row.kind.strip_prefix("/errors/").unwrap();
            assert!(
                slug.bytes()
                    .all(|byte| byte == b'-' || byte.is_ascii_lowercase())
            );
            assert!((400..600).contains(&row.status), "{code:?}");
        }
    }

    #[test]
    fn a_code_that_asks_to_retry_promises_that_nothing_was_applied() {
        for code in ALL {
            let problem = Problem::new(*code, "");
            let retry = problem
                .fields
                .iter()
                .any(|(name, _)| *name == headers::RETRY_AFTER);
            let harmless = matches!(code, Code::Unavailable | Code::Overloaded);
            assert_eq!(retry, harmless, "{code:?}");
        }
        let unauthorized = Problem::new(Code::Unauthorized, "");
        assert_eq!(
            unauthorized.fields,
            [("www-authenticate", CHALLENGE.to_owned())]
        );
        let invalid = unauthorized.with_challenge("error=\"invalid_token\"");
        let expected = "Bearer realm=\"durable-streams\", error=\"invalid_token\"";
        assert_eq!(invalid.fields, [("www-authenticate", expected.to_owned())]);
    }

    #[test]
    fn a_document_has_the_members_of_rfc_9457() {
        let problem = Problem::new(Code::NotFound, "No \"x\"\n").with_field("a", "b");
        let body: Value = serde_json::from_slice(&problem.body(Some("/v1/stream/x"))).unwrap();
        let mut expected = json!({
            "type": "/errors/not-found",
            "title": "Stream Not Found",
            "status": 404,
            "code": "NOT_FOUND",
            "detail": "No \"x\"\n",
            "instance": "/v1/stream/x",
        });
        assert_eq!(body, expected);
        let body: Value = serde_json::from_slice(&problem.body(None)).unwrap();
        expected.as_object_mut().unwrap().remove("instance");
        assert_eq!(body, expected);
        assert_eq!(problem.to_string(), "NOT_FOUND: No \"x\"\n");
        assert_eq!(problem.fields, [("a", "b".to_owned())]);
    }
}
