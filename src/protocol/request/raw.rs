//! A request in the form that a driver provides.

use super::super::packed;

/// A request in the form that a driver provides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawRequest<'a> {
    /// The method, case-sensitive.
    pub method: &'a str,
    /// `http` or `https`, if known.
    pub scheme: Option<&'a str>,
    /// Host and port, if known.
    pub authority: Option<&'a str>,
    /// Raw path and query.
    pub target: &'a str,
    /// [Packed](packed) fields: names in any case, raw values.
    pub headers: &'a [u8],
    /// The body, empty unless it is complete.
    pub body: &'a [u8],
    /// How the reading of the body ended.
    pub body_state: BodyState,
}

/// How the reading of a request body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyState {
    /// The body is complete.
    Complete,
    /// The body is larger than `max_append_bytes`.
    TooLarge,
    /// There was no room to buffer the body.
    NoRoom,
    /// The body was malformed or cut off.
    Broken,
}

impl<'a> RawRequest<'a> {
    /// Iterates over the values of a field, without surrounding white space.
    pub fn field_values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        packed::fields(self.headers)
            .filter(move |(given, _)| given.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| trim(value))
    }
}

/// Removes the white space around a value.
pub(super) fn trim(value: &[u8]) -> &[u8] {
    let mut value = value;
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
