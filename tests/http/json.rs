//! Section 9.1: JSON mode.

use crate::common::{Random, ServerUnderTest, shared};
use serde_json::{Value, json};

#[test]
fn one_level_of_an_array_is_taken_apart() {
    let stream = shared().stream("application/json");
    for body in [
        r#"{"event":"created"}"#,
        r#"[{"event":"a"},{"event":"b"}]"#,
        "[[1,2],[3,4]]",
        "[[[1,2,3]]]",
        "[[]]",
        r#""text""#,
        "1",
        "null",
        "true",
    ] {
        stream.append(body);
    }
    let expected = concat!(
        r#"[{"event":"created"},{"event":"a"},{"event":"b"},[1,2],[3,4],[[1,2,3]],[],"#,
        r#""text",1,null,true]"#
    );
    stream
        .read("-1")
        .with_body(expected)
        .with("content-type", "application/json");
}

#[test]
fn messages_are_kept_byte_for_byte() {
    for message in [
        r#"{"a": 1.0,  "b" :[ 1 , 2 ]}"#,
        "9007199254740993",
        "1e400",
        "-0",
        "1.10",
        "0.1e-7",
        r#"{"twice":1,"twice":2}"#,
        r#""\u0041\/\ud83d\ude00""#,
        "\"\u{1f980}\"",
        "{\n\t\"lines\":\r\n1\n}",
    ] {
        let stream = shared().stream("application/json");
        stream.append(format!(" \n{message}\t "));
        stream.append(format!("[ {message} ,{message}]"));
        let expected = format!("[{message},{message},{message}]");
        stream.read("-1").with_body(expected);
    }
}

#[test]
fn a_body_that_is_not_one_json_value_is_400() {
    let stream = shared().stream("application/json");
    let bad: [&[u8]; 28] = [
        b"{",
        b"}",
        b"[",
        b"]",
        b"[1,]",
        b"[1 2]",
        b"1 2",
        b"{}{}",
        b"[],[]",
        b"1,",
        b",",
        b" ",
        b"{\"a\"}",
        b"{\"a\":}",
        b"{a:1}",
        b"{'a':1}",
        b"nul",
        b"NaN",
        b"Infinity",
        b"01",
        b".5",
        b"+1",
        b"\"",
        b"\"\\x\"",
        b"\"\n\"",
        b"\xef\xbb\xbf1",
        b"\"\xff\"",
        b"// comment\n1",
    ];
    for body in bad {
        stream.post(body).send().problem(400, "INVALID_JSON");
    }
    stream.read("-1").with_body("[]");
}

#[test]
fn an_empty_array_is_400_to_post_and_an_empty_stream_to_put() {
    let stream = shared().name("application/json");
    let put = stream.put().header("Content-Type", "application/json");
    put.body(" [ ] ").send().expect(201);
    for body in ["[]", " [ ] ", "[\n]"] {
        stream.post(body).send().problem(400, "EMPTY_ARRAY");
    }
    stream.read("-1").with_body("[]");
}

#[test]
fn nothing_to_read_is_an_empty_array() {
    let stream = shared().stream("application/json");
    stream
        .read("-1")
        .with_body("[]")
        .with("content-length", "2");
    let tail = stream.append("1");
    stream.read(&tail).with_body("[]");
}

#[test]
fn a_content_type_with_parameters_is_json_too() {
    let stream = shared().stream("application/json; charset=utf-8");
    stream.append("[1,2]");
    stream.name_again("application/json").append("3");
    stream.read("-1").with_body("[1,2,3]");
    let near = shared().stream("application/ld+json");
    near.append("[1,2]");
    near.append("{");
    near.read("-1").with_body("[1,2]{");
}

#[test]
fn the_type_of_the_stream_decides_not_the_type_of_the_request() {
    let text = shared().stream("text/plain");
    let post = text.name_again("application/json").post("{");
    post.send().problem(409, "CONTENT_TYPE_MISMATCH");
    let json = shared().stream("application/json");
    let post = json.name_again("text/plain").post("{");
    post.send().problem(409, "CONTENT_TYPE_MISMATCH");
}

