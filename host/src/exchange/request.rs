//! Requests with collected bodies, and their heads as an instance reads them.

use crate::budget::Reservation;
use crate::length::Ticket;
use bytes::{BufMut, Bytes};
use http::header::HOST;
use http::request;
use http::uri::Scheme;
use std::hash::{BuildHasher, RandomState};

/// Size of most packed request heads.
const PACKED_BYTES: usize = 1024;
/// DeliveryResult of collecting a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyState {
    /// The whole body is there.
    Complete,
    /// The body exceeded `max_append_bytes`.
    TooLarge,
    /// There is no room to buffer the body now.
    NoRoom,
}

/// Hash of a raw path, computed once per request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PathHash(u64);

impl PathHash {
    /// Index of the path among this many places. There must be at least one place.
    pub(crate) const fn index(self, places: usize) -> usize {
        self.0 as usize % places
    }

    /// The hash value.
    pub(crate) const fn value(self) -> u64 {
        self.0
    }
}

/// Hashes paths with a random key, so that no client can choose paths that collide.
#[derive(Debug, Default)]
pub(crate) struct PathHasher(RandomState);

impl PathHasher {
    /// Returns the hash of a raw path.
    pub(crate) fn hash(&self, path: &str) -> PathHash {
        PathHash(self.0.hash_one(path))
    }
}

/// Request with a collected body.
#[derive(Debug)]
pub(crate) struct Request {
    /// Method, target and header fields as received.
    pub parts: request::Parts,
    /// Hash of the raw path. It selects the instance, and the requests that start together.
    pub path_hash: PathHash,
    /// The body; empty unless the state is [`BodyState::Complete`].
    pub body: Bytes,
    /// DeliveryResult of collecting the body.
    pub body_state: BodyState,
    /// Room for the body, released with the request.
    #[expect(dead_code, reason = "it is held until the request is dropped")]
    pub room: Option<Reservation>,
    /// The request's entries in the costs and the long writes.
    pub ticket: Ticket,
}

impl Request {
    /// The raw path.
    #[must_use]
    pub(crate) fn path(&self) -> &str {
        self.parts.uri.path()
    }

    /// The raw path and query, as received.
    #[must_use]
    pub(crate) fn target(&self) -> &str {
        match self.parts.uri.path_and_query() {
            Some(target) => target.as_str(),
            None => self.path(),
        }
    }

    /// Scheme of the connection: an extension of the request names it unless it is `http`. A client
    /// may send any other `:scheme`.
    #[must_use]
    pub(crate) fn scheme(&self) -> &Scheme {
        self.parts.extensions.get().unwrap_or(&Scheme::HTTP)
    }

    /// `:authority`, or the `Host` field.
    #[must_use]
    pub(crate) fn authority(&self) -> Option<&str> {
        match self.parts.uri.authority() {
            Some(authority) => Some(authority.as_str()),
            None => self.parts.headers.get(HOST)?.to_str().ok(),
        }
    }
}

/// Packs the head of a request as `src/wit/exchange.wit` specifies.
pub(crate) fn pack_head(request: &Request) -> Vec<u8> {
    let mut packed = Vec::with_capacity(PACKED_BYTES);
    let mut pack = |text: &[u8]| {
        // A head is far smaller than `u32::MAX`: it was read into a bounded buffer.
        packed.put_u32_le(text.len() as u32);
        packed.put_slice(text);
    };
    pack(request.parts.method.as_str().as_bytes());
    pack(request.scheme().as_str().as_bytes());
    pack(request.authority().unwrap_or_default().as_bytes());
    pack(request.target().as_bytes());
    for (name, value) in &request.parts.headers {
        pack(name.as_str().as_bytes());
        pack(value.as_bytes());
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(texts: &[&[u8]]) -> Vec<u8> {
        let mut packed = Vec::new();
        for text in texts {
            packed.put_u32_le(text.len() as u32);
            packed.put_slice(text);
        }
        packed
    }

    #[test]
    fn a_packed_head_is_the_request_line_and_the_fields() {
        let request = http::Request::post("/v1/stream/s?x").header("host", "a.example");
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        let mut request = Request {
            path_hash: PathHasher::default().hash(parts.uri.path()),
            parts,
            body: Bytes::new(),
            body_state: BodyState::Complete,
            room: None,
            ticket: Ticket::default(),
        };
        let texts = |scheme: &'static [u8]| -> [&[u8]; 6] {
            [
                b"POST",
                scheme,
                b"a.example",
                b"/v1/stream/s?x",
                b"host",
                b"a.example",
            ]
        };
        assert_eq!(pack_head(&request), packed(&texts(b"http")));
        request.parts.extensions.insert(Scheme::HTTPS);
        assert_eq!(pack_head(&request), packed(&texts(b"https")));
    }
}
