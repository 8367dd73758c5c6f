//! Sends requests, and repeats them by the retry rules.

use crate::error::Cause;
use crate::retry::{Retry, Schedule, Verdict, parse_retry_after, verdict};
use crate::{Closed, Error, Offset, Refusal, headers};
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use std::sync::Arc;
use std::time::{Duration, Instant};
use url::{Origin, Url};

/// Bytes of the body of a refusal after which no more are read.
const PROBLEM_LIMIT: usize = 64 * 1024;

/// Longest error text that is read from a body which is no problem document.
const TEXT_LIMIT: usize = 200;

/// The HTTP client with what all requests share.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    pub(crate) client: reqwest::Client,
    /// Value of `Authorization`, and the only origin that gets it.
    pub(crate) authorization: Option<(HeaderValue, Origin)>,
    pub(crate) retry: Retry,
    pub(crate) timeout: Duration,
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
    /// Whether a second application changes nothing.
    pub(crate) is_repeatable: bool,
}

impl Call {
    /// A request without a body, which may be repeated.
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
            is_repeatable: true,
        }
    }

    /// Adds a header field.
    pub(crate) fn with(mut self, field: &'static str, value: &str) -> Result<Self, Error> {
        let value = HeaderValue::from_str(value).map_err(|_| Error::InvalidValue { field })?;
        self.headers.insert(field, value);
        Ok(self)
    }

    /// Adds a header field, if there is a value.
    pub(crate) fn with_some(
        self,
        field: &'static str,
        value: Option<impl ToString>,
    ) -> Result<Self, Error> {
        match value {
            Some(value) => self.with(field, &value.to_string()),
            None => Ok(self),
        }
    }

    pub(crate) fn protocol_error(&self, problem: impl Into<String>) -> Error {
        Error::Protocol {
            method: self.method.to_string(),
            url: self.url.to_string(),
            problem: problem.into(),
        }
    }
}

/// A successful response with its whole body.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A failed try.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) verdict: Verdict,
    pub(crate) error: Error,
    pub(crate) retry_after: Option<Duration>,
}

impl Http {
    /// Sends a request until it succeeds, fails for good, or the retries end. Returns the response,
    /// and whether an earlier try may have been applied.
    pub(crate) async fn call(&self, call: &Call) -> Result<(Reply, bool), (Error, bool)> {
        let mut schedule = Schedule::new(&self.retry);
        let mut may_be_applied = false;
        loop {
            let failure = match self.attempt(call).await {
                Ok(reply) => return Ok((reply, may_be_applied)),
                Err(failure) => failure,
            };
            let may_retry = match failure.verdict {
                Verdict::NotApplied => true,
                Verdict::Unknown => call.is_repeatable,
                Verdict::Final => false,
            };
            let pause = match may_retry {
                true => schedule.next(failure.retry_after, Instant::now()),
                false => None,
            };
            may_be_applied |= failure.verdict == Verdict::Unknown;
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None if may_be_applied => {
                    return Err((failure.error.of_unknown_outcome(call), true));
                }
                None => return Err((failure.error, false)),
            }
        }
    }

    /// Like [`Http::call`], without the note on earlier tries.
    pub(crate) async fn request(&self, call: &Call) -> Result<Reply, Error> {
        match self.call(call).await {
            Ok((reply, _)) => Ok(reply),
            Err((error, _)) => Err(error),
        }
    }

    /// Sends a request once, and reads the whole body.
    pub(crate) async fn attempt(&self, call: &Call) -> Result<Reply, Failure> {
        let mut response = self.open(call, self.timeout).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        loop {
            let part = tokio::time::timeout(self.timeout, response.chunk()).await;
            match part {
                Ok(Ok(Some(part))) => body.extend_from_slice(&part),
                Ok(Ok(None)) => break,
                Ok(Err(error)) => return Err(lost(call, error)),
                Err(_) => return Err(lost(call, TooSlow)),
            }
        }
        Ok(Reply {
            status,
            headers,
            body: body.into(),
        })
    }

    /// Sends a request once, and returns the successful response before its body.
    pub(crate) async fn open(
        &self,
        call: &Call,
        timeout: Duration,
    ) -> Result<reqwest::Response, Failure> {
        let mut request = self.client.request(call.method.clone(), call.url.clone());
        request = request.headers(call.headers.clone());
        if let Some((value, origin)) = &self.authorization
            && *origin == call.url.origin()
        {
            request = request.header(AUTHORIZATION, value.clone());
        }
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        }
        let response = match tokio::time::timeout(timeout, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_connect() => return Err(unreachable(call, error)),
            Ok(Err(error)) if error.is_builder() => {
                let verdict = Verdict::Final;
                let error = Error::Setup(Cause(Arc::new(error)).to_string());
                return Err(Failure::new(verdict, error));
            }
            Ok(Err(error)) => return Err(lost(call, error)),
            Err(_) => return Err(lost(call, TooSlow)),
        };
        match response.status().is_success() {
            true => Ok(response),
            false => Err(refused(call, response, self.timeout).await),
        }
    }
}

