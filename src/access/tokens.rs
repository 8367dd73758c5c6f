//! Tokens that are listed in a variable.

use super::bearer::is_token;
use super::rights::Rights;
use crate::limits::{MAX_BEARER_BYTES, MAX_TOKENS, MIN_TOKEN_BYTES, Secret};
use serde::Deserialize;
use subtle::ConstantTimeEq;

const EXPECTED: &str = "a JSON array of 1 to 256 objects with \"token\" (16 or more letters, \
                        digits and - . _ ~ + /), \"scope\" (read, write, close, manage, separated by \
                        spaces) and optionally \"prefix\" (the leading segments of the names that \
                        the token is for)";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    token: String,
    scope: String,
    #[serde(default)]
    prefix: String,
}

/// The listed tokens, each with its rights.
#[derive(Debug, Default)]
pub(super) struct Tokens(Vec<(Secret, Rights)>);

impl Tokens {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let entries: Vec<Entry> = serde_json::from_str(text).map_err(|_| EXPECTED)?;
        if entries.is_empty() || entries.len() > MAX_TOKENS {
            return Err(EXPECTED);
        }
        let tokens: Option<Vec<_>> = entries.into_iter().map(read).collect();
        let tokens = Self(tokens.ok_or(EXPECTED)?);
        let twice = |(token, _): &(Secret, _)| {
            let same = tokens.0.iter().filter(|(other, _)| other == token);
            same.count() > 1
        };
        match tokens.0.iter().any(twice) {
            true => Err("each token only once"),
            false => Ok(tokens),
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the rights of `token`. The time that the lookup takes depends on lengths only.
    pub(super) fn find(&self, token: &str) -> Option<&Rights> {
        let mut found = None;
        for (known, rights) in &self.0 {
            if known.expose().as_bytes().ct_eq(token.as_bytes()).into() {
                found = Some(rights);
            }
        }
        found
    }
}

fn read(entry: Entry) -> Option<(Secret, Rights)> {
    let Entry {
        token,
        scope,
        prefix,
    } = entry;
    let fits = (MIN_TOKEN_BYTES..=MAX_BEARER_BYTES).contains(&token.len());
    // Refuse a mistyped scope here. Otherwise it would only show when a request is refused.
    let known = scope
        .split(' ')
        .all(|scope| matches!(scope, "read" | "write" | "close" | "manage"));
    if !fits || !is_token(&token) || !known {
        return None;
    }
    let rights = Rights::granted(&scope, prefix)?;
    Some((Secret::new(&token), rights))
}

#[cfg(test)]
mod tests {
    use super::super::rights::Scope;
    use super::*;

    #[test]
    fn a_token_is_for_its_scopes_and_names() {
        let text = r#"[{"token":"0123456789abcdef","scope":"read write"},
                       {"token":"fedcba9876543210","scope":"manage","prefix":"a/b"}]"#;
        let tokens = Tokens::parse(text).unwrap();
        let first = tokens.find("0123456789abcdef").unwrap();
        assert!(first.allow(Scope::Write, "x") && !first.has(Scope::Manage));
        let second = tokens.find("fedcba9876543210").unwrap();
        assert!(second.covers("a/b/c") && !second.covers("x") && !second.has(Scope::Read));
        for wrong in [
            "",
            "0123456789abcde",
            "0123456789abcdef0",
            "0123456789abcdeF",
        ] {
            assert_eq!(tokens.find(wrong), None, "{wrong}");
        }
        assert!(!format!("{tokens:?}").contains("0123456789abcdef"));
    }

    #[test]
    fn a_malformed_list_of_tokens_is_refused() {
        assert!(Tokens::parse("").is_ok());
        let entry = |rest: &str| format!(r#"[{{"token":"0123456789abcdef",{rest}}}]"#);
        assert!(Tokens::parse(&entry(r#""scope":"read""#)).is_ok());
        for text in [
            "[]".to_owned(),
            "x".to_owned(),
            "{}".to_owned(),
            r#"[{"token":"short","scope":"read"}]"#.to_owned(),
            r#"[{"token":"0123456789abcde ","scope":"read"}]"#.to_owned(),
            entry(r#""scope":"""#),
            entry(r#""scope":"reed""#),
            entry(r#""scope":"read  write""#),
            entry(r#""scope":"read","scope":"write""#),
            entry(r#""scope":"read","prefixes":"a""#),
            entry(r#""scope":"read","prefix":"a/""#),
            entry(r#""scope":"read","prefix":"/a""#),
            format!(
                "[{0},{0}]",
                r#"{"token":"0123456789abcdef","scope":"read"}"#
            ),
        ] {
            let refused = Tokens::parse(&text).unwrap_err();
            assert!(!refused.contains("0123456789abcdef"), "{text}");
        }
    }
}
