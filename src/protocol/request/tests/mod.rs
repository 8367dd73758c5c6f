mod appends;
mod arbitrary;
mod authorities;
mod codings;
mod creations;
mod reads;
mod routes;
mod sizes;

use super::*;
use crate::limits::LIST_DEFAULT;
use crate::protocol::headers;
use crate::protocol::name::StreamName;
use crate::protocol::offset::Offset;
use crate::stream::{Expiry, Producer};

const STREAM: &str = "/v1/stream/s";

fn config() -> Config {
    Config::from_lookup(|_| None).unwrap()
}

fn pack<T: AsRef<[u8]>>(headers: &[(&str, T)]) -> Vec<u8> {
    let mut fields = packed::Fields::default();
    for (name, value) in headers {
        fields.push(name, value);
    }
    fields.into_packed()
}

fn request<'a>(
    method: &'a str,
    target: &'a str,
    headers: &'a [u8],
    body: &'a str,
) -> RawRequest<'a> {
    RawRequest {
        method,
        scheme: Some("http"),
        authority: Some("localhost:4437"),
        target,
        headers,
        body: body.as_bytes(),
        body_state: BodyState::Complete,
    }
}

fn parsed(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Operation {
    parse(&request(method, target, &pack(headers), body), &config()).unwrap()
}

fn refused(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Problem {
    let packed = pack(headers);
    let raw = request(method, target, &packed, body);
    parse(&raw, &config()).expect_err(&format!("{method} {target} {headers:?}"))
}

fn action(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Action {
    match parsed(method, target, headers, body) {
        Operation::Stream { action, .. } => action,
        other => panic!("{method} {target} is {other:?}"),
    }
}

fn create(headers: &[(&str, &str)]) -> Create {
    match action("PUT", STREAM, headers, "") {
        Action::Create(create) => create,
        other => panic!("{other:?}"),
    }
}

fn append(headers: &[(&str, &str)], body: &str) -> Append {
    match action("POST", STREAM, headers, body) {
        Action::Append(append) => append,
        other => panic!("{other:?}"),
    }
}

fn read(query: &str) -> Read {
    match action("GET", &format!("{STREAM}{query}"), &[], "") {
        Action::Read(read) => read,
        other => panic!("{other:?}"),
    }
}

const TEXT: (&str, &str) = ("Content-Type", "text/plain");

#[test]
fn an_offending_value_is_quoted_escaped_and_cut() {
    let value = format!("\u{1b}[31m\"{}", "x".repeat(500));
    let problem = refused("PUT", STREAM, &[("stream-ttl", &value)], "");
    let shown = format!("\"\\u{{1b}}[31m\\\"{}\"...", "x".repeat(58));
    assert!(problem.detail.contains(&shown), "{}", problem.detail);
    assert!(problem.detail.chars().count() < 300);
}
