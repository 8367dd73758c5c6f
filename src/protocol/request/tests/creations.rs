use super::*;
use crate::stream::Position;

#[test]
fn a_bare_put_has_no_type_and_no_end() {
    let expected = Create {
        content_type: None,
        expiry: Expiry::Never,
        close: false,
        reason: None,
        lease_secs: None,
        fork: None,
    };
    assert_eq!(create(&[]), expected);
}

#[test]
fn a_content_type_is_kept_as_given() {
    let content_type = |value| create(&[("content-TYPE", value)]).content_type.unwrap();
    assert_eq!(
        content_type(" Text/Plain; a=\"b\" ").as_str(),
        "Text/Plain; a=\"b\""
    );
    let long = format!("a/{}", "b".repeat(254));
    assert_eq!(content_type(&long).as_str(), long);
    for bad in [
        "",
        " ",
        "text",
        "a/",
        "/b",
        "a b/c",
        &format!("{long}b"),
        "a/b\u{e9}",
    ] {
        let problem = refused("PUT", STREAM, &[("content-type", bad)], "");
        assert_eq!(problem.code, Code::BadRequest, "{bad:?}");
    }
}

#[test]
fn a_ttl_is_plain_decimal_seconds() {
    for (text, secs) in [
        ("0", 0),
        ("1", 1),
        (" 3600\t", 3600),
        ("18446744073709551615", u64::MAX),
    ] {
        assert_eq!(create(&[("stream-ttl", text)]).expiry, Expiry::Ttl { secs });
    }
    for bad in [
        "",
        " ",
        "007",
        "00",
        "+60",
        "-1",
        "-0",
        "60.0",
        "6e1",
        "0x10",
        "abc",
        "1 2",
        "1,1",
        "18446744073709551616",
        "999999999999999999999999999",
        "\u{0661}",
        "1_000",
    ] {
        let problem = refused("PUT", STREAM, &[("Stream-TTL", bad)], "");
        assert_eq!(problem.code, Code::BadRequest, "{bad:?}");
    }
}

#[test]
fn an_end_is_an_rfc_3339_moment() {
    let expiry = |text| create(&[("Stream-Expires-At", text)]).expiry;
    assert_eq!(
        expiry("2030-01-31T12:00:00Z"),
        Expiry::At {
            ms: 1_896_091_200_000
        }
    );
    assert_eq!(expiry("1960-01-31T12:00:00+01:00"), Expiry::At { ms: 0 });
    for bad in ["", "soon", "2030-01-31", "2030-02-30T00:00:00Z"] {
        let problem = refused("PUT", STREAM, &[("stream-expires-at", bad)], "");
        assert_eq!(problem.code, Code::BadRequest, "{bad:?}");
    }
    let both = [
        ("stream-ttl", "60"),
        ("stream-expires-at", "2030-01-31T12:00:00Z"),
    ];
    assert_eq!(refused("PUT", STREAM, &both, "").status(), 400);
}

#[test]
fn only_true_closes() {
    for value in ["true", "TRUE", "True", " true ", "\ttrue"] {
        assert!(create(&[("stream-closed", value)]).close, "{value:?}");
    }
    for value in ["", "false", "1", "yes", "truex", "true,true", "t rue"] {
        assert!(!create(&[("stream-closed", value)]).close, "{value:?}");
    }
}

const FROM: (&str, &str) = ("Stream-Forked-From", "/v1/stream/rooms/caf%C3%A9");

#[test]
fn a_fork_names_its_source_by_path_and_a_place_in_it() {
    let at = ("Stream-Fork-Offset", "0000000000000002_0000000000000030");
    let zeros = ("Stream-Fork-Offset", "0000000000000000_0000000000000000");
    let sub = ("Stream-Fork-Sub-Offset", "7");
    let asked = |headers: &[(&str, &str)]| {
        let fork = create(headers).fork.unwrap();
        assert_eq!(fork.source.as_str(), "rooms/caf\u{e9}");
        (fork.asked.offset, fork.asked.sub)
    };
    assert_eq!(asked(&[FROM]), (None, 0));
    assert_eq!(asked(&[FROM, ("Stream-Fork-Sub-Offset", "0")]), (None, 0));
    assert_eq!(asked(&[FROM, ("Stream-Fork-Offset", "now")]), (None, 0));
    assert_eq!(asked(&[FROM, at, sub]), (Some(Position::new(2, 3)), 7));
    for start in [zeros, ("Stream-Fork-Offset", "-1")] {
        assert_eq!(asked(&[FROM, start]), (Some(Position::ZERO), 0));
    }
}

#[test]
fn invalid_fork_fields_are_refused() {
    let code = |headers: &[(&str, &str)]| refused("PUT", STREAM, headers, "").code;
    for path in [
        "",
        "v1/stream/a",
        "http://x/v1/stream/a",
        "/v1/stream/a?b",
        "/v1/stream/a#b",
    ] {
        let code = code(&[("Stream-Forked-From", path)]);
        assert_eq!(code, Code::BadRequest, "{path:?}");
    }
    for path in [
        "/v1/stream/",
        "/v1/stream//a",
        "/v1/stream/__ds/x",
        "/v1/stream/%zz",
    ] {
        let code = code(&[("Stream-Forked-From", path)]);
        assert_eq!(code, Code::BadRequest, "{path:?}");
    }
    for path in ["/", "/other/a", "/v1/streams/a"] {
        assert_eq!(
            code(&[("Stream-Forked-From", path)]),
            Code::NotFound,
            "{path:?}"
        );
    }
    for offset in ["", "x", "1", "0000000000000000_000000000000000"] {
        let offset = ("Stream-Fork-Offset", offset);
        assert_eq!(code(&[FROM, offset]), Code::InvalidOffset, "{offset:?}");
    }
    let zeros = ("Stream-Fork-Offset", "0000000000000000_0000000000000000");
    for sub in ["", "-1", "abc", "1.5", "05", "+1", "18446744073709551616"] {
        let sub = ("Stream-Fork-Sub-Offset", sub);
        assert_eq!(code(&[FROM, zeros, sub]), Code::BadRequest, "{sub:?}");
    }
    let sub = |value| ("Stream-Fork-Sub-Offset", value);
    assert_eq!(code(&[FROM, sub("1")]), Code::BadRequest);
    for alone in [&[sub("0")][..], &[zeros], &[zeros, sub("1")]] {
        assert_eq!(code(alone), Code::BadRequest, "{alone:?}");
    }
}
