//! From the `Authorization` field to the token in it (RFC 6750, section 2.1).

use super::{InvalidToken, Refusal};
use crate::limits::MAX_BEARER_BYTES;

/// Returns the token of the only `Authorization` field.
pub(super) fn token<'a>(mut fields: impl Iterator<Item = &'a [u8]>) -> Result<&'a str, Refusal> {
    let field = fields.next().ok_or(Refusal::Missing)?;
    // Two equal fields are refused too: no client sends them on purpose, and proxies differ in
    // which one they pass on.
    if fields.next().is_some() {
        return Err(Refusal::Several);
    }
    let (scheme, rest) = field.split_at_checked(6).ok_or(Refusal::Missing)?;
    let token = match rest {
        [] => rest,
        [b' ', rest @ ..] => rest.trim_ascii(),
        _ => return Err(Refusal::Missing),
    };
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(Refusal::Missing);
    }
    let text = std::str::from_utf8(token).ok();
    let token = text.filter(|token| token.len() <= MAX_BEARER_BYTES && is_token(token));
    token.ok_or_else(|| InvalidToken::Unknown.into())
}

/// Whether `text` is a `b64token`.
pub(super) fn is_token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    !body.is_empty() && body.bytes().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(field: &[u8]) -> Result<&str, Refusal> {
        token(std::iter::once(field))
    }

    #[test]
    fn the_scheme_has_any_case_and_the_token_stands_alone() {
        for field in [
            "Bearer a.b-c~d+e/f==",
            "bearer a.b-c~d+e/f== ",
            "BEARER  a.b-c~d+e/f==",
        ] {
            assert_eq!(one(field.as_bytes()), Ok("a.b-c~d+e/f=="), "{field}");
        }
    }

    #[test]
    fn other_schemes_are_no_credentials() {
        for field in [
            "",
            "Basic YTpi",
            "Bearerx",
            "Bearer\ttoken",
            "token",
            "Beare token",
        ] {
            assert_eq!(one(field.as_bytes()), Err(Refusal::Missing), "{field}");
        }
        assert_eq!(token(std::iter::empty()), Err(Refusal::Missing));
    }

    #[test]
    fn a_malformed_token_is_refused() {
        let long = format!("Bearer {}", "a".repeat(MAX_BEARER_BYTES + 1));
        let fields: [&[u8]; 8] = [
            b"Bearer",
            b"Bearer ",
            b"Bearer ==",
            b"Bearer a=b",
            b"Bearer a b",
            b"Bearer a, Bearer b",
            b"Bearer \xff\xfe",
            long.as_bytes(),
        ];
        for field in fields {
            let refused = Err(Refusal::Invalid(InvalidToken::Unknown));
            assert_eq!(one(field), refused, "{field:?}");
        }
    }

    #[test]
    fn several_authorization_fields_are_refused() {
        for second in ["Bearer a", "Bearer b", "Basic YTpi", ""] {
            let fields = [b"Bearer a".as_slice(), second.as_bytes()];
            assert_eq!(token(fields.into_iter()), Err(Refusal::Several), "{second}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_a_panic(field: Vec<u8>) {
            let _ = one(&field);
        }
    }
}
