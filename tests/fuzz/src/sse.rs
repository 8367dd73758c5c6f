//! SSE framing: an independent reader finds the bytes of a stream in one data event.

use crate::events;
use crate::input::Input;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use durable_streams_edge::protocol::json::frame;
use durable_streams_edge::protocol::sse::{
    Encoding, control, dangling, data_begin, data_end, data_part, unfinished,
};
use std::borrow::Cow;

pub(crate) fn run(input: &[u8]) {
    let mut input = Input(input);
    let encoding = [Encoding::Text, Encoding::Base64, Encoding::Json][input.below(3)];
    let most = input.below(40);
    let Some(bytes) = stored(encoding, input.0) else {
        return;
    };
    let bytes = &*bytes;
    assert!(dangling(bytes) <= 3 && unfinished(bytes) <= 3.max(dangling(bytes)));
    let mut out = Vec::new();
    data_begin(&mut out, encoding);
    let mut rest = bytes;
    loop {
        let length = match encoding {
            Encoding::Base64 => (3 * most.max(1)).min(rest.len()),
            Encoding::Text => match rest.get(..most.max(4)) {
                Some(part) => part.len() - unfinished(part),
                None => rest.len(),
            },
            Encoding::Json => most.max(1).min(rest.len()),
        };
        let (part, after) = rest.split_at(length);
        // Each part but the first may go into a buffer of its own.
        if rest.len() == bytes.len() {
            data_part(&mut out, encoding, part);
        } else {
            let mut next = Vec::new();
            data_part(&mut next, encoding, part);
            out.append(&mut next);
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
        assert!(length > 0, "no progress");
    }
    data_end(&mut out, encoding);
    let end = control("0000000000000001_0000000000000002", true, Some(None));
    out.extend(end.before);
    let events = events::read(&String::from_utf8(out).expect("it is UTF-8"));
    let [(kind, data), (last, _)] = &*events else {
        panic!("{} events", events.len());
    };
    assert_eq!((&**kind, &**last), ("data", "control"));
    match encoding {
        Encoding::Base64 => assert_eq!(STANDARD.decode(data).expect("it is base64"), bytes),
        Encoding::Json => {
            // A line may end in the middle of a CRLF, but a JSON value contains neither.
            let lines = |text: &str| text.replace(['\r', '\n'], "");
            let text = std::str::from_utf8(bytes).expect("messages are UTF-8");
            assert_eq!(lines(data), format!("[{}]", lines(text)));
        }
        Encoding::Text => {
            let text = String::from_utf8_lossy(bytes);
            let expected = text.replace("\r\n", "\n").replace('\r', "\n");
            assert_eq!(*data, expected);
        }
    }
}

/// The payload of an event: any bytes, or messages without the last comma.
fn stored(encoding: Encoding, input: &[u8]) -> Option<Cow<'_, [u8]>> {
    if encoding != Encoding::Json {
        return Some(Cow::Borrowed(input));
    }
    let mut bytes = frame(input).ok()?.bytes;
    bytes.pop();
    Some(Cow::Owned(bytes))
}
