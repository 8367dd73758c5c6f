//! Every variable and every fixed cap, in one table each: name, default, range, reason.
//!
//! On Spin they are in the objects that [`settings`](crate::settings) unpacks; the native host takes
//! them from flags and its environment. All limits that a client can meet are here, but for those of the native host.

use crate::access;
use std::ops::RangeInclusive;

/// What a variable's value may be.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A whole number in decimal, within the range.
    Number(RangeInclusive<u64>),
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Text, judged by the function; it says what is expected when it refuses.
    Text(fn(&str) -> Result<(), &'static str>),
    /// The same, and it is never shown.
    Secret(fn(&str) -> Result<(), &'static str>),
}

/// Text that is never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text, for whoever compares it or makes a key of it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// One row of the table of variables.
#[derive(Debug, Clone)]
pub struct Variable {
    /// The name, as in `settings` on Spin and in `--variable name=value`; `DS_<NAME>` in the environment.
    pub name: &'static str,
    /// The value where none is given.
    pub default: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What it is for, and why the default is what it is.
    pub reason: &'static str,
}

/// A variable that has no meaning as given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("variable {name} is {}, expected {expected}", shown(value.as_deref()))]
pub struct Malformed {
    /// The variable.
    pub name: &'static str,
    /// What was given; nothing where that is a secret.
    pub value: Option<String>,
    /// What would have been accepted.
    pub expected: String,
}

fn shown(value: Option<&str>) -> String {
    value.map_or_else(|| "malformed".to_owned(), |value| format!("{value:?}"))
}

impl Variable {
    /// Says whether `value` is one this variable may have.
    ///
    /// # Errors
    ///
    /// What would have been accepted.
    pub fn check(&self, value: &str) -> Result<(), Malformed> {
        let refuse = |expected: String| Malformed {
            name: self.name,
            value: (!matches!(self.kind, Kind::Secret(_))).then(|| value.to_owned()),
            expected,
        };
        match &self.kind {
            Kind::Number(range) => match parse_number(value) {
                Some(number) if range.contains(&number) => Ok(()),
                _ => Err(refuse(format!(
                    "a whole number from {} to {}",
                    range.start(),
                    range.end()
                ))),
            },
            Kind::Flag if matches!(value, "true" | "false") => Ok(()),
            Kind::Flag => Err(refuse("true or false".to_owned())),
            Kind::Word(words) if words.contains(&value) => Ok(()),
            Kind::Word(words) => Err(refuse(format!("one of {}", words.join(", ")))),
            Kind::Text(judge) | Kind::Secret(judge) => {
                judge(value).map_err(|expected| refuse(expected.to_owned()))
            }
        }
    }
}

fn parse_number(value: &str) -> Option<u64> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| value.parse().ok()).flatten()
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

/// Severities of log lines, the most severe first.
pub const LOG_LEVELS: [&str; 4] = ["error", "warn", "info", "debug"];

/// Whether a line of `level` is written where `log_level` is `least`.
#[must_use]
pub fn is_logged(level: &str, least: &str) -> bool {
    let rank = |name: &str| LOG_LEVELS.iter().position(|level| *level == name);
    rank(level) <= rank(least)
}

const MIB: u64 = 1024 * 1024;

