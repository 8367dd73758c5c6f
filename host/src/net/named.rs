//! Checks of a request's host and of its body's framing. Only the host can make them: an instance
//! receives neither the version of HTTP nor the framing.
//!
//! The component has the rule for the syntax of a host name.

use durable_streams_edge::protocol::problem::{Code, Problem};
use durable_streams_edge::protocol::request::check_authority;
use http::header::{HOST, HeaderMap, TRANSFER_ENCODING};
use http::uri::{Authority, Scheme};
use http::{Uri, Version};

/// Refuses a request that does not name exactly one valid host (RFC 9112, section 3.2; RFC 9113,
/// section 8.3.1). Before HTTP/1.1 a request may have no host.
pub(crate) fn check_host(version: Version, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let mut hosts = headers.get_all(HOST).iter();
    let (host, more) = (hosts.next(), hosts.next());
    if more.is_some() {
        return bad("Host was sent more than once. Send it once.");
    }
    let target = uri.authority();
    if let Some(target) = target {
        check_authority(target.as_str().as_bytes())?;
    }
    let Some(host) = host else {
        return match (version, target) {
            (Version::HTTP_11, _) | (Version::HTTP_2, None) => {
                bad("Host is missing. Send the host of the URL.")
            }
            _ => Ok(()),
        };
    };
    check_authority(host.as_bytes())?;
    match target {
        // Before HTTP/2 a target with a host overrides the field (RFC 9112, section 3.2.2).
        Some(target) if version == Version::HTTP_2 && !is_same(target, host.as_bytes(), uri) => {
            bad("Host and :authority differ. Send the same host in both, or :authority alone.")
        }
        _ => Ok(()),
    }
}

/// Whether both name the same server. The comparison ignores case and the scheme's default port.
fn is_same(target: &Authority, host: &[u8], uri: &Uri) -> bool {
    let port = match uri.scheme() == Some(&Scheme::HTTPS) {
        true => &b":443"[..],
        false => b":80",
    };
    let bare = |authority: &'_ [u8]| {
        let name = authority.strip_suffix(port).unwrap_or(authority);
        name.to_ascii_lowercase()
    };
    bare(target.as_str().as_bytes()) == bare(host)
}

fn bad(detail: &str) -> Result<(), Problem> {
    Err(Problem::new(Code::BadRequest, detail))
}

/// Problem for a body with two lengths. A proxy in front may have used the other length (RFC 9112,
/// section 6.3).
pub(super) fn two_lengths() -> Problem {
    let detail = "Transfer-Encoding and Content-Length were sent together. Send one of them.";
    Problem::new(Code::BadRequest, detail)
}

/// Refuses a body with a transfer coding other than chunked, as this server decodes no other (RFC
/// 9112, section 6.1). For a body that does not end in chunks, hyper responds 400 itself.
pub(crate) fn check_framing(headers: &HeaderMap) -> Result<(), Problem> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let (coding, more) = (codings.next(), codings.next());
    let is_chunked = |coding: &[u8]| coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
    let plain = coding.is_none_or(|coding| is_chunked(coding.as_bytes()));
    match plain && more.is_none() {
        true => Ok(()),
        false => Err(Problem::new(
            Code::UnsupportedTransferEncoding,
            "The body has a transfer coding that this server does not decode. Send the body \
             chunked, or with its Content-Length.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{HeaderName, HeaderValue};

    fn headers(name: &HeaderName, values: &[&'static str]) -> HeaderMap {
        let values = values.iter().map(|value| HeaderValue::from_static(value));
        values.map(|value| (name.clone(), value)).collect()
    }

    fn code(judged: Result<(), Problem>) -> Option<Code> {
        judged.err().map(|problem| problem.code)
    }

    /// Whether a request with this target and these fields passes.
    fn passes(version: Version, target: &'static str, hosts: &[&'static str]) -> bool {
        let judged = check_host(version, &Uri::from_static(target), &headers(&HOST, hosts));
        let code = code(judged);
        assert!(matches!(code, None | Some(Code::BadRequest)), "{code:?}");
        code.is_none()
    }

    #[test]
    fn from_http_1_1_on_a_request_has_exactly_one_host() {
        for (version, target, hosts, expected) in [
            (Version::HTTP_10, "/s", &[][..], true),
            (Version::HTTP_11, "/s", &[], false),
            (Version::HTTP_2, "/s", &[], false),
            (Version::HTTP_11, "http://a.example/s", &[], false),
            (Version::HTTP_2, "http://a.example/s", &[], true),
            (Version::HTTP_2, "/s", &["a.example"], true),
            (Version::HTTP_10, "/s", &["a.example", "a.example"], false),
            (Version::HTTP_11, "/s", &["a.example", "a.example"], false),
            (Version::HTTP_11, "/s", &["a.example", "b.example"], false),
            (Version::HTTP_11, "/s", &["a.example"], true),
        ] {
            let passed = passes(version, target, hosts);
            assert_eq!(passed, expected, "{version:?} {target} {hosts:?}");
        }
    }

    #[test]
    fn in_http_2_host_and_authority_agree_and_before_the_target_counts() {
        for (target, host, expected) in [
            ("http://a.example/s", "a.example", true),
            ("http://a.example/s", "A.Example:80", true),
            ("https://a.example:443/s", "a.example", true),
            ("https://a.example:80/s", "a.example", false),
            ("http://a.example:8080/s", "a.example", false),
            ("http://a.example/s", "b.example", false),
        ] {
            let passed = passes(Version::HTTP_2, target, &[host]);
            assert_eq!(passed, expected, "{target} {host}");
            assert!(passes(Version::HTTP_11, target, &[host]));
        }
    }

    #[test]
    fn an_invalid_host_is_refused_in_the_field_and_in_the_target() {
        for bad in ["", "a b", "a/b", "u@a.example", "a:99999", "a,b"] {
            assert!(!passes(Version::HTTP_11, "/s", &[bad]), "{bad:?}");
            assert!(!passes(Version::HTTP_10, "/s", &[bad]), "{bad:?}");
        }
        for target in ["http://u@a.example/s", "http://a.example:99999/s"] {
            assert!(!passes(Version::HTTP_2, target, &[]), "{target}");
            assert!(
                !passes(Version::HTTP_11, target, &["a.example"]),
                "{target}"
            );
        }
    }

    #[test]
    fn a_body_is_chunked_or_has_no_transfer_coding() {
        let unsupported = Some(Code::UnsupportedTransferEncoding);
        for (values, expected) in [
            (&[][..], None),
            (&["chunked"], None),
            (&[" Chunked "], None),
            (&["gzip, chunked"], unsupported),
            (&["gzip", "chunked"], unsupported),
            (&["chunked, chunked"], unsupported),
            (&["identity"], unsupported),
            (&[""], unsupported),
        ] {
            let judged = check_framing(&headers(&TRANSFER_ENCODING, values));
            assert_eq!(code(judged), expected, "{values:?}");
        }
    }
}
