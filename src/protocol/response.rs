//! Heads of responses: status, common fields, CORS and cache control.

use super::headers;
use super::packed::Fields;
use super::problem::Problem;
use super::request::RawRequest;
use crate::limits::Config;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::LazyLock;

/// Methods of all resources, for `Access-Control-Allow-Methods`.
const METHODS: &str = "GET, HEAD, PUT, POST, DELETE, OPTIONS";

/// Every origin, as a value of `cors_origins` and of `Access-Control-Allow-Origin`.
const ANY: &str = "*";

/// The value of `cache_visibility` and of `Cache-Control` that excludes shared caches.
pub(crate) const PRIVATE: &str = "private";

static EXPOSED: LazyLock<String> = LazyLock::new(|| headers::CORS_EXPOSED.join(", "));

/// Seconds for which a browser may keep a preflight's response; browsers have lower limits of their
/// own.
const PREFLIGHT_SECS: &str = "86400";

/// Seconds for which a page is fresh, and then may still be served while it is revalidated (section
/// 10.1).
const FRESH_SECS: u64 = 60;
const STALE_SECS: u64 = 300;

/// `Content-Security-Policy` for the content of a stream. A browser that opens the content as a
/// page gives it an origin of its own, and runs no script in it.
pub(crate) const SANDBOX: &str = "sandbox";

/// Media type of problem documents.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// The head of a response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The HTTP status.
    pub status: u16,
    /// The header fields, with names in lower case.
    pub headers: Fields,
}

impl Head {
    /// A head without fields.
    #[must_use]
    pub fn new(status: u16) -> Self {
        let headers = Fields::with_room();
        Self { status, headers }
    }

    /// Creates the head of a problem's response. Its body is [`Problem::body`].
    #[must_use]
    pub fn problem(problem: &Problem) -> Self {
        let mut head = Self::new(problem.status())
            .with(headers::CONTENT_TYPE, PROBLEM_JSON)
            .with(headers::CACHE_CONTROL, "no-store");
        for (name, value) in &problem.fields {
            head.push(name, value);
        }
        head
    }

    /// Adds a field.
    pub fn push(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.headers.push(name, value);
    }

    /// Returns the head with one more field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.push(name, value);
        self
    }

    /// Returns the head with one more field if `condition` holds.
    #[must_use]
    pub fn with_if(self, condition: bool, name: &str, value: impl AsRef<[u8]>) -> Self {
        if condition {
            self.with(name, value)
        } else {
            self
        }
    }

    /// Returns the first value of a field. `name` is in lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.headers.get(name)
    }
}

/// Returns the common fields of every response to a request with these `Origin` fields. With
/// `access_control`, responses also vary by the caller's credentials.
#[must_use]
pub fn common<'a>(
    config: &Config,
    origins: impl Iterator<Item = &'a [u8]>,
    access_control: bool,
) -> Fields {
    let mut fields = Fields::with_room();
    vary(&mut fields, config, access_control);
    cors(&mut fields, config, origins);
    security(&mut fields);
    fields
}

/// Returns the common fields if they do not depend on the request.
#[must_use]
pub fn common_to_all(config: &Config, access_control: bool) -> Option<Fields> {
    (config.cors_origins == ANY).then(|| {
        let mut fields = Fields::with_room();
        vary(&mut fields, config, access_control);
        allow_origin(&mut fields, ANY.as_bytes());
        security(&mut fields);
        fields
    })
}

/// Adds `Vary`, the request fields that the response depends on.
///
/// If only some origins may read, every response varies by `Origin`, also without an origin or for
/// a refused one. Otherwise a cache would give the response for one origin to another.
fn vary(fields: &mut Fields, config: &Config, access_control: bool) {
    let value = match (config.cors_origins == ANY, access_control) {
        (true, false) => return,
        (true, true) => headers::AUTHORIZATION,
        (false, false) => headers::ORIGIN,
        (false, true) => "origin, authorization",
    };
    fields.push(headers::VARY, value);
}

