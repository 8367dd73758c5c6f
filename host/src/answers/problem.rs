//! Answers that the host gives without an instance, when no instance could answer. They use the
//! component's problems and common header fields.

use super::body::ResponseBody;
use crate::exchange::{StepError, unpack_fields};
use crate::store::Lost;
use bytes::Bytes;
use durable_streams_edge::limits::Config;
use durable_streams_edge::protocol::headers;
use durable_streams_edge::protocol::packed::Fields;
use durable_streams_edge::protocol::problem::{Code, Problem};
use durable_streams_edge::protocol::response::{self, Head};
use http::header::{HeaderMap, HeaderValue, ORIGIN};
use http::{Method, Response, StatusCode, Uri};
use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// Effect of a failed request, as the client may assume it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    /// Nothing was applied; the client may repeat the request unchanged.
    Nothing,
    /// Nothing was applied, since there is no room.
    NoRoom,
    /// A write may have been applied.
    Unknown,
}

impl Applied {
    /// Effect of a request that broke its instance.
    #[must_use]
    pub(crate) fn of_broken(method: &Method) -> Self {
        if method.is_safe() {
            Self::Nothing
        } else {
            Self::Unknown
        }
    }

    /// Effect of a request after a loss of its own changes, or of changes that it had read.
    #[must_use]
    pub(crate) fn of_lost(method: &Method, lost: Lost) -> Self {
        match lost {
            _ if method.is_safe() => Self::Nothing,
            Lost::NoSpace => Self::NoRoom,
            Lost::NotWritten => Self::Nothing,
            Lost::NotConfirmed => Self::Unknown,
        }
    }

    /// Effect of a request after its step produced no answer.
    #[must_use]
    pub(crate) fn of_failed(method: &Method, error: &StepError) -> Self {
        match error {
            StepError::Broken(_) => Self::of_broken(method),
            StepError::NoInstance(_) => Self::Nothing,
            StepError::Lost(lost) => Self::of_lost(method, *lost),
        }
    }

    fn problem(self) -> Problem {
        match self {
            Self::Nothing => Problem::unavailable(),
            Self::NoRoom => Problem::insufficient_storage(),
            Self::Unknown => Problem::outcome_unknown(),
        }
    }
}

/// Problem for a request over the rate limit; the client may retry after `wait`.
#[must_use]
pub(crate) fn too_many(wait: Duration) -> Problem {
    let detail =
        "This token or address sent too many requests. Nothing was applied; try again later.";
    // Whole seconds, at least one: zero would invite an immediate retry.
    let secs = wait.as_nanos().div_ceil(1_000_000_000).max(1);
    Problem::new(Code::TooManyRequests, detail).with_field(headers::RETRY_AFTER, secs.to_string())
}

/// Problem for a request with a body that arrived too slowly.
#[must_use]
pub(crate) fn too_slow() -> Problem {
    let detail = "The request body arrived too slowly. Nothing was applied; try again.";
    Problem::new(Code::RequestTimeout, detail)
}

/// Parts of a request that the host's own answer needs, kept after the request is moved away.
#[derive(Debug)]
pub(crate) struct RequestOrigin {
    /// The method.
    pub method: Method,
    uri: Uri,
    origins: Vec<HeaderValue>,
    settings: Arc<Settings>,
}

/// The host's own answers.
#[derive(Debug)]
pub(crate) struct OwnAnswers {
    base_path: String,
    settings: RwLock<Arc<Settings>>,
}

/// Settings of the answers. A request keeps those of its beginning.
#[derive(Debug)]
struct Settings {
    config: Config,
    access_control: bool,
    /// Fields of every answer, if they are equal for all requests.
    common: Option<Fields>,
}

impl Settings {
    fn new(config: Config, access_control: bool) -> Arc<Self> {
        let common = response::common_to_all(&config, access_control);
        Arc::new(Self {
            config,
            access_control,
            common,
        })
    }
}

impl OwnAnswers {
    /// Creates the answers for this configuration, with or without access control.
    #[must_use]
    pub(crate) fn new(config: Config, access_control: bool) -> Arc<Self> {
        Arc::new(Self {
            base_path: config.base_path.clone(),
            settings: RwLock::new(Settings::new(config, access_control)),
        })
    }

    /// Answers further requests for this configuration. The path prefix stays.
    pub(crate) fn replace(&self, config: Config, access_control: bool) {
        let mut settings = self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *settings = Settings::new(config, access_control);
    }

    /// Path prefix of all streams.
    pub(crate) fn base_path(&self) -> &str {
        &self.base_path
    }

