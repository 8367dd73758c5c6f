//! Requests: every request is answered, and no bytes of a client lead to an error of the server.
//!
//! An input is the text of a request without its version: method and target, header fields, an
//! empty line, the body.

use crate::world::{World, serve};
use durable_streams_edge::limits::Config;
use durable_streams_edge::protocol::name::StreamName;
use durable_streams_edge::protocol::packed::Fields;
use durable_streams_edge::protocol::request::{BodyState, Operation, RawRequest, parse};

pub(crate) fn run(input: &[u8]) {
    let (head, body) = match input.windows(2).position(|two| two == b"\n\n") {
        Some(end) => (&input[..end], &input[end + 2..]),
        None => (input, &[][..]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let Some(Ok(first)) = lines.next().map(std::str::from_utf8) else {
        return;
    };
    let Some((method, target)) = first.split_once(' ') else {
        return;
    };
    let mut headers = Fields::default();
    for line in lines {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts.next().and_then(|name| std::str::from_utf8(name).ok());
        if let Some(name) = name {
            headers.push(name, parts.next().unwrap_or_default());
        }
    }
    let raw = RawRequest {
        method,
        scheme: Some("http"),
        authority: Some("a.example"),
        target,
        headers: headers.as_packed(),
        body,
        body_state: BodyState::Complete,
    };
    let config = Config::default();
    match parse(&raw, &config) {
        Ok(Operation::Stream { name, .. }) => {
            let same = StreamName::parse(&name.encoded(), &config);
            assert_eq!(same.as_ref(), Ok(&name), "{}", name.encoded());
            assert!(name.as_str().len() <= config.max_name_bytes);
        }
        Ok(_) => {}
        Err(problem) => assert!((400..500).contains(&problem.code.status()), "{problem:?}"),
    }
    let world = World::new(1);
    let server = serve(&world);
    let answers = server.start(&[raw], None);
    let [answer] = &*answers else {
        panic!("{} answers", answers.len());
    };
    let head = answer.head.as_ref();
    let status = head.map_or(0, |head| head.status);
    assert!(status < 500, "{status}: {answer:?}");
    for (name, value) in head.iter().flat_map(|head| head.headers.iter()) {
        let breaks = |bytes: &[u8]| bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
        assert!(!breaks(name) && !breaks(value), "a field breaks the head");
    }
}
