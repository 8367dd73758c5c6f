use super::*;
use proptest::prelude::*;

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
        "(offset|tail|live|cursor|o%66fset)(=(-1|now|sse|long-poll|[0-9]{16}_[0-9]{16}|[0-9]{0,22}))?",
        "(limit|after|prefix)(=[0-9a-z/%]{0,9})?",
        "[a-z%=+&\u{e9}]{0,8}",
        any::<String>(),
    ];
    let path = prop_oneof![
        4 => Just(STREAM.to_owned()),
        2 => "/v1/stream/([a-z./_\u{e9}]|%[0-9a-fA-F]{2}|%){0,12}",
        1 => "/(health|healthz|readyz|v1|v1/stream|v1/stream/__ds/(tick|streams|streams/a|subscriptions)?)",
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
                // A renewal of a lease has no body.
                let is_renewal = append.lease_secs.is_some();
                prop_assert!(append.close || is_renewal || !raw.body.is_empty());
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
