//! Base64 as in section 5.8: each event can be decoded by itself.

/// Decodes the data of one event. Its line breaks mean nothing.
#[track_caller]
pub(crate) fn decode(data: &str) -> Vec<u8> {
    let text: Vec<u8> = data.bytes().filter(|byte| *byte != b'\n').collect();
    assert_eq!(text.len() % 4, 0, "the length is a multiple of 4");
    let mut bytes = Vec::new();
    for group in text.chunks(4) {
        let padding = group.iter().filter(|byte| **byte == b'=').count();
        let bits = group.iter().fold(0, |bits, byte| bits << 6 | value(*byte));
        let decoded: [u8; 4] = u32::to_be_bytes(bits);
        bytes.extend_from_slice(&decoded[1..4 - padding]);
    }
    bytes
}

fn value(byte: u8) -> u32 {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        b'=' => 0,
        other => panic!("{other} is not in the alphabet"),
    };
    u32::from(value)
}

#[test]
fn the_decoder_knows_the_examples_of_rfc_4648() {
    assert_eq!(decode("Zm9vYmFy"), b"foobar");
    assert_eq!(decode("Zm9vYg=="), b"foob");
    assert_eq!(decode("Zm9v\nYmE="), b"fooba");
    assert_eq!(decode(""), b"");
}
