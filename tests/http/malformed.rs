//! Requests that no proper client sends, at every limit: the server refuses them and keeps running.
//!
//! 5,000 requests in the usual run, 100,000 with `--full`. The seed of a client repeats its requests.

use crate::common::{Connection, Random, ServerUnderTest, full};
use std::collections::BTreeMap;

const CLIENTS: usize = 4;

/// Numbers at and past every limit.
const NUMBERS: [&str; 34] = [
    "0",
    "1",
    "-1",
    "+1",
    "01",
    "00",
    "1.0",
    "1.",
    ".5",
    "1e3",
    "1e999",
    "0x10",
    "NaN",
    "Infinity",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9007199254740991",
    "9007199254740992",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999999999999999999999",
    "-9223372036854775808",
    "",
    " ",
    "1 2",
    "1,2",
    "\t1",
    "1\u{a0}",
    "\u{661}",
    "null",
];

const OFFSETS: [&str; 28] = [
    "-1",
    "now",
    "0000000000000000_0000000000000000",
    "9999999999999999_9999999999999999",
    "0000000000000000_9999999999999999",
    "9999999999999999_0000000000000000",
    "0000000000000001_0000000000000001",
    "0000000000000000_0000000000000001",
    "0000000000000000_0000000000262145",
    "18446744073709551615_18446744073709551615",
    "ffffffffffffffff_ffffffffffffffff",
    "",
    "-2",
    "_",
    "0_0",
    "now%00",
    "-1%0a",
    "%",
    "%zz",
    "%ff%fe",
    "..%2f..",
    "0000000000000000_000000000000000",
    "00000000000000000_0000000000000000",
    "-000000000000001_0000000000000000",
    "%30000000000000000_0000000000000000",
    "+1",
    "a,b",
    "%F0%9F%A6%80",
];

const DATES: [&str; 16] = [
    "2099-01-01T00:00:00Z",
    "1970-01-01T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:60Z",
    "2099-02-30T00:00:00Z",
    "2099-01-01T00:00:00+99:99",
    "-0001-01-01T00:00:00Z",
    "10000-01-01T00:00:00Z",
    "2099-01-01T00:00:00.999999999999999999Z",
    "2099-01-01",
    "now",
    "",
    "2099-01-01t00:00:00z",
    "1969-12-31T23:59:59Z",
    "2099-01-01T24:00:00Z",
];

const CONTENT_TYPES: [&str; 16] = [
    "text/plain",
    "application/json",
    "application/octet-stream",
    "TEXT/PLAIN;;;",
    "text/",
    "/",
    "",
    "text",
    "application/json; charset=\"",
    "a/b;c=d;e=f",
    "*/*",
    "text/plain\u{e9}",
    ";",
    " / ",
    "multipart/form-data; boundary=x",
    "text/event-stream",
];

const FIELDS: [&str; 22] = [
    "Content-Type",
    "Stream-TTL",
    "Stream-Expires-At",
    "Stream-Closed",
    "Stream-Seq",
    "Producer-Id",
    "Producer-Epoch",
    "Producer-Seq",
    "If-None-Match",
    "Origin",
    "Host",
    "Authorization",
    "Accept",
    "Range",
    "Expect",
    "Content-Encoding",
    "Transfer-Encoding",
    "Connection",
    "Cookie",
    "Forwarded",
    "Access-Control-Request-Headers",
    "Stream-Fork-Offset",
];

const BODIES: [&str; 24] = [
    "",
    "x",
    "[]",
    "[[]]",
    "{}",
    "{",
    "[1,2,{\"a\":[null,true,false]}]",
    "[1,]",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "1e999999999",
    "-",
    "[",
    "]",
    "nul",
    "{\"a\":1,\"a\":2}",
    "\u{feff}[]",
    "1 1",
    "\"\u{0}\"",
    "\r\n\r\nevent: control\ndata: {}\n\n",
    "// x",
    "[[[[[[[[[[]]]]]]]]]]",
    "0",
    ",",
];

