//! Paths of the protocol on the admin listener.
//!
//! They begin with `/v1/stream` whatever `base_path` is, so that pages and tools for operators need
//! not know it.

use durable_streams_edge::protocol::name::RESERVED;
use durable_streams_edge::protocol::paths::{ADOPTION, STREAMS as DESCRIPTIONS};
use http::Method;
use http::uri::{PathAndQuery, Uri};

/// The path below which the admin listener serves the protocol.
pub(crate) const STREAMS: &str = "/v1/stream";

/// The part of a path after this base. None if the path is not below it.
fn below<'a>(path: &'a str, base: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(base)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// Whether a path belongs to the protocol.
pub(super) fn is_protocol(path: &str) -> bool {
    below(path, STREAMS).is_some()
}

/// Whether a request asks a stream to adopt producers. Requests with another spelling of the path get no
/// token and are refused.
pub(super) fn is_adoption(method: &Method, path: &str) -> bool {
    let call = below(path, STREAMS).and_then(|rest| rest.strip_prefix('/'));
    let call = call.and_then(|rest| rest.strip_prefix(RESERVED)?.strip_prefix('/'));
    let name = call.and_then(|rest| rest.strip_prefix(DESCRIPTIONS)?.strip_suffix(ADOPTION));
    *method == Method::PUT && name.is_some()
}

/// Replaces [`STREAMS`] in a request's target by the server's `base_path`.
pub(super) fn to_base(target: &Uri, base_path: &str) -> Option<Uri> {
    let rest = below(target.path(), STREAMS)?;
    let path = match base_path {
        "/" if rest.is_empty() => "/".to_owned(),
        "/" => rest.to_owned(),
        base => format!("{base}{rest}"),
    };
    let whole = match target.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut parts = target.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(whole).ok()?);
    Uri::from_parts(parts).ok()
}

/// Replaces the server's `base_path` in a `Location` by [`STREAMS`].
pub(super) fn from_base(location: &str, base_path: &str) -> Option<String> {
    let (origin, path) = match location.split_once("://") {
        Some((scheme, rest)) => {
            let slash = rest.find('/')?;
            location.split_at_checked(scheme.len() + "://".len() + slash)?
        }
        None => ("", location),
    };
    let rest = below(path, base_path.trim_end_matches('/'))?;
    Some(format!("{origin}{STREAMS}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixed_path_becomes_the_base_path_and_back() {
        for (base_path, given, expected) in [
            ("/streams", "/v1/stream/a/b?x=1", "/streams/a/b?x=1"),
            ("/a/b", "/v1/stream/__ds/streams", "/a/b/__ds/streams"),
            ("/a/b", "/v1/stream", "/a/b"),
            ("/", "/v1/stream/s%2F?offset=-1", "/s%2F?offset=-1"),
            ("/", "/v1/stream", "/"),
            ("/v1/stream", "/v1/stream/s", "/v1/stream/s"),
        ] {
            let rewritten = to_base(&Uri::from_static(given), base_path);
            let rewritten = rewritten.map(|uri| uri.to_string());
            assert_eq!(rewritten.as_deref(), Some(expected), "{base_path} {given}");
        }
        let absolute = Uri::from_static("http://localhost:4438/v1/stream/s");
        let rewritten = to_base(&absolute, "/x").map(|uri| uri.to_string());
        assert_eq!(rewritten.as_deref(), Some("http://localhost:4438/x/s"));
        for (base_path, given, expected) in [
            (
                "/x",
                "http://localhost:4438/x/a/b",
                "http://localhost:4438/v1/stream/a/b",
            ),
            (
                "/",
                "http://localhost:4438/a",
                "http://localhost:4438/v1/stream/a",
            ),
            ("/x", "/x/a", "/v1/stream/a"),
        ] {
            let location = from_base(given, base_path);
            assert_eq!(location.as_deref(), Some(expected), "{base_path} {given}");
        }
    }

    #[test]
    fn adoptions_are_known_by_method_and_path() {
        let is_put = |path: &str| is_adoption(&Method::PUT, path);
        assert!(is_put("/v1/stream/__ds/streams/a/producers"));
        assert!(is_put("/v1/stream/__ds/streams/a/producers/producers"));
        for path in [
            "/v1/stream/__ds/streams/a",
            "/v1/stream/__ds/producers",
            "/v1/stream/__ds/subscriptions/a/producers",
            "/v1/stream/a/producers",
            "/v1/streams/__ds/streams/a/producers",
        ] {
            assert!(!is_put(path), "{path}");
        }
        let path = "/v1/stream/__ds/streams/a/producers";
        assert!(!is_adoption(&Method::GET, path));
    }

    #[test]
    fn other_paths_are_not_of_the_protocol() {
        for path in ["/", "/v1", "/v1/streams", "/v1/stream2/a", "/streams/a"] {
            assert!(!is_protocol(path), "{path}");
            assert_eq!(to_base(&Uri::from_static(path), "/streams"), None, "{path}");
        }
        assert_eq!(from_base("http://localhost:4438/y/a", "/x"), None);
        assert_eq!(from_base("http://localhost:4438", "/x"), None);
    }
}
