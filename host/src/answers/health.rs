//! Response to a health probe. It waits for no instance, as a step may hang together with the
//! store. A supervisor without a response would restart one host after the other.
//!
//! The response is byte for byte that of the component.

use super::body::ResponseBody;
use super::problem::OwnAnswers;
use durable_streams_edge::protocol::headers;
use durable_streams_edge::protocol::paths::HEALTH;
use durable_streams_edge::protocol::response::Head;
use http::header::HeaderMap;
use http::{Method, Response, Uri};

/// Returns the response if the request is a health probe. The component handles other methods.
pub(crate) fn health(
    own: &OwnAnswers,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Option<Response<ResponseBody>> {
    let asked = HEALTH.contains(&uri.path()) && matches!(*method, Method::GET | Method::HEAD);
    asked.then(|| {
        let head = Head::new(200)
            .with(headers::CACHE_CONTROL, "no-store")
            .with(headers::CONTENT_TYPE, "text/plain");
        let request_origin = own.request_origin(method, uri, headers);
        own.whole(head, b"ok".to_vec(), &request_origin)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::unpack_fields;
    use durable_streams_edge::limits::Config;
    use durable_streams_edge::protocol::packed::Fields;
    use durable_streams_edge::protocol::request::{BodyState, RawRequest};
    use durable_streams_edge::service::Service;
    use durable_streams_edge::service::env::{Env, StoreError, SwapError};
    use durable_streams_edge::settings::Variables;
    use futures::FutureExt;
    use http::header::{HeaderValue, ORIGIN};
    use http_body_util::BodyExt;
    use std::sync::Arc;

    /// The component's environment while its store is unavailable.
    struct Away(&'static str);

    fn away<T>() -> Result<T, StoreError> {
        Err(StoreError::Unavailable("away".to_owned()))
    }

    impl Env for Away {
        type Cas = ();

        fn get(&self, _: &str) -> Result<Option<Vec<u8>>, StoreError> {
            away()
        }

        fn exists(&self, _: &str) -> Result<bool, StoreError> {
            away()
        }

        fn set(&self, _: &str, _: &[u8]) -> Result<(), StoreError> {
            away()
        }

        fn delete(&self, _: &str) -> Result<(), StoreError> {
            away()
        }

        fn increment(&self, _: &str, _: i64) -> Result<i64, StoreError> {
            away()
        }

        fn cas(&self, _: &str) -> Result<(), StoreError> {
            away()
        }

        fn current(&self, (): &()) -> Result<Option<Vec<u8>>, StoreError> {
            away()
        }

        fn swap(&self, (): (), _: &[u8]) -> Result<(), SwapError<()>> {
            away().map_err(SwapError::Store)
        }

        fn now_ms(&self) -> u64 {
            0
        }

        fn random(&self) -> u64 {
            0
        }

        fn variables(&self) -> Result<Variables, String> {
            Ok(Variables::from([(
                "cors_origins".to_owned(),
                self.0.to_owned(),
            )]))
        }

        fn instance(&self) -> u64 {
            0
        }

        fn log(&self, _: &str) {}
    }

    /// Status, fields and body.
    type ResponseParts = (u16, HeaderMap, Vec<u8>);

    fn of_component(cors_origins: &'static str, method: &str, target: &str) -> ResponseParts {
        let mut fields = Fields::default();
        fields.push("origin", ORIGIN_OF_ASKER);
        let raw = RawRequest {
            method,
            scheme: None,
            authority: None,
            target,
            headers: fields.as_packed(),
            body: b"",
            body_state: BodyState::Complete,
        };
        let answers = Service::new(Away(cors_origins)).start(&[raw], None);
        let answer = answers.into_iter().next().expect("an answer");
        let head = answer.head.expect("a head");
        let fields = unpack_fields(head.headers.into_packed());
        (head.status, fields, answer.body)
    }

    const ORIGIN_OF_ASKER: &str = "https://a.example";

    fn own(cors_origins: &str) -> Arc<OwnAnswers> {
        let given = |name: &str| (name == "cors_origins").then(|| cors_origins.to_owned());
        OwnAnswers::new(Config::from_lookup(given).expect("good variables"), false)
    }

    fn of_host(own: &OwnAnswers, method: Method, target: &'static str) -> Option<ResponseParts> {
        let origin = (ORIGIN, HeaderValue::from_static(ORIGIN_OF_ASKER));
        let headers = HeaderMap::from_iter([origin]);
        let response = health(own, &method, &Uri::from_static(target), &headers)?;
        let (parts, body) = response.into_parts();
        let body = body.collect().now_or_never().expect("it is all there");
        let body = body.expect("no reset").to_bytes().to_vec();
        Some((parts.status.as_u16(), parts.headers, body))
    }

    #[test]
    fn the_host_answers_health_like_the_component() {
        for cors_origins in ["*", "https://a.example", "https://b.example"] {
            let own = own(cors_origins);
            for target in ["/health", "/healthz", "/health?x=1"] {
                for method in [Method::GET, Method::HEAD] {
                    let expected = of_component(cors_origins, method.as_str(), target);
                    assert_eq!(expected.0, 200);
                    let response = of_host(&own, method.clone(), target);
                    assert_eq!(response, Some(expected), "{cors_origins} {method} {target}");
                }
            }
        }
    }

    #[test]
    fn requests_for_anything_but_health_are_left_to_the_component() {
        let own = own("*");
        for (method, target) in [
            (Method::POST, "/health"),
            (Method::OPTIONS, "/healthz"),
            (Method::GET, "/readyz"),
            (Method::GET, "/health/"),
            (Method::GET, "/v1/stream/health"),
        ] {
            assert_eq!(
                of_host(&own, method.clone(), target),
                None,
                "{method} {target}"
            );
        }
    }
}
