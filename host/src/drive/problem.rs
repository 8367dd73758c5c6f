//! The few answers the host gives by itself, because no instance could.

use super::body::ResponseBody;
use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Response, StatusCode};
use serde_json::json;

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");

/// What the client may conclude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// Nothing was done; the request may be repeated as it is.
    Nothing,
    /// A write may have been done.
    Unknown,
}

impl Applied {
    /// What is known of a request whose instance broke while it handled it.
    #[must_use]
    pub fn of_broken(method: &Method) -> Self {
        if method.is_safe() {
            Self::Nothing
        } else {
            Self::Unknown
        }
    }
}

/// A 503 with the code that says what the client may do next.
#[must_use]
pub fn unavailable(applied: Applied, path: &str, any_origin: bool) -> Response<ResponseBody> {
    let (code, title, detail) = match applied {
        Applied::Nothing => (
            "UNAVAILABLE",
            "Service Unavailable",
            "The server is temporarily unable to complete the request.",
        ),
        Applied::Unknown => (
            "OUTCOME_UNKNOWN",
            "Outcome Unknown",
            "The request may or may not have been applied.",
        ),
    };
    let kind = code.to_ascii_lowercase().replace('_', "-");
    let document = json!({
        "type": format!("/errors/{kind}"),
        "title": title,
        "status": 503,
        "code": code,
        "detail": detail,
        "instance": path,
    });
    let body = ResponseBody::whole(Bytes::from(document.to_string()));
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let fields = [
        (CONTENT_TYPE, "application/problem+json"),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin"),
    ];
    let headers = response.headers_mut();
    for (name, value) in fields {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if applied == Applied::Nothing {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if any_origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    response
}
