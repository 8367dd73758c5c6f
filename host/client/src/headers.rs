//! Names of the protocol's header fields and query parameters.

pub(crate) const STREAM_CLOSED: &str = "stream-closed";
pub(crate) const STREAM_CLOSED_REASON: &str = "stream-closed-reason";
pub(crate) const STREAM_CURSOR: &str = "stream-cursor";
pub(crate) const STREAM_EXPIRES_AT: &str = "stream-expires-at";
pub(crate) const STREAM_FORKED_FROM: &str = "stream-forked-from";
pub(crate) const STREAM_FORK_OFFSET: &str = "stream-fork-offset";
pub(crate) const STREAM_FORK_SUB_OFFSET: &str = "stream-fork-sub-offset";
pub(crate) const STREAM_LEASE: &str = "stream-lease";
pub(crate) const STREAM_LEASE_REMAINING: &str = "stream-lease-remaining";
pub(crate) const STREAM_NEXT_OFFSET: &str = "stream-next-offset";
pub(crate) const STREAM_SEQ: &str = "stream-seq";
pub(crate) const STREAM_SSE_DATA_ENCODING: &str = "stream-sse-data-encoding";
pub(crate) const STREAM_TTL: &str = "stream-ttl";
pub(crate) const STREAM_UP_TO_DATE: &str = "stream-up-to-date";

pub(crate) const PRODUCER_ID: &str = "producer-id";
pub(crate) const PRODUCER_EPOCH: &str = "producer-epoch";
pub(crate) const PRODUCER_SEQ: &str = "producer-seq";
pub(crate) const PRODUCER_EXPECTED_SEQ: &str = "producer-expected-seq";
pub(crate) const PRODUCER_RECEIVED_SEQ: &str = "producer-received-seq";

/// Query parameters. Requests name them in this order, the order of their names, so that caches see
/// one URL for one page.
pub(crate) mod query {
    pub(crate) const CURSOR: &str = "cursor";
    pub(crate) const LIVE: &str = "live";
    pub(crate) const OFFSET: &str = "offset";
    pub(crate) const TAIL: &str = "tail";
}
