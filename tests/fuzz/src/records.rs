//! Record decoding: whatever the store returns is a record or is refused; a record that is written
//! again is the same.

use crate::input::Input;
use crate::world::{World, serve};
use durable_streams_edge::keys::head::Record;
use durable_streams_edge::keys::{Envelope, debt, index, registry, todo};
use durable_streams_edge::protocol::packed::Fields;
use durable_streams_edge::protocol::request::{BodyState, RawRequest};
use durable_streams_edge::service::exchange::Cause;
use std::fmt::Debug;

pub(crate) fn run(input: &[u8]) {
    let mut input = Input(input);
    let kind = input.below(8);
    let bytes = input.0;
    match kind {
        0 => again(bytes, Envelope::decode, Envelope::encode),
        1 => again(
            bytes,
            |bytes| Record::decode(bytes, 7),
            |record: &Record| record.encode(),
        ),
        2 => again(bytes, todo::decode, |entries: &Vec<_>| {
            todo::encode(entries)
        }),
        3 => again(bytes, registry::decode, registry::encode),
        4 => again(bytes, debt::decode, debt::encode),
        5 => again(bytes, |bytes| index::decode(bytes, 3), index::encode),
        // Tokens and attempts stay between driver and component; a driver that is wrong must not
        // end the instance all the same.
        6 => {
            let world = World::new(1);
            let server = serve(&world);
            for cause in [Cause::Ready, Cause::Changed, Cause::Timeout, Cause::Expired] {
                drop(server.resume(bytes, cause));
            }
        }
        _ => {
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
    }
}

/// What can be read is the same after it was written and read again.
fn again<T: PartialEq + Debug, E: Debug>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, E>,
    encode: impl Fn(&T) -> Vec<u8>,
) {
    let Ok(record) = decode(bytes) else { return };
    let written = encode(&record);
    let read = decode(&written).expect("what was written can be read");
    assert_eq!(read, record);
    assert_eq!(encode(&read), written);
}