variables! {
    /// Path under which streams live, without a slash at its end; every client and the official
    /// suite take this one.
    base_path: String = "/v1/stream", Kind::Text(is_base_path), str::to_owned;
    /// Scheme and authority that `Location` begins with; while empty, those of the request.
    public_url: String = "", Kind::Text(is_public_url), str::to_owned;
    /// How long a long-poll waits: less than clients and platforms that give up after 30 s.
    long_poll_timeout_secs: u64 = "25", Kind::Number(1..=300), number;
    /// Age at which an SSE response ends, so that a CDN can let new readers join.
    sse_max_secs: u64 = "60", Kind::Number(1..=3600), number;
    /// Pause after which a silent SSE response sends a comment; how a reader that left is noticed.
    sse_heartbeat_secs: u64 = "15", Kind::Number(1..=300), number;
    /// First pause between two looks at the store for a waiting reader, where no host tells it.
    poll_min_ms: u64 = "25", Kind::Number(1..=60_000), number;
    /// Longest such pause; 2000 where the platform counts 1,000 reads a second per application.
    poll_max_ms: u64 = "250", Kind::Number(1..=60_000), number;
    /// Bytes after which a page of a catch-up read ends, at the next end of a segment.
    page_bytes: u64 = "1048576", Kind::Number(1..=16 * MIB), number;
    /// Bytes kept in the head record before they are sealed into a chunk; a small append rewrites
    /// them, so more means fewer keys and larger writes.
    inline_tail_bytes: usize = "16384", Kind::Number(0..=131_072), size;
    /// Largest body of one append.
    max_append_bytes: usize = "10485760", Kind::Number(1..=16 * MIB), size;
    /// Largest stream, what a fork shares not counted; 0 means no limit.
    max_stream_bytes: u64 = "0", Kind::Number(0..=u64::MAX), number;
    /// Longest stream name; a tombstone keeps the name, so this bounds it too.
    max_name_bytes: usize = "1024", Kind::Number(1..=1024), size;
    /// Most segments in a stream name.
    max_name_segments: usize = "8", Kind::Number(1..=64), size;
    /// Producers a stream remembers; all of them are in its head record.
    max_producers: usize = "256", Kind::Number(1..=256), size;
    /// Idle time after which a producer may be forgotten to make room for another.
    producer_idle_secs: u64 = "3600", Kind::Number(1..=31_536_000), number;
    /// Largest header section, names and values together.
    max_header_bytes: usize = "16384", Kind::Number(1024..=65_536), size;
    /// How long a write goes on trying to commit.
    commit_deadline_ms: u64 = "5000", Kind::Number(100..=60_000), number;
    /// How long one `POST {base_path}/__ds/tick` works while there is something to do.
    tick_budget_ms: u64 = "1000", Kind::Number(100..=25_000), number;
    /// Bearer token that `POST {base_path}/__ds/tick` asks for; open while empty and access control is
    /// off.
    tick_token: Secret = "", Kind::Secret(is_token), Secret::new;
    /// Bearer tokens and what they are for:
    /// `[{"token":"..","scope":"read write manage","prefix":"a/b"}]`. With this or a key below,
    /// access control is on.
    auth_tokens: Secret = "", Kind::Secret(access::check_tokens), Secret::new;
    /// Secret of JSON Web Tokens signed by HS256, at least 32 bytes of text.
    auth_hs256_secret: Secret = "", Kind::Secret(access::check_hs256_secret), Secret::new;
    /// Public key of JSON Web Tokens signed by EdDSA: the 32 bytes of Ed25519 in base64url.
    auth_eddsa_key: String = "", Kind::Text(access::check_eddsa_key), str::to_owned;
    /// Keys of JSON Web Tokens as a JSON Web Key Set: `OKP` with `Ed25519`, and `oct` for HS256.
    auth_jwks: Secret = "", Kind::Secret(access::check_jwks), Secret::new;
    /// Audience that JSON Web Tokens must be for; while empty, they must not name any.
    auth_audience: String = "", Kind::Text(is_audience), str::to_owned;
    /// Whether webhooks may go to `localhost` and 127.0.0.0/8 over http; for development.
    webhook_allow_localhost: bool = "false", Kind::Flag, flag;
    /// Ed25519 seeds, 32 bytes each in unpadded base64url, with commas: the first signs webhooks, of
    /// the others the public keys are still published. While empty, a key is made and kept.
    webhook_signing_key: Secret = "", Kind::Secret(is_signing_keys), Secret::new;
    /// Whether names are registered, which expiry of unvisited streams needs; costs one write a
    /// creation.
    registry: bool = "true", Kind::Flag, flag;
    /// Whether the store's swap of an absent key fails when somebody else wrote the key first. On
    /// Spin it does not; the native host's stores do and say so themselves.
    kv_guarded_create: bool = "false", Kind::Flag, flag;
    /// Whether shared caches may keep what is read.
    cache_visibility: String = "public", Kind::Word(&["public", "private"]), str::to_owned;
    /// Origins that a browser may call from: `*`, or a list with commas.
    cors_origins: String = "*", Kind::Text(is_origins), str::to_owned;
    /// Prefix of every key, for stores that several applications share.
    key_namespace: String = "", Kind::Text(is_namespace), str::to_owned;
    /// Least severe line that is logged; `info` has a line for every request that the component
    /// answers, but for preflights.
    log_level: String = "warn", Kind::Word(&LOG_LEVELS), str::to_owned;
}

