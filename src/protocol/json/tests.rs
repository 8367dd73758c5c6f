use super::*;
use proptest::prelude::*;
use serde_json::Value;

fn framed(body: &str) -> String {
    String::from_utf8(frame(body.as_bytes()).unwrap().bytes).unwrap()
}

fn page(messages: &Messages) -> Vec<u8> {
    let inner = messages.bytes.strip_suffix(b",").unwrap_or_default();
    [b"[", inner, b"]"].concat()
}

#[test]
fn exactly_one_level_of_array_is_flattened() {
    assert_eq!(
        framed(r#"{"event": "created"}"#),
        r#"{"event": "created"},"#
    );
    assert_eq!(framed(r#"[{"a":1}, {"b":2}]"#), r#"{"a":1},{"b":2},"#);
    assert_eq!(framed("[[1,2], [3,4]]"), "[1,2],[3,4],");
    assert_eq!(framed("[[[1,2,3]]]"), "[[1,2,3]],");
    assert_eq!(framed("[[]]"), "[],");
    assert_eq!(framed("1"), "1,");
    assert_eq!(framed(" \t\r\n\"x\" \n"), "\"x\",");
}

#[test]
fn an_empty_array_is_no_message() {
    for body in ["[]", " [ ] ", "[\n]"] {
        assert_eq!(frame(body.as_bytes()), Ok(Messages::default()));
    }
}

#[test]
fn messages_are_kept_byte_for_byte() {
    let body =
        "[ 1.0 ,\t9007199254740993, -0.0e+1 ,{\"b\" :1, \"a\": 2, \"a\":3},\"\\u00e9\\/\"\n]";
    let kept = "1.0,9007199254740993,-0.0e+1,{\"b\" :1, \"a\": 2, \"a\":3},\"\\u00e9\\/\",";
    assert_eq!(framed(body), kept);
    assert_eq!(framed("{\"a\":\r\n  1}"), "{\"a\":\r\n  1},");
    assert_eq!(framed("1e999"), "1e999,");
}

#[test]
fn a_body_that_is_not_one_json_value_is_refused_with_its_place() {
    for body in [
        "",
        " ",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "1 2",
        "1,",
        "[] []",
        "{}{}",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{'a':1}",
        "'a'",
        "\"a",
        "\"\\x\"",
        "\"\\u12\"",
        "nul",
        "tru",
        "NaN",
        "Infinity",
        "+1",
        "01",
        "1.",
        ".5",
        "-",
        "1e",
        "0x10",
        "// x\n1",
        "\"\t\"",
        "[1]x",
        "\u{feff}1",
        "\u{feff}[]",
        "\u{a0}1",
        "[\u{c}1]",
        "\u{0}",
    ] {
        let error = frame(body.as_bytes()).expect_err(body).to_string();
        assert!(
            error.contains(" line ") && error.len() < 100,
            "{body:?}: {error}"
        );
    }
    let error = frame(b"[1,\n x]").unwrap_err().to_string();
    assert_eq!(error, "expected value at line 2 column 2");
    for body in [
        &b"\"\xff\""[..],
        b"\"\xed\xa0\x80\"",
        b"\xef\xbb",
        b"[\"\xc3\"]",
    ] {
        let error = frame(body).unwrap_err().to_string();
        assert!(error.starts_with("not UTF-8 at line 1 column "), "{error}");
    }
    let error = frame(b"[1,\n\"ab\xff\"]").unwrap_err().to_string();
    assert_eq!(error, "not UTF-8 at line 2 column 4");
}

// An instance has a small stack. An overflow would end every exchange in the instance.
#[test]
fn a_body_has_at_most_128_levels_and_takes_no_stack_for_more() {
    let nested = |depth: usize| {
        [
            "[".repeat(depth) + &"]".repeat(depth),
            "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth),
            "[{\"a\":".repeat(depth / 2) + "1" + &"}]".repeat(depth / 2),
        ]
    };
    for body in nested(128) {
        assert!(frame(body.as_bytes()).is_ok(), "{body}");
    }
    // Brackets in strings do not nest, and neither do adjacent brackets.
    let flat = format!("[\"{}\",{}1]", "[{".repeat(200), "[],{},".repeat(200));
    assert!(frame(flat.as_bytes()).is_ok());
    let unclosed = "[{\"a\":".repeat(100_000);
    for body in [nested(130), nested(100_000)]
        .concat()
        .iter()
        .chain([&unclosed])
    {
        let error = frame(body.as_bytes()).unwrap_err().to_string();
        assert_eq!(error, "nested deeper than 128 levels");
    }
}

#[test]
fn a_large_body_of_small_messages_costs_little_more_than_its_bytes() {
    let body = "[".to_owned() + &"1,".repeat(8 * 1024 * 1024 - 1) + "1]";
    let messages = frame(body.as_bytes()).unwrap();
    assert_eq!(messages.bytes.len(), 16 * 1024 * 1024);
    assert_eq!(messages.ends.last(), Some(&messages.bytes.len()));
    assert!(
        messages.ends.len() <= 2 * 16 * 1024 + 1,
        "{}",
        messages.ends.len()
    );
    assert!(messages.bytes.capacity() <= body.len() + 1);
}

#[test]
fn the_end_before_a_long_message_is_kept() {
    let long = format!("\"{}\"", "x".repeat(5000));
    let messages = frame(format!("[1,{long},2,{long},3]").as_bytes()).unwrap();
    assert_eq!(messages.ends, [2, 5005, 5007, 10_010, 10_012]);
}

/// All ends, without thinning.
fn all_ends(lengths: &[usize]) -> Vec<usize> {
    let mut end = 0;
    let next = |length: &usize| {
        end += length + 3;
        end
    };
    lengths.iter().map(next).collect()
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_page_of_the_messages_is_the_array_that_was_sent(value in value(), pretty: bool) {
        let write = if pretty { serde_json::to_vec_pretty } else { serde_json::to_vec };
        let body = write(&value).unwrap();
        let read: Value = serde_json::from_slice(&page(&frame(&body).unwrap())).unwrap();
        // The body is parsed as well, since the library neither writes NaN nor reads every f64
        // exactly.
        let sent: Value = serde_json::from_slice(&body).unwrap();
        prop_assert_eq!(read, if sent.is_array() { sent } else { Value::from(vec![sent]) });
    }

    #[test]
    fn any_bytes_are_judged_without_a_panic(body: Vec<u8>) {
        let _ = frame(&body);
    }

    #[test]
    fn likely_texts_are_judged_as_the_library_judges_them(body in "[\\[\\]{},:\"a01.e\\\\ u-]{0,16}") {
        let framed = frame(body.as_bytes());
        match serde_json::from_str::<Value>(&body) {
            Ok(value) => {
                let read: Value = serde_json::from_slice(&page(&framed.unwrap())).unwrap();
                prop_assert_eq!(read, if value.is_array() { value } else { Value::from(vec![value]) });
            }
            // Some bodies are grammatical without a value: a number that no f64 holds, or half a
            // surrogate pair.
            Err(error) => {
                let grammar = serde_json::from_str::<serde::de::IgnoredAny>(&body).is_ok();
                prop_assert_eq!(framed.is_ok(), grammar, "{}", error);
            }
        }
    }

    #[test]
    fn messages_without_white_space_outside_are_kept_exactly(
        messages in proptest::collection::vec(value(), 1..6),
        spaces in proptest::collection::vec("[ \t\r\n]{0,3}", 14),
    ) {
        let texts: Vec<String> = messages.iter().map(Value::to_string).collect();
        let spaced: Vec<String> = texts
            .iter()
            .enumerate()
            .map(|(index, text)| format!("{}{text}{}", spaces[2 * index], spaces[2 * index + 1]))
            .collect();
        let body = format!("{}[{}]{}", spaces[12], spaced.join(","), spaces[13]);
        prop_assert_eq!(framed(&body), texts.join(",") + ",");
    }

    #[test]
    fn thinned_ends_are_few_and_lose_no_cut(
        lengths in proptest::collection::vec(
            prop_oneof![4 => 0usize..40, 2 => 0usize..2000, 1 => 900usize..1100],
            1..200,
        ),
    ) {
        let strings = lengths.iter().map(|length| format!("\"{}\"", "x".repeat(*length)));
        let body = format!("[{}]", strings.collect::<Vec<_>>().join(","));
        let messages = frame(body.as_bytes()).unwrap();
        let (ends, all) = (messages.ends, all_ends(&lengths));
        prop_assert_eq!(ends.last(), all.last());
        prop_assert!(ends.iter().all(|end| all.binary_search(end).is_ok()));
        prop_assert!(ends.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert!(ends.windows(3).all(|three| three[2] - three[0] > SPACING));
        for end in all {
            let kept = ends.iter().rev().find(|kept| **kept <= end).copied().unwrap_or(0);
            prop_assert!(end - kept < SPACING || end <= SPACING, "{} {}", end, kept);
        }
    }

    #[test]
    fn the_ends_of_framed_messages_are_found_in_any_parts(
        messages in proptest::collection::vec(value(), 1..8),
        skipped in 0_usize..9,
        part in 1_usize..40,
    ) {
        let texts: Vec<String> = messages.iter().map(Value::to_string).collect();
        let bytes = framed(&format!("[{}]", texts.join(",")));
        let skipped = skipped.min(texts.len());
        let expected: usize = texts.iter().take(skipped).map(|text| text.len() + 1).sum();
        let (mut ends, mut left, mut read) = (Ends::default(), skipped as u64, 0);
        for part in bytes.as_bytes().chunks(part) {
            read += ends.skip(part, &mut left);
        }
        prop_assert_eq!((left, read), (0, expected));
        let mut ends = Ends::default();
        ends.skip(&bytes.as_bytes()[..expected], &mut u64::MAX.to_owned());
        prop_assert_eq!(ends.at_end(), skipped > 0);
    }
}
