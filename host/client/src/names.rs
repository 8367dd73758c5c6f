//! URLs of streams.

use crate::Error;
use percent_encoding::percent_decode_str;
use url::{Origin, Url};

/// Segment after which the specification's servers have their own calls.
const RESERVED: &str = "__ds";

/// Usual path of the streams. A whole URL of a stream tells its server's base by it.
const USUAL_BASE: &str = "/v1/stream";

/// Base URL of a server's streams, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base(Url);

impl Base {
    /// Parses a base URL such as `http://127.0.0.1:4437/v1/stream`.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let mut url = parse(text)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid(
                text,
                "is not a base URL: it has a query or a fragment",
            ));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    /// Returns the base for a whole URL of a stream: up to `/v1/stream` if the path has it, else all
    /// but the last segment.
    fn of_stream(stream: &Url) -> Self {
        let mut url = stream.clone();
        url.set_query(None);
        url.set_fragment(None);
        let path = stream.path();
        let usual = path
            .find(USUAL_BASE)
            .map(|at| at.saturating_add(USUAL_BASE.len()));
        let usual = usual.filter(|end| path.get(*end..).is_some_and(|rest| rest.starts_with('/')));
        let end = usual.or_else(|| path.trim_end_matches('/').rfind('/'));
        url.set_path(path.get(..end.unwrap_or_default()).unwrap_or_default());
        Self(url)
    }

    pub(crate) fn origin(&self) -> Origin {
        self.0.origin()
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Resolves a stream's name, or a whole URL, to the stream's URL and its server's base.
    pub(crate) fn resolve(&self, name: &str) -> Result<(Url, Self), Error> {
        if name.starts_with("http://") || name.starts_with("https://") {
            let url = parse(name)?;
            let is_below = url.origin() == self.origin()
                && url
                    .path()
                    .strip_prefix(self.0.path().trim_end_matches('/'))
                    .is_some_and(|rest| rest.starts_with('/'));
            let base = match is_below {
                true => self.clone(),
                false => Self::of_stream(&url),
            };
            return Ok((url, base));
        }
        if name.is_empty() {
            return Err(invalid(name, "is not the name of a stream: it is empty"));
        }
        Ok((self.below(name.split('/'), name)?, self.clone()))
    }

    /// The name of the stream with this URL; `None` if it is not below the base, or no text.
    pub(crate) fn name(&self, stream: &Url) -> Option<String> {
        let path = stream
            .path()
            .strip_prefix(self.0.path().trim_end_matches('/'));
        let name = percent_decode_str(path?.strip_prefix('/')?);
        name.decode_utf8().ok().map(String::from)
    }

    /// URL of one of the server's own calls.
    pub(crate) fn reserved<'a>(
        &self,
        segments: impl IntoIterator<Item = &'a str>,
        name: &str,
    ) -> Result<Url, Error> {
        self.below(std::iter::once(RESERVED).chain(segments), name)
    }

    /// URL of a path with a query at the root of the origin.
    pub(crate) fn at_root(&self, path: &str) -> Result<Url, Error> {
        let joined = self.0.join(path).ok();
        // A path that begins with two slashes would name another server.
        let joined = joined.filter(|url| path.starts_with('/') && url.origin() == self.origin());
        joined.ok_or_else(|| invalid(path, "is not an absolute path, such as /metrics"))
    }

    fn below<'a>(&self, segments: impl Iterator<Item = &'a str>, name: &str) -> Result<Url, Error> {
        let mut url = self.0.clone();
        let segments: Vec<&str> = segments.collect();
        if segments
            .iter()
            .any(|segment| matches!(*segment, "." | ".."))
        {
            let problem = "is not the name of a stream: URLs can't have the segments . and ..";
            return Err(invalid(name, problem));
        }
        // A URL would leave them out, and so name another stream.
        if name.contains(['\t', '\r', '\n']) {
            let problem = "is not the name of a stream: URLs can't have tabs and line breaks";
            return Err(invalid(name, problem));
        }
        match url.path_segments_mut() {
            Ok(mut path) => {
                path.pop_if_empty().extend(segments);
            }
            Err(()) => return Err(invalid(self.as_str(), "is not a base URL")),
        }
        Ok(url)
    }
}

fn parse(text: &str) -> Result<Url, Error> {
    let url = Url::parse(text).map_err(|error| invalid(text, &format!("is not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(invalid(
            text,
            "is not a URL of the form http://HOST or https://HOST",
        ));
    }
    Ok(url)
}

fn invalid(text: &str, problem: &str) -> Error {
    Error::InvalidUrl {
        text: text.to_owned(),
        problem: problem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(base: &str, name: &str) -> (String, String) {
        let (url, base) = Base::parse(base).unwrap().resolve(name).unwrap();
        (url.to_string(), base.as_str().to_owned())
    }

    #[test]
    fn names_are_below_the_base_with_or_without_its_last_slash() {
        for base in ["http://h:1/v1/stream", "http://h:1/v1/stream/"] {
            let (url, base) = resolve(base, "a/b");
            assert_eq!(url, "http://h:1/v1/stream/a/b");
            assert_eq!(base, "http://h:1/v1/stream");
        }
        assert_eq!(resolve("http://h", "a").0, "http://h/a");
    }

    #[test]
    fn characters_with_a_meaning_in_urls_are_encoded() {
        let (url, _) = resolve("http://h/s", "a b?c#d%41é");
        assert_eq!(url, "http://h/s/a%20b%3Fc%23d%2541%C3%A9");
    }

    #[test]
    fn whole_urls_are_taken_as_they_are() {
        let (url, base) = resolve("http://h/v1/stream", "http://other/x/v1/stream/a/b?k=1");
        assert_eq!(url, "http://other/x/v1/stream/a/b?k=1");
        assert_eq!(base, "http://other/x/v1/stream");
        assert_eq!(resolve("http://h/s", "http://h/s/a/b").1, "http://h/s");
        assert_eq!(resolve("http://h/s", "http://h/t/a/b").1, "http://h/t/a");
    }

    #[test]
    fn a_whole_url_has_the_name_of_its_stream() {
        let base = Base::parse("http://h/v1/stream").unwrap();
        for name in ["a b?c#d%41é", "a/b"] {
            let (url, below) = base.resolve(name).unwrap();
            assert_eq!(below.name(&url).as_deref(), Some(name));
            let (url, below) = base.resolve(url.as_str()).unwrap();
            assert_eq!(below.name(&url).as_deref(), Some(name));
        }
        let (url, below) = base.resolve("http://h/v1/stream/%ff").unwrap();
        assert_eq!(below.name(&url), None);
    }

    #[test]
    fn resources_at_the_root_stay_on_the_server() {
        let base = Base::parse("http://h:1/v1/stream").unwrap();
        let url = base.at_root("/debug/usage?limit=2").unwrap();
        assert_eq!(url.as_str(), "http://h:1/debug/usage?limit=2");
        for path in ["//other/x", "http://other/x", "metrics", ""] {
            assert!(base.at_root(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn names_that_urls_cannot_carry_are_refused() {
        let base = Base::parse("http://h/s").unwrap();
        for name in ["", "..", "a/../b", "a/.", "a\tb", "a\r", "q/.\n./z"] {
            assert!(
                matches!(base.resolve(name), Err(Error::InvalidUrl { .. })),
                "{name:?}"
            );
        }
        for base in ["h:1/s", "ftp://h/s", "http://h/s?x=1", "/v1/stream"] {
            assert!(
                matches!(Base::parse(base), Err(Error::InvalidUrl { .. })),
                "{base:?}"
            );
        }
    }
}