impl Failure {
    pub(crate) fn new(verdict: Verdict, error: Error) -> Self {
        Self {
            verdict,
            error,
            retry_after: None,
        }
    }
}

impl Error {
    /// This error of the last try, after an earlier try that may have been applied.
    pub(crate) fn of_unknown_outcome(self, call: &Call) -> Self {
        match self {
            Self::Unreachable { .. } | Self::Busy(_) if !call.method.is_safe() => {
                Self::OutcomeUnknown {
                    method: call.method.to_string(),
                    url: call.url.to_string(),
                    problem: format!("an earlier try may have been applied. The last one: {self}"),
                }
            }
            error => error,
        }
    }
}

/// No response came in time.
#[derive(Debug, thiserror::Error)]
#[error("no response came in time")]
struct TooSlow;

fn unreachable(call: &Call, error: reqwest::Error) -> Failure {
    let error = Error::Unreachable {
        method: call.method.to_string(),
        url: call.url.to_string(),
        source: Cause(Arc::new(error)),
    };
    Failure::new(Verdict::NotApplied, error)
}

/// Failure of a request that may have reached the server.
pub(crate) fn lost(call: &Call, error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    let cause = Cause(Arc::new(error));
    let (method, url) = (call.method.to_string(), call.url.to_string());
    let error = match call.method.is_safe() {
        true => Error::Unreachable {
            method,
            url,
            source: cause,
        },
        false => Error::OutcomeUnknown {
            method,
            url,
            problem: cause.to_string(),
        },
    };
    Failure::new(Verdict::Unknown, error)
}

async fn refused(call: &Call, mut response: reqwest::Response, timeout: Duration) -> Failure {
    let (status, headers) = (response.status(), response.headers().clone());
    // The status decides. A lost body only costs the detail.
    let mut body = Vec::new();
    let read = async {
        while body.len() < PROBLEM_LIMIT
            && let Ok(Some(part)) = response.chunk().await
        {
            body.extend_from_slice(&part);
        }
    };
    let _ = tokio::time::timeout(timeout, read).await;
    let (code, detail) = problem(&body);
    let refusal = Box::new(Refusal {
        method: call.method.to_string(),
        url: call.url.to_string(),
        status: status.as_u16(),
        code,
        detail,
    });
    let retry_after = text(&headers, RETRY_AFTER.as_str());
    let retry_after =
        retry_after.and_then(|text| parse_retry_after(text, std::time::SystemTime::now()));
    let verdict = verdict(status, retry_after.is_some());
    let is_write = !call.method.is_safe();
    let error = match verdict {
        Verdict::NotApplied => Error::Busy(refusal),
        Verdict::Unknown if is_write => Error::OutcomeUnknown {
            method: refusal.method.clone(),
            url: refusal.url.clone(),
            problem: refusal.to_string(),
        },
        Verdict::Unknown => Error::Refused(refusal),
        Verdict::Final => meaning(status, &headers, refusal),
    };
    Failure {
        verdict,
        error,
        retry_after,
    }
}

/// Returns the error that a final status means.
fn meaning(status: StatusCode, headers: &HeaderMap, refusal: Box<Refusal>) -> Error {
    let next_offset = offset(headers);
    match status {
        StatusCode::NOT_FOUND => Error::NotFound(refusal),
        StatusCode::GONE => match next_offset {
            Some(restart) => Error::OffsetGone { refusal, restart },
            None => Error::Gone(refusal),
        },
        StatusCode::CONFLICT => {
            let expected = number(headers, headers::PRODUCER_EXPECTED_SEQ);
            match (closed(headers), expected) {
                (Some(closed), _) => Error::Closed {
                    closed,
                    next_offset,
                },
                (None, Some(expected)) => Error::SequenceGap {
                    expected,
                    sent: number(headers, headers::PRODUCER_RECEIVED_SEQ).unwrap_or_default(),
                },
                (None, None) => Error::Conflict(refusal),
            }
        }
        StatusCode::PRECONDITION_FAILED => Error::TailMoved { tail: next_offset },
        StatusCode::FORBIDDEN => match number(headers, headers::PRODUCER_EPOCH) {
            Some(current) => Error::Fenced { current },
            None => Error::Denied(refusal),
        },
        StatusCode::UNAUTHORIZED => Error::Denied(refusal),
        _ => Error::Refused(refusal),
    }
}

