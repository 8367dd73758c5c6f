//! The table of variables: name, default, range, reason.

use super::caps::{MAX_TIMELINE, SIGNING_KEYS};
use super::variable::{Kind, Malformed, Secret, Variable, parse_number};

/// Severities of log lines, the most severe first.
pub(crate) const LOG_LEVELS: [&str; 4] = ["error", "warn", "info", "debug"];

/// Whether a line of `level` is written where `log_level` is `least`.
#[must_use]
pub fn is_logged(level: &str, least: &str) -> bool {
    let rank = |name: &str| LOG_LEVELS.iter().position(|level| *level == name);
    rank(level) <= rank(least)
}

macro_rules! variables {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:literal, $kind:expr, $read:expr;)+) => {
        /// Every variable there is.
        pub const VARIABLES: &[Variable] = &[$(Variable {
            name: stringify!($name),
            default: $default,
            kind: $kind,
            reason: concat!($($doc),+),
        }),+];

        /// The variables, read and judged.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Config {
            $($(#[doc = $doc])+ pub $name: $type,)+
        }

        impl Default for Config {
            fn default() -> Self {
                Self {
                    $($name: {
                        let read: fn(&str) -> $type = $read;
                        read($default)
                    },)+
                }
            }
        }

        impl Config {
            /// Reads every variable through `lookup`, taking the default of an absent one.
            ///
            /// # Errors
            ///
            /// The first variable, in the order of the table, that is malformed.
            pub fn from_lookup(
                mut lookup: impl FnMut(&str) -> Option<String>,
            ) -> Result<Self, Malformed> {
                let mut rows = VARIABLES.iter();
                Ok(Self {
                    $($name: {
                        let given = lookup(stringify!($name));
                        let value = given.unwrap_or_else(|| $default.to_owned());
                        if let Some(row) = rows.next() {
                            row.check(&value)?;
                        }
                        let read: fn(&str) -> $type = $read;
                        read(&value)
                    },)+
                })
            }
        }
    };
}

// The readers run after the check, so their fallbacks are never taken.
fn number(value: &str) -> u64 {
    parse_number(value).unwrap_or_default()
}

fn size(value: &str) -> usize {
    usize::try_from(number(value)).unwrap_or(usize::MAX)
}

fn flag(value: &str) -> bool {
    value == "true"
}

const MIB: u64 = 1024 * 1024;

