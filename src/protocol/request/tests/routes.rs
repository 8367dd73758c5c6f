use super::*;

#[test]
fn paths_mean_their_resources() {
    for target in ["/health", "/healthz", "/health?x=1"] {
        assert_eq!(parsed("GET", target, &[], ""), Operation::Health);
        assert_eq!(parsed("HEAD", target, &[], ""), Operation::Health);
    }
    assert_eq!(parsed("GET", "/readyz", &[], ""), Operation::Ready);
    let Operation::Stream { name, action } = parsed("HEAD", "/v1/stream/a%20b/c?q", &[], "") else {
        panic!("no stream");
    };
    assert_eq!((name.as_str(), action), ("a b/c", Action::Head));
    assert_eq!(super::action("DELETE", STREAM, &[], ""), Action::Delete);
}

#[test]
fn the_subscription_of_a_call_is_known_from_its_path_alone() {
    for (path, id) in [
        ("/v1/stream/__ds/subscriptions/a", Some("a")),
        ("/v1/stream/__ds/subscriptions/a/claim", Some("a")),
        ("/v1/stream/__ds/subscriptions/a/streams", Some("a")),
        ("/v1/stream/__ds/subscriptions/a/streams/b", Some("a")),
        ("/v1/stream/__ds/subscriptions/a/callback", Some("a")),
        ("/v1/stream/%5F%5fds/subscriptions%2F%61/ack", Some("a")),
        ("/v1/stream/__ds/subscriptions/a/other", None),
        ("/v1/stream/__ds/subscriptions/", None),
        ("/v1/stream/__ds/subscriptions/%zz", None),
        ("/v1/stream/__ds/jwks.json", None),
        ("/v1/stream/__ds/tick", None),
        ("/v1/stream/__dsx/subscriptions/a", None),
        ("/v1/stream/a/__ds/subscriptions/a", None),
        ("/v2/stream/__ds/subscriptions/a", None),
    ] {
        let found = subscription_id(path, "/v1/stream");
        assert_eq!(found.as_deref(), id, "{path}");
    }
    let at_the_root = subscription_id("/__ds/subscriptions/a", "");
    assert_eq!(at_the_root.as_deref(), Some("a"));
}

#[test]
fn calls_that_list_and_describe_have_paths_of_their_own() {
    let stream = |name| Listing::Stream(StreamName::parse(name, &config()).unwrap());
    for (path, listing) in [
        ("__ds", Listing::Server),
        ("__ds/", Listing::Server),
        ("__ds?x", Listing::Server),
        ("%5F_ds", Listing::Server),
        ("__ds/streams", Listing::Streams),
        ("__ds%2Fstreams?limit=5", Listing::Streams),
        ("__ds/streams/a/b", stream("a/b")),
        ("__ds/streams/a%2Fb?limit", stream("a/b")),
        ("__ds/streams/streams", stream("streams")),
        ("__ds/subscriptions", Listing::Subscriptions),
    ] {
        for method in ["GET", "HEAD"] {
            let operation = parsed(method, &format!("/v1/stream/{path}"), &[], "");
            assert_eq!(operation, Operation::Listing(listing.clone()), "{path}");
        }
    }
    for name in ["a//b", "a/", "a/..", "__ds/x", "%ff", "%"] {
        let problem = refused("GET", &format!("/v1/stream/__ds/streams/{name}"), &[], "");
        assert_eq!(problem.code, Code::InvalidStreamName, "{name}");
    }
}

#[test]
fn the_limit_of_a_page_is_known_from_its_target_alone() {
    for (path, query, limit) in [
        ("/v1/stream/__ds/streams", "", Some(LIST_DEFAULT)),
        ("/v1/stream/__ds/streams", "after=x&limit=1000", Some(1000)),
        ("/v1/stream/__ds/subscriptions", "limit=7", Some(7)),
        ("/v1/stream/%5F%5fds%2Fstreams", "l%69mit=7", Some(7)),
        ("/v1/stream/__ds/streams", "limit=1001", None),
        ("/v1/stream/__ds", "limit=7", None),
        ("/v1/stream/__ds/streams/a", "limit=7", None),
        ("/v1/stream/__dsx/streams", "limit=7", None),
        ("/v1/stream/streams", "limit=7", None),
        ("/v2/stream/__ds/streams", "limit=7", None),
    ] {
        assert_eq!(
            page_limit(path, query, "/v1/stream"),
            limit,
            "{path}?{query}"
        );
    }
    assert_eq!(page_limit("/__ds/streams", "limit=7", ""), Some(7));
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
        "/v1/stream/__ds/x",
        "/v1/stream/__ds//",
        "/v1/stream/__ds/streams/",
        "/v1/stream/__ds/subscriptions/",
        "/v1/stream/__ds/streamsx",
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
fn a_wrong_method_gets_the_allowed_methods() {
    for (method, target, allow) in [
        ("POST", "/health", "GET, HEAD, OPTIONS"),
        ("PUT", "/readyz", "GET, HEAD, OPTIONS"),
        ("GET", "/v1/stream/__ds/tick", "POST, OPTIONS"),
        ("PUT", "/v1/stream/__ds", "GET, HEAD, OPTIONS"),
        ("POST", "/v1/stream/__ds/streams", "GET, HEAD, OPTIONS"),
        ("PUT", "/v1/stream/__ds/streams/a", "GET, HEAD, OPTIONS"),
        ("PUT", "/v1/stream/__ds/subscriptions", "GET, HEAD, OPTIONS"),
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
    let tick = |headers: &[(&str, &str)]| match parsed("POST", "/v1/stream/__ds/tick", headers, "")
    {
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

#[test]
fn the_whole_server_can_be_streams_but_for_its_probes() {
    let given = |name: &str| (name == "base_path").then(|| "/".to_owned());
    let config = Config::from_lookup(given).unwrap();
    let ask = |method, target| parse(&request(method, target, &[], ""), &config);
    for target in ["/a", "/v1/stream/s", "/health/a", "/healthy", "/a/readyz"] {
        let Ok(Operation::Stream { name, .. }) = ask("HEAD", target) else {
            panic!("{target} is no stream");
        };
        assert_eq!(format!("/{}", name.as_str()), target);
    }
    assert_eq!(ask("GET", "/health"), Ok(Operation::Health));
    assert_eq!(ask("GET", "/readyz"), Ok(Operation::Ready));
    assert!(matches!(
        ask("POST", "/__ds/tick"),
        Ok(Operation::Tick { .. })
    ));
    for (target, code) in [
        ("/", Code::InvalidStreamName),
        ("/%68ealth", Code::InvalidStreamName),
        ("/ready%7A", Code::InvalidStreamName),
        ("/__ds/x", Code::RouteNotFound),
        ("/__ds", Code::MethodNotAllowed),
        ("", Code::RouteNotFound),
    ] {
        let refused = ask("PUT", target).unwrap_err();
        assert_eq!(refused.code, code, "{target}");
    }
    let fork = pack(&[("stream-forked-from", "/healthz")]);
    let refused = parse(&request("PUT", "/f", &fork, ""), &config).unwrap_err();
    assert_eq!(refused.code, Code::BadRequest);
    let fork = pack(&[("stream-forked-from", "/v1/stream/s")]);
    assert!(parse(&request("PUT", "/f", &fork, ""), &config).is_ok());
}