fn is_base_path(value: &str) -> Result<(), &'static str> {
    let good = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    };
    match value.strip_prefix('/') {
        Some(rest) if value.len() <= 256 && rest.split('/').all(good) => Ok(()),
        _ => Err("a path such as /v1/stream, of letters, digits and - . _ ~"),
    }
}

fn is_public_url(value: &str) -> Result<(), &'static str> {
    let expected = "empty, or scheme and authority such as https://streams.example";
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
pub fn signing_seeds(value: &str) -> Option<Vec<[u8; 32]>> {
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
        _ => Err("at most 8 seeds of 32 bytes, in unpadded base64url, with commas"),
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
        false => Err("* or origins such as https://a.example,https://b.example"),
    }
}

fn is_namespace(value: &str) -> Result<(), &'static str> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    // With `g`, a head would have the key of a gate in a store without a namespace.
    match value.len() <= 32 && value.bytes().all(good) && value != "g" {
        true => Ok(()),
        false => Err("at most 32 letters, digits, - and _, and not g alone"),
    }
}

/// Largest value ever stored. Hosted platforms take 1 MB, DynamoDB items 400 KB.
pub const MAX_VALUE_BYTES: usize = 256 * 1024;

/// Largest chunk, the bytes of one segment.
pub const MAX_CHUNK_BYTES: usize = MAX_VALUE_BYTES;

/// Segments in one index block, and those a head keeps before it writes one.
pub const BLOCK_SEGMENTS: u64 = 64;

/// Commits a head remembers, to tell whether an attempt was applied.
pub const RING_COMMITS: usize = 64;

/// Bytes of request bodies that one instance buffers at a time; past it, 503.
pub const BODY_BUDGET: usize = 32 * 1024 * 1024;

/// Longest pause of a client that sends a body or takes one, in milliseconds, where the component
/// serves `wasi:http` 0.2 itself: an instance is there for each such client.
pub const CLIENT_STALL_MS: u64 = 30_000;

/// Longest `Stream-Seq`, content type and producer id. All are kept in the head record.
pub const MAX_FIELD_BYTES: usize = 256;

/// Largest producer epoch and sequence number, for clients in JavaScript (section 5.2.1).
pub const MAX_PRODUCER_NUMBER: u64 = (1 << 53) - 1;

/// Longest request target; longer ones are 414. A name of 1,024 bytes takes 3,072 when escaped.
pub const MAX_TARGET_BYTES: usize = 8 * 1024;

/// Bytes of a response one step hands over.
pub const STEP_BYTES: usize = MAX_CHUNK_BYTES;

/// To-do shards, and shards of the name registry.
pub const SHARDS: u8 = 16;

/// Largest leaf of the name registry.
pub const LEAF_BYTES: usize = 8 * 1024;

/// Segments in one page, if a message ends there; however small they are, so that no read does
/// unbounded work.
pub const PAGE_SEGMENTS: usize = 256;

/// Chunks that one step reads; also the segments in one SSE event.
pub const STEP_SEGMENTS: usize = 64;

/// Store operations that one piece of background work does, but for the heads that a wake reads.
pub const WORK_OPERATIONS: usize = 32;

/// Sources on the way from a fork to a stream that is none; each may add a run to the fork's head.
pub const FORK_DEPTH: u64 = 256;