variables! {
    /// Path of the streams, without a slash at its end. `/` is the root of the server, and then no
    /// stream can have the name `health`, `healthz` or `readyz`. Every client and the official
    /// suite use the default.
    base_path: String = "/v1/stream", Kind::Text(is_base_path), base_path;
    /// Scheme and authority at the start of `Location`. If empty, the server takes them from the
    /// request.
    public_url: String = "", Kind::Text(is_public_url), str::to_owned;
    /// How long a long-poll waits. Keep it below 30 s, because some clients and platforms give up
    /// then.
    long_poll_timeout_secs: u64 = "25", Kind::Number(1..=300), number;
    /// Age at which an SSE response ends, so that a CDN can let new readers join.
    sse_max_secs: u64 = "60", Kind::Number(1..=3600), number;
    /// Pause after which the server sends a comment on a silent SSE response. This is how it
    /// notices that a reader left.
    sse_heartbeat_secs: u64 = "15", Kind::Number(1..=300), number;
    /// First pause between two reads of the store for a waiting reader, if the host does not report
    /// changes.
    poll_min_ms: u64 = "25", Kind::Number(1..=60_000), number;
    /// Longest pause between two of these reads. Use 2000 if the platform allows 1,000 reads a
    /// second per application.
    poll_max_ms: u64 = "250", Kind::Number(1..=60_000), number;
    /// Bytes after which a page of a catch-up read ends, at the next end of a segment.
    page_bytes: u64 = "1048576", Kind::Number(1..=16 * MIB), number;
    /// Bytes that the head record keeps before they are sealed into a chunk. Each small append
    /// rewrites them, so a larger value means fewer keys and larger writes.
    inline_tail_bytes: usize = "16384", Kind::Number(0..=131_072), size;
    /// Largest body of one append.
    max_append_bytes: usize = "10485760", Kind::Number(1..=16 * MIB), size;
    /// Largest stream, without the bytes that a fork shares; 0 means no limit.
    max_stream_bytes: u64 = "0", Kind::Number(0..=u64::MAX), number;
    /// Longest stream name. It also limits the size of a tombstone, which keeps the name.
    max_name_bytes: usize = "1024", Kind::Number(1..=1024), size;
    /// Most segments in a stream name.
    max_name_segments: usize = "8", Kind::Number(1..=64), size;
    /// Number of producers that a stream remembers. All of them are in its head record.
    max_producers: usize = "256", Kind::Number(1..=256), size;
    /// Idle time after which a stream may forget a producer to make room for another one. It must
    /// be longer than clients retry: a later retry may append twice.
    producer_idle_secs: u64 = "300", Kind::Number(1..=31_536_000), number;
    /// Largest header section, names and values together.
    max_header_bytes: usize = "16384", Kind::Number(1024..=65_536), size;
    /// How long a write keeps trying to commit.
    commit_deadline_ms: u64 = "5000", Kind::Number(100..=60_000), number;
    /// How long one `POST {base_path}/__ds/tick` works while there is something to do.
    tick_budget_ms: u64 = "1000", Kind::Number(100..=25_000), number;
    /// Bearer token for `POST {base_path}/__ds/tick`. If it is empty and access control is off, the
    /// call needs no token.
    tick_token: Secret = "", Kind::Secret(is_token), Secret::new;
    /// Token for the calls that only operators may make. Without it, these calls do not exist. The
    /// native host chooses it at its start, and adds it to requests of managers on its admin
    /// listener. On other hosts, leave it empty.
    admin_token: Secret = "", Kind::Secret(is_token), Secret::new;
    /// Bearer tokens with their scopes and prefixes: `[{"token":"..","scope":"read write
    /// manage","prefix":"a/b"}]`. With this or a key below, access control is on.
    auth_tokens: Secret = "", Kind::Secret(by_access), Secret::new;
    /// Secret of JSON Web Tokens signed by HS256, at least 32 bytes of text.
    auth_hs256_secret: Secret = "", Kind::Secret(by_access), Secret::new;
    /// Public key of JSON Web Tokens signed by EdDSA: the 32 bytes of Ed25519 in base64url.
    auth_eddsa_key: String = "", Kind::Text(by_access), str::to_owned;
    /// Keys of JSON Web Tokens as a JSON Web Key Set: `OKP` with `Ed25519`, and `oct` for HS256.
    auth_jwks: Secret = "", Kind::Secret(by_access), Secret::new;
    /// Audience that JSON Web Tokens must name. If empty, they must not name an audience.
    auth_audience: String = "", Kind::Text(is_audience), str::to_owned;
    /// Whether webhooks may go to `localhost` and 127.0.0.0/8 over http; for development.
    webhook_allow_localhost: bool = "false", Kind::Flag, flag;
    /// Ed25519 seeds of 32 bytes in unpadded base64url, separated by commas. The first signs
    /// webhooks; the public keys of the others stay published. If empty, the server makes a key and
    /// keeps it in the store.
    webhook_signing_key: Secret = "", Kind::Secret(is_signing_keys), Secret::new;
    /// Whether the server registers the names of streams. Lists, patterns, and the expiry of
    /// streams without requests need the registry. It costs one write for each creation.
    registry: bool = "true", Kind::Flag, flag;
    /// Whether the store's swap of an absent key fails when another writer wrote the key first. On
    /// Spin, only DynamoDB is known to do so. The native host takes the default from its store.
    kv_guarded_create: bool = "false", Kind::Flag, flag;
    /// Whether a swap that the store reports as failed was certainly not applied. Spin on Redis
    /// reports applied swaps as failed. The native host sets it for its stores.
    kv_final_swaps: bool = "false", Kind::Flag, flag;
    /// Timeline of the store. Raise it after every restore of an older state, with all instances
    /// stopped. The native host's stores also keep a timeline, and the larger of the two counts.
    timeline: u64 = "0", Kind::Number(0..=MAX_TIMELINE), number;
    /// Largest allowed difference between the clocks of two instances. A writer's lease lapses this
    /// long after its end.
    lease_skew_ms: u64 = "1000", Kind::Number(0..=60_000), number;
    /// Time at which the host began to accept appends, in milliseconds since 1970; 0 if unknown. A
    /// lease lapses only after writers had time to connect again. The native host sets it.
    serving_since_ms: u64 = "0", Kind::Number(0..=u64::MAX), number;
    /// Whether a read of the store may return an older value than an earlier read. Reads of
    /// DynamoDB do so unless `consistent_read` is set. An offset beyond the tail then gets 503, not
    /// 410.
    kv_stale_reads: bool = "false", Kind::Flag, flag;
    /// Whether shared caches may keep the responses to reads.
    cache_visibility: String = "public", Kind::Word(&["public", "private"]), str::to_owned;
    /// Origins whose pages may call the server from a browser: `*`, or a list separated by commas.
    cors_origins: String = "*", Kind::Text(is_origins), str::to_owned;
    /// Prefix of every key, for stores that several applications share.
    key_namespace: String = "", Kind::Text(is_namespace), str::to_owned;
    /// Least severe level that is logged. With `info` there is a line for every request that the
    /// component answers, except preflights.
    log_level: String = "warn", Kind::Word(&LOG_LEVELS), str::to_owned;
}