/// Adds the fields of section 12.7 that every response has.
fn security(fields: &mut Fields) {
    fields.push(headers::X_CONTENT_TYPE_OPTIONS, "nosniff");
    fields.push(headers::CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin");
}

/// Adds the CORS fields for a request with these origins. Returns whether they may read the
/// response.
fn cors<'a>(fields: &mut Fields, config: &Config, origins: impl Iterator<Item = &'a [u8]>) -> bool {
    let readable = if config.cors_origins == ANY {
        Some(ANY.as_bytes())
    } else {
        allowed_origin(config, origins)
    };
    if let Some(origin) = readable {
        allow_origin(fields, origin);
    }
    readable.is_some()
}

fn allow_origin(fields: &mut Fields, origin: &[u8]) {
    fields.push(headers::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    fields.push(headers::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED.as_str());
}

fn allowed_origin<'a>(
    config: &Config,
    mut origins: impl Iterator<Item = &'a [u8]>,
) -> Option<&'a [u8]> {
    let origin = origins.next()?;
    let allowed = |known: &str| known.trim().as_bytes().eq_ignore_ascii_case(origin);
    let one = origins.next().is_none();
    (one && config.cors_origins.split(',').any(allowed)).then_some(origin)
}

/// Returns the head of the response to any `OPTIONS` request.
#[must_use]
pub fn preflight(config: &Config, raw: &RawRequest<'_>) -> Head {
    let mut head = Head::new(204).with(headers::ALLOW, METHODS);
    vary(&mut head.headers, config, false);
    if cors(&mut head.headers, config, raw.field_values(headers::ORIGIN)) {
        head.push(headers::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        head.push(headers::ACCESS_CONTROL_ALLOW_HEADERS, allowed_fields(raw));
        head.push(headers::VARY, headers::ACCESS_CONTROL_REQUEST_HEADERS);
        head.push(headers::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECS);
    }
    security(&mut head.headers);
    head
}

/// Returns the request fields that a script may send: the fields of the protocol, and the fields
/// that the preflight asked for. Proxies, tracing and error reporting add fields of their own, and
/// the server ignores fields that it does not know.
fn allowed_fields(raw: &RawRequest<'_>) -> String {
    let mut allowed: Vec<&str> = headers::CORS_ALLOWED.to_vec();
    let lines = raw.field_values(headers::ACCESS_CONTROL_REQUEST_HEADERS);
    for name in lines.flat_map(|line| line.split(|byte| *byte == b',')) {
        let name = std::str::from_utf8(name.trim_ascii()).unwrap_or_default();
        let known = allowed.iter().any(|known| known.eq_ignore_ascii_case(name));
        if !known && is_field_name(name) {
            allowed.push(name);
        }
    }
    allowed.join(", ")
}

/// Whether `name` is a token (RFC 9110, section 5.6.2).
fn is_field_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}

/// Caching rules for a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// Data of a stream.
    Page {
        /// The remaining lifetime of a stream that expires.
        lives_ms: Option<u64>,
    },
    /// A response that may not be stored, because it can change at any moment.
    None,
    /// An event stream.
    Sse,
}