/// Forks of one stream that come or go at a time; their steps are in its head.
pub const FORK_STEPS: usize = 16;

/// Age after which a fork that was begun, and of which there is no head, is given up.
pub const FORK_PATIENCE_MS: u64 = 60_000;

/// Subscriptions that one stream is linked to; they are in its head.
pub const SUBSCRIBERS: usize = 64;

/// Streams that one subscription is linked to, and acks of one call: a step may read the heads of all
/// of them. With names and cursors it stays one small value.
pub const SUBSCRIPTION_LINKS: usize = 4096;

/// Bytes of the names that a subscription was given one by one, together.
pub const SUBSCRIPTION_NAMES_BYTES: usize = 48 * 1024;

/// Bytes of the list of all subscriptions, which every creation of a stream reads.
pub const SUBSCRIPTIONS_BYTES: usize = 192 * 1024;

/// Longest id of a subscription, and longest name of a worker.
pub const MAX_ID_BYTES: usize = 256;

/// Longest description of a subscription.
pub const MAX_DESCRIPTION_BYTES: usize = 1024;

/// Longest pattern.
pub const MAX_PATTERN_BYTES: usize = 1024;

/// Most segments of a pattern.
pub const MAX_PATTERN_SEGMENTS: usize = 64;

/// Longest URL of a webhook.
pub const MAX_WEBHOOK_URL_BYTES: usize = 2048;

/// Largest body of a control call; more acks than fit, or than [`SUBSCRIPTION_LINKS`], go into several
/// calls.
pub const MAX_CONTROL_BYTES: usize = 1024 * 1024;

/// How long a worker may be silent, milliseconds: the range and the default (section 6.2).
pub const LEASE_MS: RangeInclusive<u64> = 1_000..=600_000;

/// See [`LEASE_MS`].
pub const LEASE_DEFAULT_MS: u64 = 30_000;

/// Pause after a webhook failed for the first time, and the longest one (section 7.1).
pub const RETRY_LEAST_MS: u64 = 1_000;

/// See [`RETRY_LEAST_MS`].
pub const RETRY_MOST_MS: u64 = 60_000;

/// Age at which a wake is looked at, whether its event is in the wake stream.
pub const ANNOUNCE_PATIENCE_MS: u64 = 1_000;

/// How long a callback or claim token is good for. A lease may be extended for as long; the wake
/// that it belongs to ends it much earlier.
pub const WAKE_TOKEN_MS: u64 = 24 * 60 * 60 * 1000;

/// Subscriptions woken in one step, by the append and by the wake events that follow from it.
pub const WAKES: usize = 64;

/// Heads of linked streams that one piece of work compares with their subscription.
pub const WALK_LINKS: usize = 32;

/// Streams, and leaves of the name registry, that one step looks at for a new subscription or for
/// new names in one.
pub const BACKFILL_STREAMS: usize = 64;

/// Largest answer of a webhook that is read.
pub const WEBHOOK_ANSWER_BYTES: usize = 64 * 1024;

/// How long a webhook may take to answer, milliseconds.
pub const WEBHOOK_TIMEOUT_MS: u64 = 15_000;

/// How long a replaced signing key is still published: receivers refuse signatures that are older
/// than some minutes, and caches keep the set for five.
pub const REPLAY_WINDOW_MS: u64 = 60 * 60 * 1000;

/// Signing keys that are kept, the one in use among them.
pub const SIGNING_KEYS: usize = 8;

/// How long a creator that finds another's unconfirmed record waits before it takes over. It is
/// the sum of the waits its attempt reports, so no clock decides.
pub const CREATION_PATIENCE_MS: u64 = 10_000;

/// Longest bearer token that is looked at.
pub const MAX_BEARER_BYTES: usize = 8 * 1024;

/// Bearer tokens in `auth_tokens`; each is compared with what comes.
pub const MAX_TOKENS: usize = 256;

/// Shortest of them: 96 bits if it is base64url.
pub const MIN_TOKEN_BYTES: usize = 16;

