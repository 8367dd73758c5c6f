//! JSON framing: the messages of a body are its elements, byte for byte.

use durable_streams_edge::protocol::json::{Ends, Messages, frame};
use serde_json::Value;
use serde_json::value::RawValue;

pub(crate) fn run(input: &[u8]) {
    let expected = expected(input);
    let framed = frame(input);
    let (Some(expected), Ok(framed)) = (&expected, &framed) else {
        assert_eq!(expected.is_some(), framed.is_ok(), "{framed:?}");
        return;
    };
    let Messages { bytes, ends } = framed;
    assert_eq!(bytes, &expected.concat());
    let mut whole = vec![0];
    for message in expected {
        whole.push(whole.last().unwrap_or(&0) + message.len());
    }
    assert!(ends.is_sorted() && ends.iter().all(|end| whole.contains(end)));
    assert_eq!(ends.last().copied().unwrap_or(0), bytes.len());
    // The size of the body bounds the memory for its framing.
    assert!(bytes.len() <= input.len() + 1 && ends.len() <= 2 + bytes.len() / 512);
    same_values(input, expected);
    // Stored messages can be counted, wherever their bytes are cut into parts.
    let cut = input.len() / 2;
    for parts in [
        vec![&**bytes],
        vec![
            bytes.get(..cut).unwrap_or(bytes),
            bytes.get(cut..).unwrap_or_default(),
        ],
    ] {
        let (mut counter, mut left) = (Ends::default(), u64::MAX);
        for part in parts {
            counter.skip(part, &mut left);
        }
        assert_eq!(u64::MAX - left, expected.len() as u64);
    }
}

/// Each element of an array, or the value itself, followed by a comma.
fn expected(body: &[u8]) -> Option<Vec<Vec<u8>>> {
    let value: &RawValue = serde_json::from_slice(body).ok()?;
    let texts = match value.get().starts_with('[') {
        true => serde_json::from_str::<Vec<&RawValue>>(value.get()).ok()?,
        false => vec![value],
    };
    let messages = texts.iter().map(|text| format!("{},", text.get()));
    Some(messages.map(String::into_bytes).collect())
}

/// The messages have the same values as the body, as far as the library parses nested values.
fn same_values(body: &[u8], messages: &[Vec<u8>]) {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return;
    };
    let values = match value {
        Value::Array(values) => values,
        value => vec![value],
    };
    let parsed = messages.iter().map(|message| {
        let text = message.strip_suffix(b",").expect("a comma");
        serde_json::from_slice::<Value>(text).expect("a message is a value")
    });
    assert_eq!(parsed.collect::<Vec<_>>(), values);
}
