//! How a body is encoded: not at all. What is stored is what came, and readers are not told of
//! another coding, so that one which is not undone here would be lost.

use super::super::headers;
use super::super::problem::{Code, Problem};
use super::raw::{RawRequest, trim};

/// The only coding there is (RFC 9110, section 8.4).
const IDENTITY: &str = "identity";

/// Refuses a body that is encoded. Of no bytes, a coding means nothing.
pub(super) fn check(raw: &RawRequest<'_>) -> Result<(), Problem> {
    let is_identity = |coding: &[u8]| coding.eq_ignore_ascii_case(IDENTITY.as_bytes());
    let mut codings = raw
        .field_values(headers::CONTENT_ENCODING)
        .flat_map(|line| line.split(|byte| *byte == b','))
        .map(trim)
        .filter(|coding| !coding.is_empty());
    match raw.body.is_empty() || codings.all(is_identity) {
        true => Ok(()),
        false => Err(Problem::new(
            Code::UnsupportedContentEncoding,
            "The body has a Content-Encoding, which this server does not undo. Send the bytes as \
             they are.",
        )
        .with_field(headers::ACCEPT_ENCODING, IDENTITY)),
    }
}