/// A raw request, and whether the server can know where it ends.
struct Raw {
    bytes: Vec<u8>,
    method: &'static str,
    framed: bool,
    endless: bool,
}

fn noise(random: &mut Random, most: usize) -> Vec<u8> {
    let length = random.below(most + 1);
    let mut bytes = random.bytes(length);
    if random.one_in(2) {
        // Visible ASCII gets further into the server than bytes that HTTP itself refuses.
        bytes.iter_mut().for_each(|byte| *byte = b' ' + *byte % 95);
    }
    bytes
}

fn name(random: &mut Random) -> String {
    match random.below(16) {
        0 => "x".repeat(1000 + random.below(60)),
        1 => "a/".repeat(random.below(12)),
        2 => "%41".repeat(random.below(1100)),
        3 => (random.pick(&[
            "..", ".", "%2e%2e", "a//b", "a/", "%00", "%", "%f", "%FF", "%C0%80",
        ]))
        .to_owned(),
        4 => (random.pick(&["__ds", "__ds/tick", "__ds/x", "__DS/tick", "%5F_ds/tick"])).to_owned(),
        5 => {
            let hex = random.bytes(6);
            hex.iter().map(|byte| format!("%{byte:02X}")).collect()
        }
        6 => (random.pick(&[
            "\u{20ac}", "a b", "a\tb", "\"", "<>", "{}", "\\", "^", "`", "|",
        ]))
        .to_owned(),
        _ => format!("pool/{}", random.below(40)),
    }
}

fn target(random: &mut Random) -> (String, bool) {
    let mut target = match random.below(20) {
        0 => (random.pick(&[
            "/",
            "//",
            "*",
            "/v1",
            "/v1/stream",
            "/v1/stream/",
            "/health",
            "/readyz?x",
            "/v1/stream?x",
            "http://other/v1/stream/x",
            "x",
            "/v1/stream/../../etc",
            "/%2e%2e/",
            "/\u{0}",
            "?",
            "#",
        ]))
        .to_owned(),
        _ => format!("/v1/stream/{}", name(random)),
    };
    let mut endless = false;
    for index in 0..random.below(4) {
        target.push(if index == 0 { '?' } else { '&' });
        match random.below(6) {
            0..=2 => {
                target.push_str("offset=");
                target.push_str(random.pick(&OFFSETS));
            }
            3 => {
                let mode =
                    random.pick(&["sse", "long-poll", "", "SSE", "foo", "long-poll%00", "1"]);
                endless |= matches!(mode, "sse" | "long-poll");
                target.push_str("live=");
                target.push_str(mode);
            }
            4 => {
                target.push_str("cursor=");
                target.push_str(random.pick(&NUMBERS));
            }
            _ => {
                let text: Vec<u8> = noise(random, 20);
                target.extend(
                    text.into_iter()
                        .map(char::from)
                        .filter(char::is_ascii_graphic),
                );
            }
        }
    }
    if random.one_in(100) {
        target.push_str(&"y".repeat(random.below(20_000)));
    }
    (target, endless)
}

fn value(random: &mut Random, field: &str) -> Vec<u8> {
    if random.one_in(8) {
        let most = random.pick(&[0, 5, 40, 300, 5000]);
        return noise(random, most);
    }
    let text = match field {
        "Content-Type" => random.pick(&CONTENT_TYPES),
        "Stream-Expires-At" => random.pick(&DATES),
        "Stream-Closed" => random.pick(&["true", "TRUE", "false", "", "1", " true", "true,true"]),
        "Producer-Id" | "Stream-Seq" => {
            random.pick(&["p", "", "q", "\u{e9}", " ", "a b", "\u{1f980}"])
        }
        "If-None-Match" => random.pick(&["*", "\"", "W/\"", "\"a\",", ",,,", "\"a\" \"b\"", "**"]),
        "Host" => random.pick(&[
            "", "x", "a b", "x:99999", "[::1", "x:", "\u{e9}", "a/b", "@",
        ]),
        "Expect" => random.pick(&["100-continue", "x"]),
        "Transfer-Encoding" => random.pick(&["identity", "gzip, chunked", "x"]),
        "Connection" => random.pick(&["close", "upgrade", "keep-alive", "x, y"]),
        _ => random.pick(&NUMBERS),
    };
    text.as_bytes().to_vec()
}

