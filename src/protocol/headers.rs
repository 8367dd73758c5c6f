//! Every header field name the server reads or writes, in lower case, and the lists for CORS.

/// Sliding lifetime in seconds (section 5.1).
pub(crate) const STREAM_TTL: &str = "stream-ttl";
/// Time at which a stream expires, RFC 3339 (section 5.1).
pub(crate) const STREAM_EXPIRES_AT: &str = "stream-expires-at";
/// `true` if a stream is or shall be closed (section 4.1).
pub const STREAM_CLOSED: &str = "stream-closed";
/// Why a stream is or shall be closed; an extension.
pub(crate) const STREAM_CLOSED_REASON: &str = "stream-closed-reason";
/// Length of the writer's lease in seconds; an extension.
pub(crate) const STREAM_LEASE: &str = "stream-lease";
/// Seconds until the writer's lease ends; an extension.
pub(crate) const STREAM_LEASE_REMAINING: &str = "stream-lease-remaining";
/// Writer's own sequence, compared byte by byte (section 5.2).
pub(crate) const STREAM_SEQ: &str = "stream-seq";
/// Offset to continue from (section 5.6).
pub(crate) const STREAM_NEXT_OFFSET: &str = "stream-next-offset";
/// `true` if the response reaches the tail; absent otherwise (section 5.6).
pub(crate) const STREAM_UP_TO_DATE: &str = "stream-up-to-date";
/// Cursor to echo in the next live read (section 10.1).
pub const STREAM_CURSOR: &str = "stream-cursor";
/// `base64` if SSE data events are encoded (section 5.8).
pub(crate) const STREAM_SSE_DATA_ENCODING: &str = "stream-sse-data-encoding";
/// Source of a fork (section 4.2).
pub(crate) const STREAM_FORKED_FROM: &str = "stream-forked-from";
/// Offset at which a fork leaves its source (section 4.2).
pub(crate) const STREAM_FORK_OFFSET: &str = "stream-fork-offset";
/// Bytes or messages after the fork offset (section 4.2).
pub(crate) const STREAM_FORK_SUB_OFFSET: &str = "stream-fork-sub-offset";

/// Name of an idempotent producer (section 5.2.1).
pub(crate) const PRODUCER_ID: &str = "producer-id";
/// Session of an idempotent producer (section 5.2.1).
pub(crate) const PRODUCER_EPOCH: &str = "producer-epoch";
/// Number of an append in its session (section 5.2.1).
pub(crate) const PRODUCER_SEQ: &str = "producer-seq";
/// On a gap, the number that was expected (section 5.2.1).
pub(crate) const PRODUCER_EXPECTED_SEQ: &str = "producer-expected-seq";
/// On a gap, the number that was received (section 5.2.1).
pub(crate) const PRODUCER_RECEIVED_SEQ: &str = "producer-received-seq";

/// Token of the calls that only operators may make. A host adds it, and takes it from requests of
/// clients.
pub const ADMIN_TOKEN: &str = "ds-admin-token";

/// Content codings that a body may have, with a 415.
pub(crate) const ACCEPT_ENCODING: &str = "accept-encoding";
/// Methods of a resource, with a 405.
pub(crate) const ALLOW: &str = "allow";
/// Credentials.
pub const AUTHORIZATION: &str = "authorization";
/// Directives for caches.
pub const CACHE_CONTROL: &str = "cache-control";
/// Content coding of the body.
pub(crate) const CONTENT_ENCODING: &str = "content-encoding";
/// Length of the body.
pub const CONTENT_LENGTH: &str = "content-length";
/// Media type of the body.
pub const CONTENT_TYPE: &str = "content-type";
/// Sites that may embed the response.
pub(crate) const CROSS_ORIGIN_RESOURCE_POLICY: &str = "cross-origin-resource-policy";
/// Validator of a response.
pub(crate) const ETAG: &str = "etag";
/// The tail that a conditional append expects; an extension.
pub(crate) const IF_MATCH: &str = "if-match";
/// Validators the client has.
pub(crate) const IF_NONE_MATCH: &str = "if-none-match";
/// Address of the created resource.
pub const LOCATION: &str = "location";
/// Site a browser calls from.
pub const ORIGIN: &str = "origin";
/// Seconds after which to try again.
pub const RETRY_AFTER: &str = "retry-after";
/// Request fields that the response depends on.
pub const VARY: &str = "vary";
/// Signature of a webhook request (section 7.1).
pub(crate) const WEBHOOK_SIGNATURE: &str = "webhook-signature";
/// How to authenticate.
pub(crate) const WWW_AUTHENTICATE: &str = "www-authenticate";
/// Forbids browsers to guess the media type.
pub(crate) const X_CONTENT_TYPE_OPTIONS: &str = "x-content-type-options";

