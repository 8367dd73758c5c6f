//! Content codings of request bodies: only the identity is accepted. The server stores a body as
//! received and does not pass its coding on to readers, so any other coding would be lost.

use super::super::headers;
use super::super::problem::{Code, Problem};
use super::raw::{RawRequest, trim};

/// The only accepted coding (RFC 9110, section 8.4).
const IDENTITY: &str = "identity";

/// Refuses an encoded body. For an empty body the coding is ignored.
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
            "The body has a Content-Encoding, which this server does not decode. Send the bytes \
             without an encoding.",
        )
        .with_field(headers::ACCEPT_ENCODING, IDENTITY)),
    }
}