#[test]
fn deep_nesting_is_no_crash() {
    let Some(server) = ServerUnderTest::start(&[]) else {
        return;
    };
    for depth in [100, 127, 128, 1000, 100_000, 1_000_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let stream = server.stream("application/json");
            let body = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let answer = stream.post(&body).send();
            match answer.status {
                204 => {
                    let inner = body
                        .strip_prefix('[')
                        .and_then(|body| body.strip_suffix(']'));
                    stream
                        .read("-1")
                        .with_body(format!("[{}]", inner.unwrap_or(&body)));
                }
                _ => drop(answer.problem(400, "INVALID_JSON")),
            }
            let unclosed = open.repeat(depth);
            stream.post(&unclosed).send().problem(400, "INVALID_JSON");
        }
    }
    server.expect_alive();
}

#[test]
fn every_page_is_an_array_of_whole_messages() {
    let Some(server) =
        ServerUnderTest::start(&[("page_bytes", "3000"), ("inline_tail_bytes", "1000")])
    else {
        return;
    };
    let stream = server.stream("application/json");
    let mut random = Random::seeded(9);
    let mut expected = Vec::new();
    for number in 0..100 {
        let batch: Vec<Value> = (0..1 + random.below(5))
            .map(|_| json!({"n": number, "pad": "x".repeat(random.below(400))}))
            .collect();
        stream.append(Value::from(batch.clone()).to_string());
        expected.extend(batch);
    }
    let pages = stream.pages("-1");
    assert!(pages.len() > 5, "{} pages", pages.len());
    let read: Vec<Value> = pages
        .iter()
        .flat_map(|page| serde_json::from_slice::<Vec<Value>>(&page.body).expect("an array"))
        .collect();
    assert_eq!(read, expected);
}

#[test]
fn a_message_larger_than_a_page_or_a_chunk_is_read_whole() {
    let Some(server) = ServerUnderTest::start(&[("page_bytes", "1000")]) else {
        return;
    };
    let stream = server.stream("application/json");
    let sizes = [10, 2_000, 300_000, 1_000_000, 10];
    for size in sizes {
        stream.append(format!("\"{}\"", "x".repeat(size)));
    }
    let read: Vec<String> = stream
        .pages("-1")
        .iter()
        .flat_map(|page| serde_json::from_slice::<Vec<String>>(&page.body).expect("an array"))
        .collect();
    let lengths: Vec<usize> = read.iter().map(String::len).collect();
    assert_eq!(lengths, sizes);
}

#[test]
fn many_small_messages_in_one_append_are_read_whole() {
    let Some(server) = ServerUnderTest::start(&[("page_bytes", "50000")]) else {
        return;
    };
    let stream = server.stream("application/json");
    let numbers: Vec<u32> = (0..300_000).collect();
    stream.append(serde_json::to_string(&numbers).expect("JSON"));
    let pages = stream.pages("-1");
    assert!(pages.len() > 3, "{} pages", pages.len());
    let read: Vec<u32> = pages
        .iter()
        .flat_map(|page| serde_json::from_slice::<Vec<u32>>(&page.body).expect("an array"))
        .collect();
    assert!(read == numbers);
}

#[test]
fn random_messages_in_random_batches_are_read_back_in_order() {
    let mut random = Random::seeded(10);
    for _ in 0..10 {
        let stream = shared().stream("application/json");
        let mut expected = Vec::new();
        for _ in 0..20 {
            let batch: Vec<Value> = (0..1 + random.below(6))
                .map(|_| any(&mut random, 0))
                .collect();
            let body = match (batch.as_slice(), random.one_in(2)) {
                ([alone], true) if !alone.is_array() => alone.to_string(),
                _ => Value::from(batch.clone()).to_string(),
            };
            stream.append(body);
            expected.extend(batch);
        }
        assert_eq!(stream.read("-1").json(), Value::from(expected));
    }
}

fn any(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth < 4 { 7 } else { 5 }) {
        0 => Value::Null,
        1 => json!(random.one_in(2)),
        2 => json!(random.next() as i64),
        3 => json!(random.below(1000) as f64 / 8.0),
        4 => {
            let letters = [
                'a',
                '"',
                '\\',
                '\n',
                '\u{0}',
                '\u{20ac}',
                '\u{1f980}',
                ',',
                ']',
                '}',
            ];
            let text: String = (0..random.below(12))
                .map(|_| random.pick(&letters))
                .collect();
            json!(text)
        }
        5 => (0..random.below(4))
            .map(|_| any(random, depth + 1))
            .collect(),
        _ => (0..random.below(4))
            .map(|key| (key.to_string(), any(random, depth + 1)))
            .collect(),
    }
}
