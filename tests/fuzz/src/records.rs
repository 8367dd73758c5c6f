//! Record decoding: bytes from the store are a record or are refused. A record that is written
//! again stays the same.

use crate::input::Input;
use crate::world::{Ask, Response, Rest, World, begin, call, resume, serve};
use durable_streams_edge::keys::head::Record;
use durable_streams_edge::keys::subscription::Stored;
use durable_streams_edge::keys::{
    Corrupt, Envelope, debt, index, parse, registry, signing, subscriptions, todo,
};
use durable_streams_edge::protocol::packed::Fields;
use durable_streams_edge::protocol::request::{BodyState, RawRequest};
use durable_streams_edge::service::exchange::Cause;
use std::fmt::Debug;

pub(crate) fn run(input: &[u8]) {
    let mut input = Input(input);
    let kind = input.below(12);
    let bytes = input.0;
    match kind {
        0 => again(bytes, Envelope::decode, Envelope::encode),
        1 => sealed(bytes, Record::decode, |record: &Record| record.encode()),
        2 => sealed(bytes, unversioned(todo::decode), |entries: &Vec<_>| {
            todo::encode(entries)
        }),
        3 => sealed(bytes, unversioned(registry::decode), registry::encode),
        4 => again(bytes, debt::decode, debt::encode),
        5 => {
            again(bytes, |bytes| index::decode(bytes, 3), index::encode);
            if let Ok(block) = index::decode(bytes, 3) {
                let version = index::encode(&block)[0];
                assert_eq!(version, bytes[0], "read as a block of another version");
            }
        }
        // Tokens and attempts stay between driver and component. A wrong driver still must not end
        // the instance.
        6 => tokens(bytes),
        7 => attempts(bytes),
        8 => sealed(bytes, Stored::decode, Stored::encode),
        9 => sealed(
            bytes,
            unversioned(subscriptions::decode),
            |entries: &Vec<_>| subscriptions::encode(entries),
        ),
        10 => sealed(bytes, unversioned(signing::decode), |keys| {
            keys.as_ref().map(signing::encode).unwrap_or_default()
        }),
        // Keys also come from the store, when a tool lists its keys.
        _ => {
            if let Some((namespace, _)) = std::str::from_utf8(bytes).ok().and_then(parse) {
                assert!(bytes.starts_with(namespace.as_bytes()));
            }
        }
    }
}

/// Resumes reads with wrong tokens: random bytes, or a real token with some changed bytes.
fn tokens(bytes: &[u8]) {
    let world = World::new(1);
    let server = serve(&world);
    let mut put = Ask::new("PUT", "s").with("content-type", "text/plain");
    put.body = b"x".repeat(20);
    assert_eq!(call(&server, &put).status, 201);
    let mut get = Ask::new("GET", "s");
    get.target += "?offset=now&live=sse";
    let (_, Rest::Waits { mut token }) = begin(&server, &get) else {
        panic!("a reader at the tail waits");
    };
    for change in bytes.chunks_exact(2) {
        let at = usize::from(change[0]) % token.len();
        token[at] = change[1];
    }
    for token in [bytes, &token] {
        for cause in [Cause::Ready, Cause::Changed, Cause::Timeout, Cause::Expired] {
            resume(&server, &mut Response::default(), token, cause);
        }
    }
}

/// Retries writes with wrong attempts.
fn attempts(bytes: &[u8]) {
    let world = World::new(1);
    let server = serve(&world);
    for method in ["PUT", "POST", "DELETE"] {
        let mut headers = Fields::default();
        headers.push("content-type", "text/plain");
        let request = RawRequest {
            method,
            scheme: None,
            authority: None,
            target: "/v1/stream/s",
            headers: headers.as_packed(),
            body: b"x",
            body_state: BodyState::Complete,
        };
        assert_eq!(server.start(&[request], Some(bytes)).len(), 1);
    }
}

/// A decoder that ignores the version of the record.
fn unversioned<T>(
    decode: impl Fn(&[u8]) -> Result<T, Corrupt>,
) -> impl Fn(&[u8], u64) -> Result<T, Corrupt> {
    move |bytes, _| decode(bytes)
}

/// As [`again`], for records that the store keeps in an envelope.
fn sealed<T: PartialEq + Debug>(
    bytes: &[u8],
    decode: impl Fn(&[u8], u64) -> Result<T, Corrupt>,
    encode: impl Fn(&T) -> Vec<u8>,
) {
    if let Ok(Envelope { version, body, .. }) = Envelope::decode(bytes) {
        again(&body, |bytes| decode(bytes, version), encode);
    }
}

/// A record is the same after it was written and read again.
fn again<T: PartialEq + Debug, E: Debug>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, E>,
    encode: impl Fn(&T) -> Vec<u8>,
) {
    let Ok(record) = decode(bytes) else { return };
    let written = encode(&record);
    let read = decode(&written).expect("a written record can be read");
    assert_eq!(read, record);
    assert_eq!(encode(&read), written);
}
