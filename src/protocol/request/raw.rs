//! A request as a driver has it.

use super::super::packed;

/// A request as a driver has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawRequest<'a> {
    /// The method, in its case.
    pub method: &'a str,
    /// `http` or `https`, where known.
    pub scheme: Option<&'a str>,
    /// Host and port, where known.
    pub authority: Option<&'a str>,
    /// Raw path and query.
    pub target: &'a str,
    /// [Packed](packed) fields: names in any case, raw values.
    pub headers: &'a [u8],
    /// The body, empty unless it is complete.
    pub body: &'a [u8],
    /// How the body ended.
    pub body_state: BodyState,
}

/// How a request body came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyState {
    /// It is all there.
    Complete,
    /// It passed `max_append_bytes`.
    TooLarge,
    /// There was no room to buffer it.
    NoRoom,
    /// It was malformed, or cut off before its end.
    Broken,
}

impl<'a> RawRequest<'a> {
    /// The values of a field, without white space around them.
    pub fn field_values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        packed::fields(self.headers)
            .filter(move |(given, _)| given.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| trim(value))
    }
}

/// A value without the white space that may stand around it.
pub(super) fn trim(value: &[u8]) -> &[u8] {
    let mut value = value;
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
