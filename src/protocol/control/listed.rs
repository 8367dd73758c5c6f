//! Response bodies of the calls that list and describe.

use super::WebhookDocument;
use serde::Serialize;
use serde_json::value::RawValue;

/// A page of streams. Its entries are encoded already: their size limits the page.
#[derive(Debug, Serialize)]
pub(crate) struct StreamsDocument {
    /// The streams, each a [`ListedStream`] or a [`DamagedStream`].
    pub streams: Vec<Box<RawValue>>,
    /// The cursor of the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ListedStream {
    /// The name.
    pub name: String,
    /// The content type that the creator gave.
    pub content_type: String,
    /// The time of creation, in RFC 3339 form.
    pub created_at: String,
    /// The time of the last write, in RFC 3339 form. Unknown for a stream with a TTL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_write_at: Option<String>,
    /// The last write or read that counts for the TTL, in RFC 3339 form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<String>,
    /// The offset of the tail.
    pub next_offset: String,
    /// Bytes in the stream; for a fork, without the chunks that it shares.
    pub bytes: u64,
    /// Whether the stream is closed.
    pub closed: bool,
    /// Why the stream was closed, if the close said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_reason: Option<String>,
    /// The length of the writer's lease, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_secs: Option<u64>,
    /// Seconds until the writer's lease ends; 0 if it has ended, but the stream is not closed yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_remaining_secs: Option<u64>,
    /// The TTL in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_secs: Option<u64>,
    /// The time at which the stream expires, in RFC 3339 form; with a TTL, unless it is used before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// The source of a fork, if the caller's prefix covers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<String>,
    /// The offset at which a fork leaves its source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fork_offset: Option<String>,
    /// Number of forks of the stream.
    pub forks: u64,
}

/// A stream whose record is damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct DamagedStream<'a> {
    /// The name.
    pub name: &'a str,
    /// Always true.
    pub damaged: bool,
}

/// A stream with its producers and forks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct StreamDescription {
    /// The entry of the stream in a list.
    #[serde(flatten)]
    pub stream: ListedStream,
    /// The append that closed the stream, if a producer sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_by: Option<MarkDocument>,
    /// The producers that the stream remembers.
    pub producers: Vec<ProducerDocument>,
    /// Forks that are being created or deleted.
    pub forks_under_way: Vec<ForkDocument>,
}

/// A producer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ProducerDocument {
    /// First 128 bits of the SHA-256 of the producer's id, in hexadecimal. The id is not stored.
    pub id_hash: String,
    /// The session of the producer.
    pub epoch: u64,
    /// The number of its last append.
    pub seq: u64,
    /// The time of its last append, in RFC 3339 form.
    pub last_used_at: String,
}

/// One append of a producer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct MarkDocument {
    /// The producer, as in [`ProducerDocument`].
    pub id_hash: String,
    /// The session of the producer.
    pub epoch: u64,
    /// The number of the append.
    pub seq: u64,
}

/// A fork that is being created or deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ForkDocument {
    /// The fork's life, in hexadecimal. The source does not know the fork's name.
    pub life: String,
    /// `joining`, `joined` or `leaving`.
    pub step: &'static str,
}

/// A page of subscriptions.
#[derive(Debug, Serialize)]
pub(crate) struct SubscriptionsDocument {
    /// The subscriptions, each a [`ListedSubscription`].
    pub subscriptions: Vec<Box<RawValue>>,
    /// The cursor of the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ListedSubscription<'a> {
    /// The id that the creator gave.
    pub id: &'a str,
    /// The prefix of the creator's token.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub prefix: &'a str,
    /// `webhook` or `pull-wake`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The pattern of the names that it subscribes to.
    pub pattern: Option<&'a str>,
    /// Number of linked streams.
    pub streams: usize,
    /// The receiver of the wakes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookDocument>,
    /// The stream that receives the wakes.
    pub wake_stream: Option<&'a str>,
    /// `idle`, `waking` or `held`. Unless it is idle, there is or was pending work.
    pub phase: &'static str,
    /// The generation of the last wake.
    pub generation: u64,
    /// The worker that has the lease.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<&'a str>,
    /// The end of the lease, in RFC 3339 form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_ends_at: Option<String>,
    /// The time of the next delivery, in RFC 3339 form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_delivery_at: Option<String>,
    /// `active` or `failed`.
    pub status: &'static str,
    /// Failed deliveries since the last successful one.
    pub failures: u32,
    /// How long a worker may be silent, in milliseconds.
    pub lease_ttl_ms: u64,
    /// The time of creation, in RFC 3339 form.
    pub created_at: String,
    /// The description that the creator gave.
    pub description: Option<&'a str>,
}

/// The server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ServerDocument {
    /// The name of the software.
    pub server: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The version of the specification that it implements.
    pub protocol: &'static str,
    /// Additions to the specification.
    pub extensions: &'static [&'static str],
    /// Whether requests need a token.
    pub access_control: bool,
    /// Whether streams can be listed.
    pub registry: bool,
    /// The timeline of the store.
    pub timeline: u64,
    /// The limits of requests and streams.
    pub limits: LimitsDocument,
}

/// Limits that a client can meet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LimitsDocument {
    /// Largest body of an append.
    pub max_append_bytes: usize,
    /// Largest stream; absent if there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_stream_bytes: Option<u64>,
    /// Bytes after which a page of a read ends.
    pub page_bytes: u64,
    /// Longest name.
    pub max_name_bytes: usize,
    /// Most segments of a name.
    pub max_name_segments: usize,
    /// Longest path and query.
    pub max_target_bytes: usize,
    /// Largest header section.
    pub max_header_bytes: usize,
    /// Longest content type, `Stream-Seq` and producer id.
    pub max_field_bytes: usize,
    /// Levels of arrays and objects in a JSON body.
    pub max_json_depth: u64,
    /// Producers that a stream remembers.
    pub max_producers: usize,
    /// Idle time after which a producer may be forgotten, in seconds.
    pub producer_idle_secs: u64,
    /// Sources between a fork and a stream that is no fork.
    pub max_fork_depth: u64,
    /// Streams that one subscription is linked to.
    pub max_subscription_streams: usize,
    /// How long a long-poll waits, in seconds.
    pub long_poll_timeout_secs: u64,
    /// Age at which an SSE response ends, in seconds.
    pub sse_max_secs: u64,
    /// Entries of a page of a list, unless `limit` says otherwise.
    pub list_default: usize,
    /// Largest `limit` of a list.
    pub list_max: usize,
    /// Shortest lease of a writer, in seconds.
    pub lease_min_secs: u64,
    /// Longest lease of a writer, in seconds.
    pub lease_max_secs: u64,
    /// Time between the end of a lease and its lapse, in milliseconds.
    pub lease_skew_ms: u64,
    /// Most messages of a read near the tail.
    pub tail_max_messages: u64,
    /// Most bytes of a read near the tail.
    pub tail_max_bytes: u64,
}
