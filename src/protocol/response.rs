//! Heads of answers: status, the fields every answer has, CORS, and what caches may do.

use super::headers;
use super::problem::Problem;
use super::request::RawRequest;
use crate::limits::Config;

/// Methods of the server's resources, for `Access-Control-Allow-Methods`.
const METHODS: &str = "GET, HEAD, PUT, POST, DELETE, OPTIONS";

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
    if let Some(origin) = if any {
        Some(&b"*"[..])
    } else {
        allowed_origin(config, raw)
    } {
        fields.push(field(headers::ACCESS_CONTROL_ALLOW_ORIGIN, origin));
        let exposed = headers::CORS_EXPOSED.join(", ");
        fields.push(field(
            headers::ACCESS_CONTROL_EXPOSE_HEADERS,
            exposed.as_bytes(),
        ));
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