/// Judged where its meaning is: [`Access::new`](crate::access::Access::new) refuses what is not valid.
const fn by_access(_: &str) -> Result<(), &'static str> {
    Ok(())
}

/// The base path as it stands before the slash of a name: nothing for the whole server.
fn base_path(value: &str) -> String {
    value.strip_suffix('/').unwrap_or(value).to_owned()
}

fn is_base_path(value: &str) -> Result<(), &'static str> {
    let good = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    };
    match value.strip_prefix('/') {
        Some("") => Ok(()),
        Some(rest) if value.len() <= 256 && rest.split('/').all(good) => Ok(()),
        _ => Err("/ or a path such as /v1/stream, of letters, digits and - . _ ~"),
    }
}

fn is_public_url(value: &str) -> Result<(), &'static str> {
    let expected = "empty, or a scheme and an authority such as https://streams.example";
    if value.is_empty() {
        return Ok(());
    }
    let uri: http::Uri = value.parse().map_err(|_| expected)?;
    let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    match scheme && uri.authority().is_some() && uri.path() == "/" && !value.ends_with('/') {
        true => Ok(()),
        false => Err(expected),
    }
}

fn is_token(value: &str) -> Result<(), &'static str> {
    match value.len() <= 1024 && value.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(()),
        false => Err("at most 1024 visible ASCII characters"),
    }
}

fn is_audience(value: &str) -> Result<(), &'static str> {
    match value.len() <= 1024 && !value.chars().any(char::is_control) {
        true => Ok(()),
        false => Err("at most 1024 bytes without control characters"),
    }
}

/// The seeds in a list with commas; nothing if one of them is none.
#[must_use]
pub(crate) fn signing_seeds(value: &str) -> Option<Vec<[u8; 32]>> {
    use base64::Engine as _;
    let seed = |text: &str| {
        let bytes = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(text.trim());
        bytes.ok()?.try_into().ok()
    };
    match value.is_empty() {
        true => Some(Vec::new()),
        false => value.split(',').map(seed).collect(),
    }
}

fn is_signing_keys(value: &str) -> Result<(), &'static str> {
    match signing_seeds(value) {
        Some(seeds) if seeds.len() <= SIGNING_KEYS => Ok(()),
        _ => Err("at most 8 seeds of 32 bytes in unpadded base64url, separated by commas"),
    }
}

fn is_origins(value: &str) -> Result<(), &'static str> {
    let origin = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'*')
    };
    match value == "*" || value.split(',').map(str::trim).all(origin) {
        true => Ok(()),
        false => Err("* or a list of origins such as https://a.example,https://b.example"),
    }
}

fn is_namespace(value: &str) -> Result<(), &'static str> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    // With `g`, a head would have the key of a gate in a store without a namespace.
    match value.len() <= 32 && value.bytes().all(good) && value != "g" {
        true => Ok(()),
        false => Err("at most 32 letters, digits, - and _, and not the single letter g"),
    }
}

#[cfg(test)]
mod tests;
