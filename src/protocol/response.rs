//! Heads of answers: status, the fields every answer has, CORS, and what caches may do.

use super::headers;
use super::problem::Problem;
use super::request::RawRequest;
use crate::limits::Config;
use std::sync::LazyLock;

/// Methods of the server's resources, for `Access-Control-Allow-Methods`.
const METHODS: &str = "GET, HEAD, PUT, POST, DELETE, OPTIONS";

static EXPOSED: LazyLock<String> = LazyLock::new(|| headers::CORS_EXPOSED.join(", "));

/// Seconds a browser may keep a preflight's answer; browsers have lower limits of their own.
const PREFLIGHT_SECS: &str = "86400";

/// Seconds a page is fresh, and then may still be served while it is revalidated (section 10.1).
const FRESH_SECS: u64 = 60;
const STALE_SECS: u64 = 300;

/// Media type of problem documents.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// A header field: lower-case name, raw value.
pub type Field = (String, Vec<u8>);

/// The head of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<Field>,
}

impl Head {
    /// A head without fields.
    #[must_use]
    pub const fn new(status: u16) -> Self {
        let headers = Vec::new();
        Self { status, headers }
    }

    /// The head of a problem's answer; its body is [`Problem::body`].
    #[must_use]
    pub fn problem(problem: &Problem) -> Self {
        let mut head = Self::new(problem.status())
            .with(headers::CONTENT_TYPE, PROBLEM_JSON)
            .with(headers::CACHE_CONTROL, "no-store");
        for (name, value) in &problem.fields {
            head.push(name, value.as_str());
        }
        head
    }

    /// Adds a field.
    pub fn push(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.headers.push((name.to_owned(), value.into()));
    }

    /// The same with one more field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.push(name, value);
        self
    }

    /// The same with one more field, where the condition holds.
    #[must_use]
    pub fn with_if(self, condition: bool, name: &str, value: impl Into<Vec<u8>>) -> Self {
        if condition {
            self.with(name, value)
        } else {
            self
        }
    }

    /// The first value of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let same = |field: &&Field| field.0.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .find(same)
            .map(|field| field.1.as_slice())
    }
}

/// Adds the fields of section 12.7 that every answer has.
pub fn security(head: &mut Head) {
    head.push(headers::X_CONTENT_TYPE_OPTIONS, "nosniff");
    head.push(headers::CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin");
}

/// The CORS fields of an answer to this request.
///
/// Where only some origins may read, `Vary` is there for those that may not and for requests
/// without an origin too, or a cache would give one's answer to another.
#[must_use]
pub fn cors(config: &Config, raw: &RawRequest) -> Vec<Field> {
    let field = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
    let mut fields = Vec::with_capacity(3);
    let any = config.cors_origins == "*";
    if !any {
        fields.push(field(headers::VARY, headers::ORIGIN.as_bytes()));
    }
    let readable = if any {
        Some(&b"*"[..])
    } else {
        allowed_origin(config, raw)
    };
    if let Some(origin) = readable {
        let exposed = EXPOSED.as_bytes();
        fields.push(field(headers::ACCESS_CONTROL_ALLOW_ORIGIN, origin));
        fields.push(field(headers::ACCESS_CONTROL_EXPOSE_HEADERS, exposed));
    }
    fields
}

fn allowed_origin<'a>(config: &Config, raw: &'a RawRequest) -> Option<&'a [u8]> {
    let mut origins = raw.field_values(headers::ORIGIN);
    let origin = origins.next()?;
    let allowed = |known: &str| known.trim().as_bytes().eq_ignore_ascii_case(origin);
    let one = origins.next().is_none();
    (one && config.cors_origins.split(',').any(allowed)).then_some(origin)
}

/// The answer to any `OPTIONS` request.
#[must_use]
pub fn preflight(config: &Config, raw: &RawRequest) -> Head {
    let mut head = Head::new(204).with(headers::ALLOW, METHODS);
    let fields = cors(config, raw);
    let allowed = fields
        .iter()
        .any(|(name, _)| name == headers::ACCESS_CONTROL_ALLOW_ORIGIN);
    head.headers.extend(fields);
    if allowed {
        head.push(headers::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        head.push(
            headers::ACCESS_CONTROL_ALLOW_HEADERS,
            headers::CORS_ALLOWED.join(", "),
        );
        head.push(headers::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECS);
    }
    security(&mut head);
    head
}

/// What caches may do with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// Data of a stream.
    Page {
        /// How long the stream lives yet, where it ends by itself.
        lives_ms: Option<u64>,
    },
    /// Nothing: it may be different the next moment.
    None,
    /// An event stream.
    Sse,
}

/// The value of `Cache-Control` (section 10.1). No page is kept longer than its stream lives.
#[must_use]
pub fn cache_control(config: &Config, class: Cache) -> String {
    match class {
        Cache::Page { lives_ms } => {
            let remaining = lives_ms.map_or(u64::MAX, |ms| ms / 1000);
            let fresh = FRESH_SECS.min(remaining);
            let stale = STALE_SECS.min(remaining.saturating_sub(fresh));
            let visibility = &config.cache_visibility;
            format!("{visibility}, max-age={fresh}, stale-while-revalidate={stale}")
        }
        Cache::None => "no-store".to_owned(),
        Cache::Sse => "no-cache".to_owned(),
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

    fn from_origin(origin: Option<&str>) -> RawRequest {
        let origin = origin.map(|origin| ("Origin".to_owned(), origin.as_bytes().to_vec()));
        RawRequest {
            method: "GET".to_owned(),
            scheme: None,
            authority: None,
            target: "/".to_owned(),
            headers: origin.into_iter().collect(),
            body: Vec::new(),
            body_state: BodyState::Complete,
        }
    }

    fn texts(fields: Vec<Field>) -> Vec<(String, String)> {
        let text = |(name, value)| (name, String::from_utf8(value).unwrap());
        fields.into_iter().map(text).collect()
    }

    const SOME: &[(&str, &str)] = &[("cors_origins", "https://a.example, https://b.example")];

    #[test]
    fn anyone_may_read_where_all_origins_may() {
        for origin in [None, Some("https://x.example")] {
            let fields = texts(cors(&config(&[]), &from_origin(origin)));
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
    fn a_listed_origin_is_echoed_and_caches_are_told() {
        let fields = texts(cors(&config(SOME), &from_origin(Some("https://b.example"))));
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
            let fields = texts(cors(&config(SOME), &from_origin(origin)));
            assert_eq!(
                fields,
                [("vary".to_owned(), "origin".to_owned())],
                "{origin:?}"
            );
        }
        let head = preflight(&config(SOME), &from_origin(Some("https://c.example")));
        assert!(head.get("access-control-allow-methods").is_none());
    }

    #[test]
    fn a_preflight_allows_what_clients_send() {
        let head = preflight(&config(&[]), &from_origin(Some("https://x.example")));
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
        assert_eq!(head.get("Stream-Closed"), Some(&b"true"[..]));
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
        assert_eq!(cache_control(&private, Cache::Sse), "no-cache");
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
            let mut raw = from_origin(None);
            raw.headers.push(("origin".to_owned(), origin));
            let _ = cors(&config(SOME), &raw);
            let _ = preflight(&config(SOME), &raw);
        }
    }
}