    /// Copies the parts of a request that an answer needs.
    #[must_use]
    pub(crate) fn request_origin(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> RequestOrigin {
        let settings = self.settings.read().unwrap_or_else(PoisonError::into_inner);
        let settings = Arc::clone(&settings);
        let origins = match settings.common {
            Some(_) => Vec::new(),
            None => headers.get_all(ORIGIN).iter().cloned().collect(),
        };
        RequestOrigin {
            method: method.clone(),
            uri: uri.clone(),
            origins,
            settings,
        }
    }

    /// Answer that tells the client whether it may retry.
    #[must_use]
    pub(crate) fn unavailable(
        &self,
        applied: Applied,
        request_origin: &RequestOrigin,
    ) -> Response<ResponseBody> {
        self.problem(&applied.problem(), request_origin)
    }

    /// Answer with this problem.
    #[must_use]
    pub(crate) fn problem(
        &self,
        problem: &Problem,
        request_origin: &RequestOrigin,
    ) -> Response<ResponseBody> {
        let document = problem.body(Some(request_origin.uri.path()));
        self.whole(Head::problem(problem), document, request_origin)
    }

    /// Answer with this head and body, and the common fields.
    pub(super) fn whole(
        &self,
        mut head: Head,
        document: Vec<u8>,
        request_origin: &RequestOrigin,
    ) -> Response<ResponseBody> {
        head.headers.append(&request_origin.common());
        head.push(headers::CONTENT_LENGTH, document.len().to_string());
        let body = match request_origin.method {
            Method::HEAD => Bytes::new(),
            _ => Bytes::from(document),
        };
        let mut response = Response::new(ResponseBody::whole(body));
        // Every status in the table is valid.
        *response.status_mut() =
            StatusCode::from_u16(head.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = unpack_fields(head.headers.into_packed());
        response
    }
}

impl RequestOrigin {
    /// The fields of every answer to this request.
    fn common(&self) -> Cow<'_, Fields> {
        let Settings {
            config,
            access_control,
            common,
        } = &*self.settings;
        match common {
            Some(common) => Cow::Borrowed(common),
            None => {
                let origins = self.origins.iter().map(HeaderValue::as_bytes);
                Cow::Owned(response::common(config, origins, *access_control))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::HeaderName;
    use http_body::Body;

    fn own(cors_origins: &str, access_control: bool) -> Arc<OwnAnswers> {
        let given = |name: &str| (name == "cors_origins").then(|| cors_origins.to_owned());
        let config = Config::from_lookup(given).expect("good variables");
        OwnAnswers::new(config, access_control)
    }

    /// The host's refusal of a request with this method and these `Origin` fields.
    fn refused(
        own: &OwnAnswers,
        method: Method,
        origins: &[&'static str],
    ) -> Response<ResponseBody> {
        let values = origins
            .iter()
            .map(|origin| HeaderValue::from_static(origin));
        let headers: HeaderMap = values.map(|value| (ORIGIN, value)).collect();
        let request_origin =
            own.request_origin(&method, &Uri::from_static("/v1/stream/s"), &headers);
        own.problem(&too_many(Duration::from_millis(1001)), &request_origin)
    }

    fn field<'a>(response: &'a Response<ResponseBody>, name: &'static str) -> Option<&'a str> {
        let value = response.headers().get(HeaderName::from_static(name))?;
        Some(value.to_str().expect("text"))
    }

    /// The host's own answers had CORS fields only if all origins were allowed. Scripts of a listed
    /// origin saw a refusal as a network error.
    #[test]
    fn the_hosts_own_answers_allow_the_same_origins_as_the_others() {
        const A: &str = "https://a.example";
        for (cors_origins, origins, allowed, vary) in [
            ("*", &[A][..], Some("*"), None),
            ("*", &[], Some("*"), None),
            (
                "https://b.example, https://a.example",
                &[A],
                Some(A),
                Some("origin"),
            ),
            ("https://b.example", &[A], None, Some("origin")),
            ("https://a.example", &[], None, Some("origin")),
            ("https://a.example", &[A, A], None, Some("origin")),
        ] {
            let response = refused(&own(cors_origins, false), Method::GET, origins);
            let of = |name| field(&response, name);
            assert_eq!(of("access-control-allow-origin"), allowed, "{cors_origins}");
            assert_eq!(of("vary"), vary, "{cors_origins}");
            let exposed = of("access-control-expose-headers").unwrap_or_default();
            let exposed = exposed.split(", ").any(|name| name == "retry-after");
            assert_eq!(exposed, allowed.is_some(), "{cors_origins}");
        }
        let response = refused(&own("*", true), Method::GET, &[]);
        assert_eq!(field(&response, "vary"), Some("authorization"));
    }

    #[test]
    fn a_replacement_counts_for_requests_that_begin_later() {
        let own = own("*", false);
        let uri = Uri::from_static("/v1/stream/s");
        let earlier = own.request_origin(&Method::GET, &uri, &HeaderMap::new());
        let given = |name: &str| (name == "cors_origins").then(|| "https://b.example".to_owned());
        own.replace(Config::from_lookup(given).expect("good variables"), true);
        let later = own.request_origin(&Method::GET, &uri, &HeaderMap::new());
        for (request_origin, vary) in [(earlier, None), (later, Some("authorization"))] {
            let response = own.problem(&too_slow(), &request_origin);
            let found = field(&response, "vary").map(|vary| vary.contains("authorization"));
            assert_eq!(found, vary.map(|_| true));
        }
    }

    #[test]
    fn the_hosts_own_answers_are_problems_like_the_others() {
        let own = own("*", false);
        let response = refused(&own, Method::GET, &[]);
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        for (name, expected) in [
            ("content-type", "application/problem+json"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("cross-origin-resource-policy", "cross-origin"),
            ("retry-after", "2"),
        ] {
            assert_eq!(field(&response, name), Some(expected), "{name}");
        }
        let length = response.body().size_hint().exact().expect("a length");
        let length = length.to_string();
        assert_eq!(field(&response, "content-length"), Some(&*length));
        let to_head = refused(&own, Method::HEAD, &[]);
        assert_eq!(field(&to_head, "content-length"), Some(&*length));
        assert!(to_head.body().is_end_stream(), "HEAD has no body");
    }
}