/// Origins that may read the response in a browser.
pub(crate) const ACCESS_CONTROL_ALLOW_ORIGIN: &str = "access-control-allow-origin";
/// Methods a browser may use.
pub(crate) const ACCESS_CONTROL_ALLOW_METHODS: &str = "access-control-allow-methods";
/// Request fields a browser may send.
pub(crate) const ACCESS_CONTROL_ALLOW_HEADERS: &str = "access-control-allow-headers";
/// Response fields a browser's script may read.
pub(crate) const ACCESS_CONTROL_EXPOSE_HEADERS: &str = "access-control-expose-headers";
/// Request fields that a browser's script wants to send.
pub(crate) const ACCESS_CONTROL_REQUEST_HEADERS: &str = "access-control-request-headers";
/// Restricts the content of a page in a browser.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "content-security-policy";
/// Tells nginx not to buffer a body.
pub(crate) const X_ACCEL_BUFFERING: &str = "x-accel-buffering";
/// Seconds for which a browser may cache a preflight's response.
pub(crate) const ACCESS_CONTROL_MAX_AGE: &str = "access-control-max-age";

/// Request fields that scripts may send. `*` would not cover `authorization`.
pub(crate) const CORS_ALLOWED: &[&str] = &[
    AUTHORIZATION,
    CONTENT_TYPE,
    IF_MATCH,
    IF_NONE_MATCH,
    PRODUCER_EPOCH,
    PRODUCER_ID,
    PRODUCER_SEQ,
    STREAM_CLOSED,
    STREAM_CLOSED_REASON,
    STREAM_EXPIRES_AT,
    STREAM_FORK_OFFSET,
    STREAM_FORK_SUB_OFFSET,
    STREAM_FORKED_FROM,
    STREAM_LEASE,
    STREAM_SEQ,
    STREAM_TTL,
];

/// Response fields that scripts may read, beyond the fields that browsers always show.
pub(crate) const CORS_EXPOSED: &[&str] = &[
    ETAG,
    LOCATION,
    PRODUCER_EPOCH,
    PRODUCER_EXPECTED_SEQ,
    PRODUCER_RECEIVED_SEQ,
    PRODUCER_SEQ,
    RETRY_AFTER,
    STREAM_CLOSED,
    STREAM_CLOSED_REASON,
    STREAM_CURSOR,
    STREAM_EXPIRES_AT,
    STREAM_LEASE,
    STREAM_LEASE_REMAINING,
    STREAM_NEXT_OFFSET,
    STREAM_SSE_DATA_ENCODING,
    STREAM_TTL,
    STREAM_UP_TO_DATE,
    WWW_AUTHENTICATE,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_lower_case_and_without_repetition() {
        for list in [CORS_ALLOWED, CORS_EXPOSED] {
            let plain = |name: &&str| {
                name.bytes()
                    .all(|byte| byte == b'-' || byte.is_ascii_lowercase())
            };
            assert!(list.iter().all(plain));
            assert!(list.windows(2).all(|pair| pair[0] < pair[1]), "{list:?}");
        }
    }
}
