use super::*;

const CONTROL: &str = "/v1/stream/__ds/subscriptions/s";

/// Such a body would be stored compressed, and readers would not learn of the coding.
#[test]
fn a_body_that_is_encoded_is_415() {
    for coding in [
        "gzip",
        "br",
        "GZIP",
        "identity, gzip",
        "gzip, identity",
        "x",
    ] {
        for (method, target) in [
            ("PUT", STREAM),
            ("POST", STREAM),
            ("PUT", CONTROL),
            ("POST", "/v1/stream/__ds/subscriptions/s/claim"),
        ] {
            let headers = [TEXT, ("Content-Encoding", coding)];
            let problem = refused(method, target, &headers, "x");
            assert_eq!(problem.code, Code::UnsupportedContentEncoding, "{coding}");
            let acceptable = [("accept-encoding", "identity".to_owned())];
            assert_eq!(problem.fields, acceptable);
        }
    }
    let lines = [
        TEXT,
        ("content-encoding", "identity"),
        ("content-encoding", "gzip"),
    ];
    assert_eq!(refused("POST", STREAM, &lines, "x").status(), 415);
}

#[test]
fn the_coding_identity_is_accepted() {
    for coding in ["identity", "Identity", " identity , identity", "", ","] {
        append(&[TEXT, ("Content-Encoding", coding)], "x");
    }
}

#[test]
fn the_coding_of_an_empty_body_is_ignored() {
    let gzip = ("Content-Encoding", "gzip");
    create(&[gzip]);
    append(&[gzip, ("Stream-Closed", "true")], "");
    assert_eq!(
        refused("POST", STREAM, &[TEXT, gzip], "").code,
        Code::EmptyBody
    );
    action("DELETE", STREAM, &[gzip], "x");
    action("GET", STREAM, &[gzip], "x");
}

#[test]
fn an_incomplete_body_is_reported_before_its_encoding() {
    let headers = pack(&[("Content-Encoding", "gzip")]);
    let mut raw = request("POST", STREAM, &headers, "");
    raw.body_state = BodyState::TooLarge;
    let problem = parse(&raw, &config()).unwrap_err();
    assert_eq!(problem.code, Code::PayloadTooLarge);
}
