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
        reason: None,
        lease_secs: None,
        expected: None,
    };
    assert_eq!(append(&[close], ""), expected);
    for ignored in ["", "nonsense", "text/plain"] {
        assert_eq!(append(&[close, ("content-type", ignored)], ""), expected);
    }
    let two = [close, ("content-type", "a/b"), ("content-type", "c/d")];
    assert_eq!(append(&two, ""), expected);
}

#[test]
fn producer_fields_are_all_present_or_all_absent() {
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
fn a_sequence_may_be_any_field_value() {
    let seq = |value: &str| append(&[TEXT, ("Stream-Seq", value)], "x").seq.unwrap();
    assert_eq!(seq(" a~1! "), b"a~1!");
    assert_eq!(seq(&"9".repeat(256)), vec![b'9'; 256]);
    let spaced = "2026-11-28 10:00\t\u{e9}";
    assert_eq!(seq(spaced), spaced.as_bytes());
    for bad in ["", " ", &"9".repeat(257)] {
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
