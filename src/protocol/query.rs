//! Query parameters of a request.

use super::percent;
use crate::limits::{LIST_DEFAULT, LIST_LIMIT};
use std::borrow::Cow;

/// Why a query parameter is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum QueryError {
    /// A `%` is not followed by two hex digits.
    #[error("has a % without two hex digits; write %25 for the character itself")]
    BadEscape,
    /// The parameter is there twice.
    #[error("was sent more than once; send it once")]
    Repeated,
    /// The limit of a list is no number, or out of range.
    #[error(
        "must be a whole number from {} to {}",
        LIST_LIMIT.start(),
        LIST_LIMIT.end()
    )]
    Limit,
}

/// Returns the decoded value of the parameter `name`, if present.
pub(super) fn value<'a>(query: &'a str, name: &str) -> Result<Option<Cow<'a, [u8]>>, QueryError> {
    let mut found = None;
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        // The key is decoded, so that an escaped spelling can't hide a second one.
        let is_same = |key: Cow<'_, [u8]>| *key == *name.as_bytes();
        if !percent::decode(key).is_ok_and(is_same) {
            continue;
        }
        let decoded = percent::decode(value).map_err(|percent::BadEscape| QueryError::BadEscape)?;
        if found.replace(decoded).is_some() {
            return Err(QueryError::Repeated);
        }
    }
    Ok(found)
}

/// Returns the most entries that a page of a list may have.
pub(super) fn limit(query: &str) -> Result<usize, QueryError> {
    let Some(value) = value(query, "limit")? else {
        return Ok(LIST_DEFAULT);
    };
    let is_plain = value.iter().all(u8::is_ascii_digit) && !value.starts_with(b"0");
    let text = std::str::from_utf8(&value).ok().filter(|_| is_plain);
    let number = text.and_then(|text| text.parse().ok());
    let number = number.filter(|number| LIST_LIMIT.contains(number));
    number.ok_or(QueryError::Limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_found_in_every_spelling_and_never_twice() {
        let text = |query| value(query, "after").map(|found| found.map(Cow::into_owned));
        for (query, expected) in [
            ("", Ok(None)),
            ("afterx=1&x=after", Ok(None)),
            ("%zz=1&after=a", Ok(Some(b"a".to_vec()))),
            ("after", Ok(Some(Vec::new()))),
            ("x&%61fter=%2F%2f+", Ok(Some(b"//+".to_vec()))),
            ("after=1&after=1", Err(QueryError::Repeated)),
            ("after=1&afte%72=2", Err(QueryError::Repeated)),
            ("after=%2", Err(QueryError::BadEscape)),
        ] {
            assert_eq!(text(query), expected, "{query}");
        }
    }

    #[test]
    fn a_limit_is_a_plain_number_in_its_range() {
        for (query, expected) in [
            ("", Ok(LIST_DEFAULT)),
            ("limit=1", Ok(1)),
            ("limit=1000", Ok(1000)),
            ("limit=%31%30", Ok(10)),
            ("limit=0", Err(QueryError::Limit)),
            ("limit=1001", Err(QueryError::Limit)),
            ("limit=", Err(QueryError::Limit)),
            ("limit=+5", Err(QueryError::Limit)),
            ("limit=05", Err(QueryError::Limit)),
            ("limit=5.0", Err(QueryError::Limit)),
            ("limit=99999999999999999999999", Err(QueryError::Limit)),
            ("limit=5&limit=5", Err(QueryError::Repeated)),
        ] {
            assert_eq!(limit(query), expected, "{query}");
        }
    }
}
