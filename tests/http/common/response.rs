//! An answer, and the checks that tests make on it.

use serde_json::Value;
use std::fmt;

/// The answer to a request.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Shortens a long body, which would hide the rest.
impl fmt::Debug for Response {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.body[..self.body.len().min(300)];
        write!(out, "{} {:?} ", self.status, self.headers)?;
        write!(
            out,
            "{:?} ({} bytes)",
            String::from_utf8_lossy(shown),
            self.body.len()
        )
    }
}

impl Response {
    /// The value of a field that may occur once.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(
            values.len() <= 1,
            "{name} is there more than once: {values:?}"
        );
        values.first().copied()
    }

    /// Every value of a field.
    fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(given, _)| given == name);
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// Requires this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Requires one of the statuses that mean success.
    #[track_caller]
    pub(crate) fn expect_success(self) -> Self {
        let success = matches!(self.status, 200 | 201 | 204);
        assert!(success, "{self:?}");
        self
    }

    /// Requires a field with this value.
    #[track_caller]
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        assert_eq!(self.header(name), Some(value), "{name} of {self:?}");
        self
    }

    /// Requires that a field is absent.
    #[track_caller]
    pub(crate) fn without(self, name: &str) -> Self {
        assert_eq!(self.header(name), None, "{name} of {self:?}");
        self
    }

    /// Requires this body.
    #[track_caller]
    pub(crate) fn with_body(self, body: impl AsRef<[u8]>) -> Self {
        let expected = String::from_utf8_lossy(body.as_ref());
        assert_eq!(self.text(), expected, "{self:?}");
        self
    }

    /// Requires a problem document with this status and code, and the fields of every error.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, code: &str) -> Self {
        let response = self.expect(status);
        response.expect_security();
        let response = response
            .with("content-type", "application/problem+json")
            .with("cache-control", "no-store");
        let problem = response.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        for field in ["type", "title", "detail"] {
            let text = problem[field].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{field} of {problem}");
        }
        let kind = problem["type"].as_str().unwrap_or_default();
        assert!(kind.starts_with("/errors/"), "{problem}");
        response
    }

    /// Requires the fields that every answer has (section 12.7).
    #[track_caller]
    pub(crate) fn expect_security(&self) {
        assert_eq!(
            self.header("x-content-type-options"),
            Some("nosniff"),
            "{self:?}"
        );
        let policy = self.header("cross-origin-resource-policy");
        assert_eq!(policy, Some("cross-origin"), "{self:?}");
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("not JSON: {error}: {}", self.text()),
        }
    }

    /// Stream-Next-Offset.
    #[track_caller]
    pub(crate) fn next_offset(&self) -> String {
        match self.header("stream-next-offset") {
            Some(offset) => offset.to_owned(),
            None => panic!("no stream-next-offset: {self:?}"),
        }
    }

    /// Stream-Cursor as a number.
    #[track_caller]
    pub(crate) fn cursor(&self) -> u64 {
        let text = self.header("stream-cursor").unwrap_or_default();
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        assert!(digits, "stream-cursor {text:?} of {self:?}");
        text.parse().expect("a cursor fits 64 bits")
    }

    pub(crate) fn is_up_to_date(&self) -> bool {
        self.flag("stream-up-to-date")
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.flag("stream-closed")
    }

    /// Flags are `true` or absent, never anything else.
    #[track_caller]
    fn flag(&self, name: &str) -> bool {
        match self.header(name) {
            None => false,
            Some("true") => true,
            Some(other) => panic!("{name} is {other:?}: {self:?}"),
        }
    }
}
