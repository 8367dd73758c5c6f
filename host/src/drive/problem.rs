//! The few answers the host gives by itself, because no instance could.

use super::body::ResponseBody;
use crate::exchange::StepError;
use crate::store::Lost;
use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Response, StatusCode};
use serde_json::json;
use std::time::Duration;

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");

/// What the client may conclude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// Nothing was done; the request may be repeated as it is.
    Nothing,
    /// Nothing was done, since there is no room for it.
    NoRoom,
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

    /// What is known of a request whose changes, or those it had read, were lost.
    #[must_use]
    pub fn of_lost(method: &Method, lost: Lost) -> Self {
        match lost {
            _ if method.is_safe() => Self::Nothing,
            Lost::NoSpace => Self::NoRoom,
            Lost::NotWritten => Self::Nothing,
            Lost::NotConfirmed => Self::Unknown,
        }
    }

    /// What is known of a request whose step has no answer.
    #[must_use]
    pub fn of_failed(method: &Method, error: &StepError) -> Self {
        match error {
            StepError::Broken(_) => Self::of_broken(method),
            StepError::NoInstance(_) => Self::Nothing,
            StepError::Lost(lost) => Self::of_lost(method, *lost),
        }
    }

    /// Status, code, title and detail, as the component has them (`src/protocol/problem.rs`).
    const fn row(self) -> Row {
        match self {
            Self::Nothing => (
                StatusCode::SERVICE_UNAVAILABLE,
                "UNAVAILABLE",
                "Service Unavailable",
                "The server is temporarily unable to complete the request.",
            ),
            Self::NoRoom => (
                StatusCode::INSUFFICIENT_STORAGE,
                "INSUFFICIENT_STORAGE",
                "Insufficient Storage",
                "The server does not have enough storage available to complete the request.",
            ),
            Self::Unknown => (
                StatusCode::SERVICE_UNAVAILABLE,
                "OUTCOME_UNKNOWN",
                "Outcome Unknown",
                "The request may or may not have been applied.",
            ),
        }
    }
}

/// The problem document that says what the client may do next.
#[must_use]
pub fn unavailable(applied: Applied, path: &str, any_origin: bool) -> Response<ResponseBody> {
    let mut response = document(applied.row(), path, any_origin);
    if applied == Applied::Nothing {
        let headers = response.headers_mut();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// The problem document of a request that is one too many, and may be sent again after `wait`.
#[must_use]
pub fn too_many(wait: Duration, path: &str, any_origin: bool) -> Response<ResponseBody> {
    let row = (
        StatusCode::TOO_MANY_REQUESTS,
        "TOO_MANY_REQUESTS",
        "Too Many Requests",
        "This token or address sent more requests than it may. Nothing was applied.",
    );
    let mut response = document(row, path, any_origin);
    // In whole seconds, of which none would be an invitation.
    let secs = (wait.as_nanos().div_ceil(1_000_000_000) as u64).max(1);
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from(secs));
    response
}

/// The problem document of a request whose body came too slowly.
#[must_use]
pub fn too_slow(path: &str, any_origin: bool) -> Response<ResponseBody> {
    let row = (
        StatusCode::REQUEST_TIMEOUT,
        "REQUEST_TIMEOUT",
        "Request Timeout",
        "The request body came too slowly. Nothing was applied.",
    );
    document(row, path, any_origin)
}

/// Status, code, title and detail.
type Row = (StatusCode, &'static str, &'static str, &'static str);

fn document(
    (status, code, title, detail): Row,
    path: &str,
    any_origin: bool,
) -> Response<ResponseBody> {
    let kind = code.to_ascii_lowercase().replace('_', "-");
    let document = json!({
        "type": format!("/errors/{kind}"),
        "title": title,
        "status": status.as_u16(),
        "code": code,
        "detail": detail,
        "instance": path,
    });
    let body = ResponseBody::whole(Bytes::from(document.to_string()));
    let mut response = Response::new(body);
    *response.status_mut() = status;
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
    if any_origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    response
}