fn body(random: &mut Random) -> Vec<u8> {
    match random.below(40) {
        0 => "[".repeat(random.below(200_000)).into_bytes(),
        1 => "{\"a\":".repeat(random.below(50_000)).into_bytes(),
        2 => noise(random, 300_000),
        3 => format!("[{}1]", "1,".repeat(random.below(50_000))).into_bytes(),
        4 => format!("\"{}\"", "x".repeat(random.below(300_000))).into_bytes(),
        5..=8 => noise(random, 200),
        _ => {
            let mut bytes = random.pick(&BODIES).as_bytes().to_vec();
            if !bytes.is_empty() && random.one_in(3) {
                let at = random.below(bytes.len());
                bytes[at] = random.next() as u8;
            }
            bytes
        }
    }
}

/// A head and a body that are valid as HTTP, but may be invalid in every other way.
fn framed(random: &mut Random) -> Raw {
    let methods = [
        "GET", "GET", "PUT", "POST", "POST", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH",
    ];
    let method = random.pick(&methods);
    let (target, endless) = target(random);
    let mut bytes = format!("{method} {target} HTTP/1.1\r\n").into_bytes();
    let mut own_host = true;
    let mut framed = true;
    let mut fields = Vec::new();
    if random.one_in(2) {
        let content_type = random.pick(&["text/plain", "application/json"]);
        fields.push(("Content-Type", content_type.as_bytes().to_vec()));
    }
    for _ in 0..random.below(5) {
        let field = random.pick(&FIELDS);
        fields.push((field, value(random, field)));
    }
    for (field, value) in fields {
        own_host &= field != "Host";
        framed &= !matches!(field, "Transfer-Encoding" | "Connection" | "Expect");
        // Bytes that would end the field or the head belong to the broken requests.
        let value = value
            .into_iter()
            .filter(|byte| !matches!(byte, b'\r' | b'\n' | 0));
        bytes.extend_from_slice(field.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend(value);
        bytes.extend_from_slice(b"\r\n");
    }
    if own_host {
        bytes.extend_from_slice(b"Host: x\r\n");
    }
    if matches!(method, "PUT" | "POST" | "PATCH") || random.one_in(8) {
        let body = body(random);
        if random.one_in(4) {
            bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            if !body.is_empty() {
                bytes.extend_from_slice(format!("{:X};x=y\r\n", body.len()).as_bytes());
                bytes.extend_from_slice(&body);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\nTrailer: x\r\n\r\n");
        } else {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
            bytes.extend_from_slice(&body);
        }
    } else {
        bytes.extend_from_slice(b"\r\n");
    }
    Raw {
        bytes,
        method,
        framed,
        endless,
    }
}

/// A request that breaks HTTP itself.
fn broken(random: &mut Random) -> Raw {
    let mut raw = framed(random);
    match random.below(6) {
        0 => raw.bytes = noise(random, 400),
        1 => {
            let keep = random.below(raw.bytes.len());
            raw.bytes.truncate(keep);
        }
        2 => {
            for _ in 0..1 + random.below(8) {
                let at = random.below(raw.bytes.len().min(600));
                raw.bytes[at] = random.next() as u8;
            }
        }
        3 => {
            let length = random.pick(&NUMBERS);
            raw.bytes = format!(
                "POST /v1/stream/pool/1 HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n\
                 Content-Length: {length}\r\n\r\nabc"
            )
            .into_bytes();
        }
        4 => {
            let size = random.pick(&["g", "-1", "ffffffffffffffffff", "", "5;", "0x5", "5\n"]);
            raw.bytes = format!(
                "POST /v1/stream/pool/1 HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n\
                 Transfer-Encoding: chunked\r\n\r\n{size}\r\nabc\r\n0\r\n\r\n"
            )
            .into_bytes();
        }
        _ => raw.bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0garbage that is no frame".to_vec(),
    }
    raw.framed = false;
    raw
}

/// Outcome of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Status(u16),
    /// The connection was closed without an answer.
    Closed,
}

fn exchange(server: &ServerUnderTest, kept: &mut Option<Connection>, raw: &Raw) -> Outcome {
    let mut connection = match kept.take() {
        Some(connection) if raw.framed => connection,
        _ => Connection::to(server.address),
    };
    // A server may stop reading once it has decided to refuse the request.
    let sent = connection.write(&raw.bytes);
    if !raw.framed {
        connection.stop_writing();
    }
    connection.expects_body(raw.method);
    match connection.try_read_head() {
        Ok(true) => {}
        Ok(false) | Err(_) => return Outcome::Closed,
    }
    let status = connection.head().status;
    // An unknown transfer coding is answered with 501.
    if status >= 500 && status != 501 {
        let shown = &raw.bytes[..raw.bytes.len().min(700)];
        let shown = String::from_utf8_lossy(shown).into_owned();
        panic!("{:?}\nto {shown}", connection.finish());
    }
    if raw.endless || !raw.framed {
        // The rest of the body may wait for a time-out, or never end.
        return Outcome::Status(status);
    }
    let closes = connection.head().header("connection") == Some("close");
    let whole = loop {
        match connection.read_some() {
            Ok((_, None)) => {}
            Ok((_, Some(end))) => break end == crate::common::client::End::Complete,
            Err(_) => break false,
        }
    };
    if sent.is_ok() && whole && !closes {
        *kept = Some(connection);
    }
    Outcome::Status(status)
}

#[test]
fn malformed_requests_are_refused_and_the_server_lives_on() {
    let count = if full() { 100_000 } else { 5_000 };
    let Some(server) = ServerUnderTest::start(&[
        ("long_poll_timeout_secs", "1"),
        ("sse_max_secs", "1"),
        ("max_append_bytes", "200000"),
        ("max_stream_bytes", "2000000"),
        ("page_bytes", "100000"),
    ]) else {
        return;
    };
    let counts = std::thread::scope(|scope| {
        let server = &server;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|seed| scope.spawn(move || client(server, seed as u64, count / CLIENTS)))
            .collect();
        let mut counts: BTreeMap<Outcome, usize> = BTreeMap::new();
        for client in clients {
            for (outcome, number) in client
                .join()
                .expect("a client found nothing to complain of")
            {
                *counts.entry(outcome).or_default() += number;
            }
        }
        counts
    });
    println!("{count} malformed requests: {counts:?}");
    // A server that only closed connections would not pass.
    for class in [2, 4] {
        let of_class =
            |outcome: &Outcome| matches!(outcome, Outcome::Status(status) if status / 100 == class);
        let answered: usize = counts
            .iter()
            .filter(|(one, _)| of_class(one))
            .map(|(_, n)| n)
            .sum();
        assert!(answered > count / 20, "{answered} answers with {class}xx");
    }
    server.expect_alive();
}

fn client(server: &ServerUnderTest, seed: u64, count: usize) -> BTreeMap<Outcome, usize> {
    let mut random = Random::seeded(seed);
    let mut kept = None;
    let mut counts = BTreeMap::new();
    for _ in 0..count {
        let raw = match random.one_in(12) {
            true => broken(&mut random),
            false => framed(&mut random),
        };
        let outcome = exchange(server, &mut kept, &raw);
        *counts.entry(outcome).or_default() += 1;
    }
    counts
}