/// The value of `Cache-Control` (section 10.1). No page is kept longer than its stream lives.
#[must_use]
pub(crate) fn cache_control(config: &Config, class: Cache) -> Cow<'static, str> {
    match class {
        Cache::Page { lives_ms } => {
            let remaining = lives_ms.map_or(u64::MAX, |ms| ms / 1000);
            let fresh = FRESH_SECS.min(remaining);
            let stale = STALE_SECS.min(remaining.saturating_sub(fresh));
            let visibility = &config.cache_visibility;
            format!("{visibility}, max-age={fresh}, stale-while-revalidate={stale}").into()
        }
        Cache::None => "no-store".into(),
        Cache::Sse if config.cache_visibility == PRIVATE => "private, no-cache".into(),
        Cache::Sse => "no-cache".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::problem::Code;
    use super::super::request::BodyState;
    use super::*;
    use proptest::prelude::*;

    fn config(variables: &[(&str, &str)]) -> Config {
        let given = |name: &str| variables.iter().find(|(known, _)| *known == name);
        Config::from_lookup(|name| given(name).map(|(_, value)| (*value).to_owned())).unwrap()
    }

    fn asked(headers: &Fields) -> RawRequest<'_> {
        RawRequest {
            method: "GET",
            scheme: None,
            authority: None,
            target: "/",
            headers: headers.as_packed(),
            body: b"",
            body_state: BodyState::Complete,
        }
    }

    fn from_origin(origin: Option<&str>) -> Fields {
        let mut headers = Fields::default();
        if let Some(origin) = origin {
            headers.push("Origin", origin);
        }
        headers
    }

    fn texts(config: &Config, origin: Option<&str>) -> Vec<(String, String)> {
        let headers = from_origin(origin);
        let raw = asked(&headers);
        let mut fields = common(config, raw.field_values(headers::ORIGIN), false);
        assert_eq!(
            common_to_all(config, false),
            (config.cors_origins == ANY).then(|| fields.clone())
        );
        fields = without_security(&fields);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let pair = |(name, value)| (text(name), text(value));
        fields.iter().map(pair).collect()
    }

    fn without_security(all: &Fields) -> Fields {
        let mut security = Fields::default();
        super::security(&mut security);
        let mut rest = Fields::default();
        for (name, value) in all.iter() {
            if security.iter().all(|field| field.0 != name) {
                rest.push(std::str::from_utf8(name).unwrap(), value);
            }
        }
        rest
    }

    #[test]
    fn answers_vary_with_every_field_that_selects_them() {
        for (variables, access_control, expected) in [
            (&[][..], false, None),
            (&[][..], true, Some("authorization")),
            (SOME, false, Some("origin")),
            (SOME, true, Some("origin, authorization")),
        ] {
            let config = config(variables);
            let origins = std::iter::once(&b"https://x.example"[..]);
            let fields = common(&config, origins, access_control);
            assert_eq!(fields.get("vary"), expected.map(str::as_bytes));
            if let Some(all) = common_to_all(&config, access_control) {
                assert_eq!(all, fields);
            }
        }
    }

    const SOME: &[(&str, &str)] = &[("cors_origins", "https://a.example, https://b.example")];

    #[test]
    fn every_client_may_read_where_all_origins_may() {
        for origin in [None, Some("https://x.example")] {
            let fields = texts(&config(&[]), origin);
            assert_eq!(
                fields[0],
                ("access-control-allow-origin".into(), "*".into())
            );
            let (name, exposed) = &fields[1];
            assert_eq!(
                (name.as_str(), fields.len()),
                ("access-control-expose-headers", 2)
            );
            for name in ["etag", "location", "stream-next-offset", "producer-epoch"] {
                assert!(exposed.split(", ").any(|exposed| exposed == name), "{name}");
            }
        }
    }

    #[test]
    fn a_listed_origin_is_echoed_and_the_answer_varies_with_it() {
        let fields = texts(&config(SOME), Some("https://b.example"));
        assert_eq!(fields[0], ("vary".into(), "origin".into()));
        let echoed = (
            "access-control-allow-origin".into(),
            "https://b.example".into(),
        );
        assert_eq!(fields[1], echoed);
        assert_eq!(fields.len(), 3);
    }

    #[test]
    fn other_origins_only_learn_that_answers_vary() {
        for origin in [
            None,
            Some(""),
            Some("null"),
            Some("https://c.example"),
            Some("https://a.example,https://b.example"),
        ] {
            let fields = texts(&config(SOME), origin);
            assert_eq!(
                fields,
                [("vary".to_owned(), "origin".to_owned())],
                "{origin:?}"
            );
        }
        let head = preflight(
            &config(SOME),
            &asked(&from_origin(Some("https://c.example"))),
        );
        assert!(head.get("access-control-allow-methods").is_none());
    }

    #[test]
    fn a_preflight_allows_the_requests_of_clients() {
        let head = preflight(
            &config(&[]),
            &asked(&from_origin(Some("https://x.example"))),
        );
        assert_eq!(head.status, 204);
        let list = |name| String::from_utf8(head.get(name).unwrap().to_vec()).unwrap();
        let methods = list("access-control-allow-methods");
        assert_eq!(methods, "GET, HEAD, PUT, POST, DELETE, OPTIONS");
        let allowed = list("access-control-allow-headers");
        for name in [
            "if-none-match",
            "content-type",
            "authorization",
            "producer-id",
            "stream-seq",
        ] {
            assert!(allowed.split(", ").any(|allowed| allowed == name), "{name}");
        }
    }

    #[test]
    fn a_preflight_allows_the_fields_that_were_asked_for() {
        let mut asked_for = from_origin(Some("https://x.example"));
        let line = "traceparent, X-Request-ID,,if-none-match , sentry-trace";
        asked_for.push("Access-Control-Request-Headers", line);
        asked_for.push(
            "Access-Control-Request-Headers",
            "baggage, no name, \"q\", x\u{e9}",
        );
        let head = preflight(&config(&[]), &asked(&asked_for));
        let allowed = head.get("access-control-allow-headers").unwrap();
        let allowed = String::from_utf8(allowed.to_vec()).unwrap();
        let expected = format!(
            "{}, traceparent, X-Request-ID, sentry-trace, baggage",
            headers::CORS_ALLOWED.join(", ")
        );
        assert_eq!(allowed, expected);
        let varies = |(name, value): (&[u8], &[u8])| {
            name == b"vary" && value == b"access-control-request-headers"
        };
        assert!(head.headers.iter().any(varies));
        let elsewhere = preflight(&config(SOME), &asked(&asked_for));
        assert!(elsewhere.get("access-control-allow-headers").is_none());
        assert!(head.get("access-control-max-age").is_some());
        assert_eq!(head.get("x-content-type-options"), Some(&b"nosniff"[..]));
    }

    #[test]
    fn a_problem_is_never_cached_and_keeps_its_fields() {
        let problem = Problem::new(Code::StreamClosed, "").with_field("stream-closed", "true");
        let head = Head::problem(&problem);
        assert_eq!(head.status, 409);
        assert_eq!(
            head.get("content-type"),
            Some(&b"application/problem+json"[..])
        );
        assert_eq!(head.get("cache-control"), Some(&b"no-store"[..]));
        assert_eq!(head.get("stream-closed"), Some(&b"true"[..]));
    }

    #[test]
    fn caches_keep_pages_for_as_long_as_section_10_says() {
        let private = config(&[("cache_visibility", "private")]);
        let page = |lives_ms| cache_control(&config(&[]), Cache::Page { lives_ms });
        assert_eq!(page(None), "public, max-age=60, stale-while-revalidate=300");
        assert_eq!(page(Some(u64::MAX)), page(None));
        assert_eq!(
            page(Some(100_999)),
            "public, max-age=60, stale-while-revalidate=40"
        );
        assert_eq!(
            page(Some(3_000)),
            "public, max-age=3, stale-while-revalidate=0"
        );
        assert_eq!(
            page(Some(999)),
            "public, max-age=0, stale-while-revalidate=0"
        );
        let forever = Cache::Page { lives_ms: None };
        assert_eq!(
            cache_control(&private, forever),
            "private, max-age=60, stale-while-revalidate=300"
        );
        assert_eq!(cache_control(&private, Cache::None), "no-store");
        assert_eq!(cache_control(&private, Cache::Sse), "private, no-cache");
        assert_eq!(cache_control(&config(&[]), Cache::Sse), "no-cache");
    }

    proptest! {
        #[test]
        fn no_page_is_served_after_its_stream_ended(lives_ms: u64) {
            let text = cache_control(&config(&[]), Cache::Page { lives_ms: Some(lives_ms) });
            let numbers = text.split('=').filter_map(|part| {
                part.split(',').next().and_then(|digits| digits.parse::<u64>().ok())
            });
            prop_assert!(numbers.sum::<u64>() * 1000 <= lives_ms);
        }

        #[test]
        fn any_origin_is_judged_without_a_panic(origin: Vec<u8>) {
            let mut headers = Fields::default();
            headers.push("origin", origin);
            let _ = preflight(&config(SOME), &asked(&headers));
        }
    }
}
