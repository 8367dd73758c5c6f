//! The content type of a stream (section 9).

/// A media type as given. Comparison uses its essence: type and subtype, ignoring case and
/// parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType(String);

/// The text has no `type/subtype`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a media type such as text/plain")]
pub struct NotAContentType;

impl ContentType {
    /// Parses a media type, which must have a `type/subtype` of RFC 9110 tokens.
    ///
    /// # Errors
    ///
    /// The text has no `type/subtype`.
    pub fn parse(text: &str) -> Result<Self, NotAContentType> {
        let text = text.trim();
        let visible = text
            .bytes()
            .all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte));
        let (kind, subtype) = essence(text).split_once('/').ok_or(NotAContentType)?;
        match visible && is_token(kind) && is_token(subtype) {
            true => Ok(Self(text.to_owned())),
            false => Err(NotAContentType),
        }
    }

    /// Returns the default type, for a creation without a content type.
    #[must_use]
    pub fn octets() -> Self {
        Self("application/octet-stream".to_owned())
    }

    /// Returns the type as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether both have the same essence.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0 == other.0 || essence(&self.0).eq_ignore_ascii_case(essence(&other.0))
    }

    /// Whether the stream stores JSON messages (section 9.1).
    #[must_use]
    pub fn is_json(&self) -> bool {
        let (json, text) = (&b"application/json"[..], self.0.as_bytes());
        let Some((start, rest)) = text.split_at_checked(json.len()) else {
            return false;
        };
        start.eq_ignore_ascii_case(json) && matches!(rest.trim_ascii_start(), [] | [b';', ..])
    }

    /// Whether SSE sends the bytes as text (section 5.8).
    #[must_use]
    pub fn is_text(&self) -> bool {
        let kind = self.0.split('/').next().unwrap_or_default();
        kind.eq_ignore_ascii_case("text")
    }
}

fn essence(text: &str) -> &str {
    let parameters = text.bytes().position(|byte| byte == b';');
    let essence = parameters.and_then(|at| text.get(..at));
    essence.unwrap_or(text).trim()
}

fn is_token(text: &str) -> bool {
    let token = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
    };
    !text.is_empty() && text.bytes().all(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_compare_by_essence_and_keep_their_text() {
        let given = ContentType::parse("Application/JSON; charset=utf-8").unwrap();
        assert_eq!(given.as_str(), "Application/JSON; charset=utf-8");
        assert!(given.is_json() && !given.is_text());
        assert!(given.matches(&ContentType::parse("application/json").unwrap()));
        assert!(ContentType::parse("text/plain").unwrap().is_text());
    }

    #[test]
    fn a_malformed_media_type_is_refused() {
        for text in [
            "",
            "text",
            "/",
            "a/",
            "/b",
            "a b/c",
            "text/\u{e9}",
            "a/b\u{7f}",
            "a/b\r\nx: y",
        ] {
            assert_eq!(ContentType::parse(text), Err(NotAContentType), "{text:?}");
        }
    }
}