/// Fields of a problem document, of the specification's errors, and of similar ones.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    code: Option<String>,
    detail: Option<String>,
    message: Option<String>,
    title: Option<String>,
    error: Option<serde_json::Value>,
}

/// Finds the code and the text of a refusal.
fn problem(body: &[u8]) -> (Option<String>, Option<String>) {
    let Ok(mut problem) = serde_json::from_slice::<Problem>(body) else {
        let text = String::from_utf8_lossy(body);
        let text: String = text.trim().chars().take(TEXT_LIMIT).collect();
        return (None, (!text.is_empty()).then_some(text));
    };
    let mut text = None;
    match problem.error.take() {
        Some(serde_json::Value::String(error)) => text = Some(error),
        Some(error @ serde_json::Value::Object(_)) => {
            problem = serde_json::from_value(error).unwrap_or(problem);
        }
        _ => {}
    }
    let detail = problem.detail.or(problem.message).or(text);
    (problem.code, detail.or(problem.title))
}

/// Value of a header field, if it is text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, field: &str) -> Option<&'a str> {
    headers.get(field)?.to_str().ok()
}

/// Value of a header field, if it is a number.
pub(crate) fn number(headers: &HeaderMap, field: &str) -> Option<u64> {
    text(headers, field)?.parse().ok()
}

/// `Stream-Next-Offset`.
pub(crate) fn offset(headers: &HeaderMap) -> Option<Offset> {
    text(headers, headers::STREAM_NEXT_OFFSET).map(Offset::new)
}

/// Whether a header field is `true`, in any case.
pub(crate) fn is_true(headers: &HeaderMap, field: &str) -> bool {
    text(headers, field).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// The close that `Stream-Closed` and `Stream-Closed-Reason` report.
pub(crate) fn closed(headers: &HeaderMap) -> Option<Closed> {
    is_true(headers, headers::STREAM_CLOSED).then(|| Closed {
        reason: text(headers, headers::STREAM_CLOSED_REASON).map(str::to_owned),
    })
}

/// `Content-Type`.
pub(crate) fn content_type(headers: &HeaderMap) -> Option<&str> {
    text(headers, CONTENT_TYPE.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_refusal_is_found_in_each_known_form() {
        let some = |code: &str, detail: &str| (Some(code.to_owned()), Some(detail.to_owned()));
        let ours = br#"{"type":"x","title":"T","status":404,"code":"NOT_FOUND","detail":"D"}"#;
        assert_eq!(problem(ours), some("NOT_FOUND", "D"));
        let control = br#"{"error":{"code":"C","message":"M"}}"#;
        assert_eq!(problem(control), some("C", "M"));
        assert_eq!(
            problem(b"Stream not found\n").1.unwrap(),
            "Stream not found"
        );
        assert_eq!(problem(br#"{"error":"E"}"#).1.unwrap(), "E");
        assert_eq!(problem(b""), (None, None));
    }

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let fields = fields.iter();
        fields
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect()
    }

    fn refusal() -> Box<Refusal> {
        Box::new(Refusal {
            method: "POST".into(),
            url: "http://h/s".into(),
            status: 0,
            code: None,
            detail: None,
        })
    }

    #[test]
    fn a_409_of_a_closed_stream_is_a_close_whatever_the_case_of_true() {
        let fields = headers(&[("stream-closed", "True"), ("stream-closed-reason", "done")]);
        let error = meaning(StatusCode::CONFLICT, &fields, refusal());
        assert_eq!(error.to_string(), "the stream is closed (done)");
        let fields = headers(&[("stream-closed", "yes")]);
        let error = meaning(StatusCode::CONFLICT, &fields, refusal());
        assert!(matches!(error, Error::Conflict(_)));
    }

    #[test]
    fn a_410_with_an_offset_tells_where_to_go_on() {
        let fields = headers(&[("stream-next-offset", "7")]);
        let error = meaning(StatusCode::GONE, &fields, refusal());
        let Error::OffsetGone { restart, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(restart, Offset::new("7"));
        let error = meaning(StatusCode::GONE, &HeaderMap::new(), refusal());
        assert!(matches!(error, Error::Gone(_)));
    }
}