/// Keys in `auth_jwks`.
pub const MAX_KEYS: usize = 32;

/// Shortest secret of HS256, the size of its hash (RFC 7518, section 3.2).
pub const MIN_HS256_BYTES: usize = 32;

/// How far the clock of whoever issues tokens may be from ours.
pub const CLOCK_SKEW_MS: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings;

    #[test]
    fn a_secret_is_never_shown() {
        let secret = "hush";
        for row in VARIABLES {
            let is_secret = matches!(row.kind, Kind::Secret(_));
            let named = ["token", "secret", "jwks", "signing_key"];
            let expected = named.iter().any(|word| row.name.contains(word));
            assert_eq!(is_secret, expected, "{}", row.name);
            let given = if row.name == "tick_token" {
                "hush\n"
            } else {
                secret
            };
            if let (true, Err(error)) = (is_secret, row.check(given)) {
                assert!(!format!("{error} {error:?}").contains(secret), "{error}");
            }
        }
        let given = |name: &str| (name == "tick_token").then(|| secret.to_owned());
        let config = Config::from_lookup(given).unwrap();
        assert_eq!(config.tick_token.expose(), secret);
        assert!(!format!("{config:?}").contains(secret));
    }

    #[test]
    fn every_default_is_one_the_variable_may_have() {
        for variable in VARIABLES {
            assert_eq!(
                variable.check(variable.default),
                Ok(()),
                "{}",
                variable.name
            );
        }
        assert!(Config::from_lookup(|_| None).is_ok());
    }

    #[test]
    fn a_malformed_variable_is_named_with_what_was_expected() {
        let error = Config::from_lookup(|name| (name == "page_bytes").then(|| "+5".to_owned()));
        assert_eq!(
            error.map_err(|error| error.to_string()),
            Err("variable page_bytes is \"+5\", expected a whole number from 1 to 16777216".into())
        );
    }

    #[test]
    fn the_readme_has_the_same_variables() {
        let head = "| variable | default | may be | |\n|---|---|---|---|\n";
        let (_, table) = include_str!("../README.md").split_once(head).unwrap();
        let expected = VARIABLES.iter().map(|row| {
            let may_be = match &row.kind {
                Kind::Number(range) => format!("{} to {}", range.start(), range.end()),
                Kind::Flag => "`true`, `false`".to_owned(),
                Kind::Word(words) => format!("`{}`", words.join("`, `")),
                Kind::Text(_) => "text".to_owned(),
                Kind::Secret(_) => "secret".to_owned(),
            };
            let default = match row.default {
                "" => String::new(),
                default => format!("`{default}`"),
            };
            let (name, reason) = (row.name, row.reason.trim());
            format!("| `{name}` | {default} | {may_be} | {reason} |")
        });
        let rows = table.lines().take_while(|line| line.starts_with('|'));
        assert!(rows.eq(expected));
    }

    #[test]
    fn the_manifest_for_wasi_0_3_differs_in_the_source_of_the_component_only() {
        let lines = |manifest: &'static str| -> Vec<&str> {
            let shared = |line: &&str| !line.starts_with('#') && !line.starts_with("source = ");
            manifest.lines().filter(shared).collect()
        };
        let other = include_str!("../host/deploy/spin-p3.toml");
        assert_eq!(lines(include_str!("../spin.toml")), lines(other));
        let source = "\"../../target/wasm32-wasip2/release/durable_streams_edge_p3.wasm\"";
        assert!(other.contains(&format!("source = {source}\n")), "{other}");
    }

    #[test]
    fn the_manifest_hands_over_few_variables() {
        let manifest = include_str!("../spin.toml");
        let head = "[component.durable-streams.variables]\n";
        let (_, handed_over) = manifest.split_once(head).unwrap();
        let lines = handed_over.lines().take_while(|line| !line.is_empty());
        let expected = [settings::SETTINGS, settings::SECRETS]
            .map(|name| format!("{name} = \"{{{{ {name} }}}}\""));
        assert!(lines.eq(expected));
    }
}
