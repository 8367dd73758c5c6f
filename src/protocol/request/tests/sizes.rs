use super::*;

#[test]
fn a_target_past_the_limit_is_414() {
    let at = |length: usize| format!("{STREAM}?{}", "x".repeat(length - STREAM.len() - 1));
    assert_eq!(
        read(&at(MAX_TARGET_BYTES)[STREAM.len()..]).start,
        Start::Offset(Offset::Start)
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
fn a_body_that_was_not_read_is_413_or_503() {
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
