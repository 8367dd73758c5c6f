//! Percent-encoding (RFC 3986), strict: a `%` without two hex digits is an error.

use std::borrow::Cow;

/// A `%` is not followed by two hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadEscape;

/// Decodes every escape once; `+` stays `+`.
pub(super) fn decode(raw: &str) -> Result<Cow<'_, [u8]>, BadEscape> {
    if !raw.as_bytes().contains(&b'%') {
        return Ok(Cow::Borrowed(raw.as_bytes()));
    }
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let high = hex_digit(bytes.next())?;
                high << 4 | hex_digit(bytes.next())?
            }
            literal => literal,
        });
    }
    Ok(Cow::Owned(decoded))
}

fn hex_digit(byte: Option<u8>) -> Result<u8, BadEscape> {
    byte.and_then(|byte| char::from(byte).to_digit(16))
        .and_then(|digit| u8::try_from(digit).ok())
        .ok_or(BadEscape)
}

/// Appends `segment` as a path segment. Characters that RFC 3986 allows there are not escaped.
pub(super) fn encode_segment(out: &mut String, segment: &str) {
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                let digit = char::from_digit(u32::from(digit), 16).unwrap_or_default();
                out.push(digit.to_ascii_uppercase());
            }
        }
    }
}
