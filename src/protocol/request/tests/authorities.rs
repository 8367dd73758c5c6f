use super::*;

/// Returns the problem, if a request with this `authority` is refused.
fn judged(authority: Option<&str>) -> Result<(), Problem> {
    let mut raw = request("PUT", STREAM, &[], "");
    raw.authority = authority;
    parse(&raw, &config()).map(|_| ())
}

#[test]
fn a_host_and_perhaps_a_port_is_an_authority() {
    for authority in [
        "localhost",
        "localhost:4437",
        "Streams.Example",
        "streams.example.:1",
        "my_service-1.internal:65535",
        "192.0.2.1",
        "192.0.2.1:80",
        "[::1]",
        "[2001:db8::1]:4437",
    ] {
        assert_eq!(judged(Some(authority)), Ok(()), "{authority}");
    }
    assert_eq!(judged(None), Ok(()), "it need not be known");
}

/// An earlier server repeated any `Host` value in `Location` and in the URLs that webhooks receive.
#[test]
fn an_invalid_authority_is_refused_and_not_repeated_in_urls() {
    for authority in [
        "",
        ":80",
        "a b",
        "a/b",
        "a/v1/stream/x",
        "a?b",
        "a#b",
        "user@a.example",
        "a.example,b.example",
        "a.example, b.example",
        "a:",
        "a:b",
        "a:80:80",
        "a:-1",
        "a:+80",
        "a:99999",
        "http://a.example",
        "\u{e9}.example",
        "%61.example",
        "[::1",
        "[]",
        "[a.example]",
        "[127.0.0.1]",
        "[fe80::1%25eth0]",
        "[::1]80",
        "[::1]:",
        "::1",
        "<script>",
    ] {
        let problem = judged(Some(authority)).expect_err(authority);
        assert_eq!(problem.code, Code::BadRequest, "{authority}");
        assert!(problem.detail.contains("host"), "{}", problem.detail);
    }
}

#[test]
fn an_authority_fits_into_the_record_of_a_subscription() {
    let at = |length: usize| "a".repeat(length);
    assert_eq!(judged(Some(&at(256))), Ok(()));
    assert!(judged(Some(&at(257))).is_err());
}
