use super::*;
use crate::stream::Position;
use proptest::prelude::*;

const STREAM: &str = "/v1/stream/s";

fn config() -> Config {
    Config::from_lookup(|_| None).unwrap()
}

fn pack<T: AsRef<[u8]>>(headers: &[(&str, T)]) -> Vec<u8> {
    let mut fields = packed::Fields::default();
    for (name, value) in headers {
        fields.push(name, value);
    }
    fields.into_packed()
}

fn request<'a>(
    method: &'a str,
    target: &'a str,
    headers: &'a [u8],
    body: &'a str,
) -> RawRequest<'a> {
    RawRequest {
        method,
        scheme: Some("http"),
        authority: Some("localhost:4437"),
        target,
        headers,
        body: body.as_bytes(),
        body_state: BodyState::Complete,
    }
}

fn parsed(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Operation {
    parse(&request(method, target, &pack(headers), body), &config()).unwrap()
}

fn refused(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Problem {
    let packed = pack(headers);
    let raw = request(method, target, &packed, body);
    parse(&raw, &config()).expect_err(&format!("{method} {target} {headers:?}"))
}

fn action(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Action {
    match parsed(method, target, headers, body) {
        Operation::Stream { action, .. } => action,
        other => panic!("{method} {target} is {other:?}"),
    }
}

fn create(headers: &[(&str, &str)]) -> Create {
    match action("PUT", STREAM, headers, "") {
        Action::Create(create) => create,
        other => panic!("{other:?}"),
    }
}

fn append(headers: &[(&str, &str)], body: &str) -> Append {
    match action("POST", STREAM, headers, body) {
        Action::Append(append) => append,
        other => panic!("{other:?}"),
    }
}

fn read(query: &str) -> Read {
    match action("GET", &format!("{STREAM}{query}"), &[], "") {
        Action::Read(read) => read,
        other => panic!("{other:?}"),
    }
}

const TEXT: (&str, &str) = ("Content-Type", "text/plain");

mod routes {
    use super::*;

    #[test]
    fn paths_mean_their_resources() {
        for target in ["/health", "/healthz", "/health?x=1"] {
            assert_eq!(parsed("GET", target, &[], ""), Operation::Health);
            assert_eq!(parsed("HEAD", target, &[], ""), Operation::Health);
        }
        assert_eq!(parsed("GET", "/readyz", &[], ""), Operation::Ready);
        let Operation::Stream { name, action } = parsed("HEAD", "/v1/stream/a%20b/c?q", &[], "")
        else {
            panic!("no stream");
        };
        assert_eq!((name.as_str(), action), ("a b/c", Action::Head));
        assert_eq!(super::action("DELETE", STREAM, &[], ""), Action::Delete);
    }

    #[test]
    fn a_path_without_a_resource_is_404() {
        for target in [
            "",
            "/",
            "*",
            "/v1",
            "/v1/stream",
            "/v1/streams/a",
            "/v1/streama",
            "/V1/stream/a",
            "/health/",
            "/healthy",
            "//v1/stream/a",
            "/v1//stream/a",
            "/v1/stream?x",
            "/v1/stream/__ds",
            "/v1/stream/__ds/",
            "/v1/stream/__ds/x",
            "/v1/stream/__ds//tick",
            "/v1/stream/__ds/tick/",
            "/v1/stream/%5F%5Fds/x",
            "/v1/stream/__ds%2Fx",
            "http://localhost/v1/stream/a",
        ] {
            for method in ["GET", "PUT", "BREW"] {
                let problem = refused(method, target, &[], "");
                assert_eq!(problem.code, Code::RouteNotFound, "{target:?}");
            }
        }
    }

    #[test]
    fn a_path_that_names_no_stream_is_400() {
        for target in [
            "/v1/stream/",
            "/v1/stream//",
            "/v1/stream/a/",
            "/v1/stream/%",
            "/v1/stream/a/../b",
            "/v1/stream/%ff",
            "/v1/stream/a%00",
            "/v1/stream/?offset=-1",
        ] {
            let problem = refused("GET", target, &[], "");
            assert_eq!(problem.code, Code::InvalidStreamName, "{target:?}");
        }
    }

    #[test]
    fn a_wrong_method_is_told_the_right_ones() {
        for (method, target, allow) in [
            ("POST", "/health", "GET, HEAD, OPTIONS"),
            ("PUT", "/readyz", "GET, HEAD, OPTIONS"),
            ("GET", "/v1/stream/__ds/tick", "POST, OPTIONS"),
            ("PATCH", STREAM, "GET, HEAD, PUT, POST, DELETE, OPTIONS"),
            ("get", STREAM, "GET, HEAD, PUT, POST, DELETE, OPTIONS"),
            ("", STREAM, "GET, HEAD, PUT, POST, DELETE, OPTIONS"),
            ("TRACE", STREAM, "GET, HEAD, PUT, POST, DELETE, OPTIONS"),
        ] {
            let problem = refused(method, target, &[], "");
            assert_eq!(problem.status(), 405);
            assert_eq!(problem.fields, [("allow", allow.to_owned())]);
        }
    }

    #[test]
    fn any_path_has_options() {
        for target in ["*", "/", STREAM, "/v1/stream/%", "/health"] {
            assert_eq!(parsed("OPTIONS", target, &[], ""), Operation::Preflight);
        }
    }

    #[test]
    fn a_tick_brings_its_token() {
        let tick =
            |headers: &[(&str, &str)]| match parsed("POST", "/v1/stream/__ds/tick", headers, "") {
                Operation::Tick { token } => token,
                other => panic!("{other:?}"),
            };
        assert_eq!(tick(&[]), None);
        assert_eq!(
            tick(&[("authorization", "Bearer t0k=")]),
            Some(b"t0k=".to_vec())
        );
        assert_eq!(
            tick(&[("Authorization", "bearer  t ")]),
            Some(b"t".to_vec())
        );
        for other in [
            "",
            "Bearer",
            "Bearer ",
            "Basic dTpw",
            "Bearert",
            "\u{e9}\u{e9}\u{e9}\u{e9}",
        ] {
            assert_eq!(tick(&[("authorization", other)]), None, "{other:?}");
        }
    }

    #[test]
    fn the_base_path_is_a_variable() {
        let given = |name: &str| (name == "base_path").then(|| "/x".to_owned());
        let config = Config::from_lookup(given).unwrap();
        assert!(parse(&request("GET", "/x/a", &[], ""), &config).is_ok());
        let problem = parse(&request("GET", STREAM, &[], ""), &config).unwrap_err();
        assert_eq!(problem.code, Code::RouteNotFound);
        assert!(problem.detail.contains("/x/<name>"));
    }
}

mod sizes {
    use super::*;

    #[test]
    fn a_target_past_the_limit_is_414() {
        let at = |length: usize| format!("{STREAM}?{}", "x".repeat(length - STREAM.len() - 1));
        assert_eq!(
            read(&at(MAX_TARGET_BYTES)[STREAM.len()..]).offset,
            Offset::Start
        );
        let problem = refused("GET", &at(MAX_TARGET_BYTES + 1), &[], "");
        assert_eq!(problem.code, Code::TargetTooLong);
        assert_eq!(
            refused("OPTIONS", &at(MAX_TARGET_BYTES + 1), &[], "").status(),
            414
        );
    }

    #[test]
    fn the_longest_name_fits_when_every_byte_is_escaped() {
        parsed(
            "GET",
            &format!("/v1/stream/{}", "%61".repeat(1024)),
            &[],
            "",
        );
    }

    #[test]
    fn a_header_section_past_the_limit_is_431() {
        let at = "x".repeat(16_384 - 2);
        parsed("GET", STREAM, &[("ab", &at)], "");
        let problem = refused("GET", STREAM, &[("abc", &at)], "");
        assert_eq!(problem.code, Code::HeadersTooLarge);
        let half = &at[..8192];
        assert_eq!(
            refused("GET", STREAM, &[("a", half), ("b", half)], "").status(),
            431
        );
    }

    #[test]
    fn a_body_that_is_not_there_is_413_or_503() {
        for method in ["PUT", "POST"] {
            let mut raw = request(method, STREAM, &[], "");
            raw.body_state = BodyState::TooLarge;
            assert_eq!(
                parse(&raw, &config()).unwrap_err().code,
                Code::PayloadTooLarge
            );
            raw.body_state = BodyState::NoRoom;
            let problem = parse(&raw, &config()).unwrap_err();
            assert_eq!(problem.code, Code::Overloaded);
            assert_eq!(problem.fields, [("retry-after", "1".to_owned())]);
        }
        let mut raw = request("GET", STREAM, &[], "");
        raw.body_state = BodyState::TooLarge;
        assert!(
            parse(&raw, &config()).is_ok(),
            "a body of a GET means nothing"
        );
    }
}

mod creations {
    use super::*;

    #[test]
    fn a_bare_put_has_no_type_and_no_end() {
        let expected = Create {
            content_type: None,
            expiry: Expiry::Never,
            close: false,
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
        let at = ("Stream-Fork-Offset", "0000000000000002_0000000000000003");
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
    fn what_is_no_fork_is_refused() {
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
}

mod appends {
    use super::*;

    const ID: (&str, &str) = ("Producer-Id", "p");
    const EPOCH: (&str, &str) = ("Producer-Epoch", "1");
    const SEQ: (&str, &str) = ("Producer-Seq", "2");

    #[test]
    fn bytes_need_a_content_type() {
        assert_eq!(
            append(&[TEXT], "x").content_type.unwrap().as_str(),
            "text/plain"
        );
        assert_eq!(refused("POST", STREAM, &[], "x").code, Code::BadRequest);
        for bad in ["", "text"] {
            let problem = refused("POST", STREAM, &[("content-type", bad)], "x");
            assert_eq!(problem.code, Code::BadRequest);
        }
    }

    #[test]
    fn no_bytes_only_close() {
        assert_eq!(refused("POST", STREAM, &[TEXT], "").code, Code::EmptyBody);
        let not_closed = [("Stream-Closed", "false")];
        assert_eq!(
            refused("POST", STREAM, &not_closed, "").code,
            Code::EmptyBody
        );
        let close = ("stream-closed", "true");
        let expected = Append {
            content_type: None,
            seq: None,
            producer: None,
            close: true,
        };
        assert_eq!(append(&[close], ""), expected);
        for ignored in ["", "nonsense", "text/plain"] {
            assert_eq!(append(&[close, ("content-type", ignored)], ""), expected);
        }
        let two = [close, ("content-type", "a/b"), ("content-type", "c/d")];
        assert_eq!(append(&two, ""), expected);
    }

    #[test]
    fn a_producer_comes_whole_or_not_at_all() {
        let expected = Producer {
            id: "p".to_owned(),
            epoch: 1,
            seq: 2,
        };
        assert_eq!(
            append(&[TEXT, ID, EPOCH, SEQ], "x").producer,
            Some(expected)
        );
        for part in [
            &[ID][..],
            &[EPOCH],
            &[SEQ],
            &[ID, EPOCH],
            &[ID, SEQ],
            &[EPOCH, SEQ],
        ] {
            let headers = [&[TEXT], part].concat();
            assert_eq!(
                refused("POST", STREAM, &headers, "x").code,
                Code::BadRequest
            );
        }
    }

    #[test]
    fn a_producer_id_has_1_to_256_bytes() {
        fn with(id: &str) -> [(&str, &str); 4] {
            [TEXT, ("producer-id", id), EPOCH, SEQ]
        }
        let longest = "\u{e9}".repeat(128);
        assert_eq!(append(&with(&longest), "x").producer.unwrap().id, longest);
        for bad in ["", " ", "\t", &"x".repeat(257)] {
            assert_eq!(
                refused("POST", STREAM, &with(bad), "x").code,
                Code::BadRequest
            );
        }
        let headers = [("producer-id", &b"\xff"[..]), ("content-type", b"a/b")];
        let headers = [pack(&headers), pack(&[EPOCH, SEQ])].concat();
        let raw = request("POST", STREAM, &headers, "x");
        assert_eq!(parse(&raw, &config()).unwrap_err().code, Code::BadRequest);
    }

    #[test]
    fn producer_numbers_are_plain_and_fit_a_javascript_number() {
        let epoch = |value| append(&[TEXT, ID, SEQ, ("producer-epoch", value)], "x").producer;
        assert_eq!(epoch("9007199254740991").unwrap().epoch, MAX);
        assert_eq!(epoch("0").unwrap().epoch, 0);
        for bad in [
            "",
            " ",
            "-1",
            "+1",
            "01",
            "00",
            "1.0",
            "1e3",
            "1abc",
            "0xyz",
            "1 2",
            "9007199254740992",
            "18446744073709551616",
            "\u{0661}",
        ] {
            for headers in [
                [TEXT, ID, SEQ, ("producer-epoch", bad)],
                [TEXT, ID, EPOCH, ("producer-seq", bad)],
            ] {
                let problem = refused("POST", STREAM, &headers, "x");
                assert_eq!(problem.code, Code::BadRequest, "{bad:?}");
            }
        }
    }

    const MAX: u64 = crate::limits::MAX_PRODUCER_NUMBER;

    #[test]
    fn a_sequence_is_visible_ascii() {
        let seq = |value| append(&[TEXT, ("Stream-Seq", value)], "x").seq.unwrap();
        assert_eq!(seq(" a~1! "), b"a~1!");
        assert_eq!(seq(&"9".repeat(256)), vec![b'9'; 256]);
        for bad in [
            "",
            " ",
            "a b",
            "\u{e9}",
            "a\tb",
            "a\u{7f}",
            &"9".repeat(257),
        ] {
            let problem = refused("POST", STREAM, &[TEXT, ("stream-seq", bad)], "x");
            assert_eq!(problem.code, Code::BadRequest, "{bad:?}");
        }
    }

    #[test]
    fn a_field_twice_must_say_the_same() {
        let same = [TEXT, ("stream-seq", "1"), ("Stream-Seq", " 1")];
        assert_eq!(append(&same, "x").seq, Some(b"1".to_vec()));
        for (name, one, other) in [
            ("stream-seq", "1", "2"),
            ("stream-closed", "true", "false"),
            ("content-type", "text/plain", "text/html"),
            ("producer-id", "a", "b"),
            ("producer-epoch", "1", ""),
        ] {
            let headers = [TEXT, (name, one), (name, other)];
            let problem = refused("POST", STREAM, &headers, "x");
            assert_eq!(problem.code, Code::BadRequest, "{name}");
            assert!(problem.detail.starts_with(name), "{}", problem.detail);
        }
    }
}

mod reads {
    use super::*;
    use crate::stream::Position;

    #[test]
    fn a_bare_get_reads_from_the_start() {
        let expected = Read {
            offset: Offset::Start,
            mode: Mode::CatchUp,
            cursor: None,
            if_none_match: None,
        };
        for query in ["", "?", "?&&", "?x=1&x=2", "?offset=-1", "?%=%&offset=-1"] {
            assert_eq!(read(query), expected, "{query}");
        }
    }

    #[test]
    fn parameters_are_decoded_once_in_any_order() {
        let query = "?live=long-poll&cursor=7&o%66fset=0000000000000001%5F0000000000000002&y";
        let read = read(query);
        assert_eq!(read.offset, Offset::At(Position::new(1, 2)));
        assert_eq!((read.mode, read.cursor), (Mode::LongPoll, Some(7)));
        assert_eq!(super::read("?offset=now&live=sse").mode, Mode::Sse);
    }

    #[test]
    fn an_offset_that_is_none_is_400() {
        let offset = "0000000000000001_0000000000000002";
        for value in [
            "",
            "0",
            "-2",
            "a,b",
            "..",
            "/",
            "-1+",
            "+-1",
            "%20-1",
            "-1%20",
            "now%00",
            "now%0A",
            "%2B1",
            "%FF",
            "-1,-1",
            "NOW",
            "%252D1",
            &format!("{offset}+"),
            &format!("+{offset}"),
            &format!("{offset}%20"),
        ] {
            let problem = refused("GET", &format!("{STREAM}?offset={value}"), &[], "");
            assert_eq!(problem.code, Code::InvalidOffset, "{value:?}");
        }
        assert_eq!(
            refused("GET", &format!("{STREAM}?offset"), &[], "").code,
            Code::InvalidOffset
        );
    }

    #[test]
    fn parameters_that_are_repeated_empty_or_malformed_are_400() {
        for query in [
            "offset=-1&offset=-1",
            "offset=-1&%6fffset=now",
            "offset=-1&offset",
            "offset=-1&live=sse&live=sse",
            "offset=-1&live=",
            "offset=-1&live",
            "offset=-1&live=SSE",
            "offset=-1&live=foo",
            "offset=-1&live=true",
            "offset=-1&live=long-poll%20",
            "cursor=1&cursor=2",
            "cursor=",
            "cursor",
            "offset=%",
            "offset=%4",
            "offset=%zz",
            "live=%",
            "cursor=%",
            "live=sse",
            "live=long-poll&cursor=1",
        ] {
            let problem = refused("GET", &format!("{STREAM}?{query}"), &[], "");
            assert_eq!(problem.code, Code::BadRequest, "{query}");
        }
    }

    #[test]
    fn a_cursor_that_can_not_be_ours_is_ignored() {
        for value in ["abc", "-1", "1.5", "%FF", "99999999999999999999", "+1"] {
            assert_eq!(read(&format!("?cursor={value}")).cursor, None, "{value}");
        }
    }

    #[test]
    fn other_methods_do_not_look_at_the_query() {
        assert_eq!(
            action("HEAD", &format!("{STREAM}?offset=x&live=%"), &[], ""),
            Action::Head
        );
    }

    #[test]
    fn lines_of_if_none_match_are_one_list() {
        let headers = [("If-None-Match", "\"a\""), ("if-none-match", " W/\"b\" ")];
        let Action::Read(read) = action("GET", STREAM, &headers, "") else {
            panic!("no read");
        };
        assert_eq!(read.if_none_match, Some(b"\"a\", W/\"b\"".to_vec()));
    }
}

#[test]
fn an_offending_value_is_quoted_escaped_and_cut() {
    let value = format!("\u{1b}[31m\"{}", "x".repeat(500));
    let problem = refused("PUT", STREAM, &[("stream-ttl", &value)], "");
    let shown = format!("\"\\u{{1b}}[31m\\\"{}\"...", "x".repeat(58));
    assert!(problem.detail.contains(&shown), "{}", problem.detail);
    assert!(problem.detail.chars().count() < 300);
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..12),
        "[0-9 +.eE_-]{0,20}".prop_map(String::into_bytes),
        proptest::sample::select(vec![
            "true",
            "text/plain",
            "application/json; charset=utf-8",
            "0",
            "1",
            "60",
            "-1",
            "9007199254740991",
            "18446744073709551615",
            "18446744073709551616",
            "*",
            "\"a\"",
            "2030-01-31T12:00:00Z",
            "9999-12-31T23:59:60-23:59",
            "Bearer x",
            "p",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        (0usize..600).prop_map(|length| vec![b'7'; length]),
    ]
}

fn field() -> impl Strategy<Value = (String, Vec<u8>)> {
    let name = proptest::sample::select(headers::CORS_ALLOWED).prop_map(str::to_owned);
    let name = prop_oneof![8 => name, 1 => "[a-zA-Z-]{0,12}"];
    (name, value())
}

fn target() -> impl Strategy<Value = String> {
    let pair = prop_oneof![
        "(offset|live|cursor|o%66fset)(=(-1|now|sse|long-poll|[0-9]{16}_[0-9]{16}|[0-9]{0,22}))?",
        "[a-z%=+&\u{e9}]{0,8}",
        any::<String>(),
    ];
    let path = prop_oneof![
        4 => Just(STREAM.to_owned()),
        2 => "/v1/stream/([a-z./_\u{e9}]|%[0-9a-fA-F]{2}|%){0,12}",
        1 => "/(health|healthz|readyz|v1|v1/stream|v1/stream/__ds/(tick)?)",
        1 => any::<String>(),
    ];
    (path, proptest::collection::vec(pair, 0..4))
        .prop_map(|(path, pairs)| format!("{path}?{}", pairs.join("&")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_request_is_judged_and_never_the_servers_fault(
        method in prop_oneof![
            8 => proptest::sample::select(vec!["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"])
                .prop_map(str::to_owned),
            1 => any::<String>(),
        ],
        target in target(),
        headers in proptest::collection::vec(field(), 0..8),
        body in proptest::collection::vec(any::<u8>(), 0..8),
        state in 0..8,
    ) {
        let body_state = match state {
            0 => BodyState::TooLarge,
            1 => BodyState::NoRoom,
            _ => BodyState::Complete,
        };
        let fields: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value)).collect();
        let raw = RawRequest {
            method: &method,
            scheme: None,
            authority: None,
            target: &target,
            headers: &pack(&fields),
            body: &body,
            body_state,
        };
        match parse(&raw, &config()) {
            Ok(Operation::Stream { action: Action::Append(append), .. }) => {
                prop_assert_eq!(append.content_type.is_none(), raw.body.is_empty());
                prop_assert!(append.close || !raw.body.is_empty());
            }
            Ok(_) => {}
            Err(problem) => {
                let known = [400, 404, 405, 413, 414, 431, 503].contains(&problem.status());
                prop_assert!(known, "{:?}", problem);
                prop_assert!(problem.detail.len() < 1200, "{:?}", problem);
                prop_assert!(!problem.detail.contains(char::is_control), "{:?}", problem);
                serde_json::from_slice::<serde_json::Value>(&problem.body(Some(&target))).unwrap();
            }
        }
    }
}
