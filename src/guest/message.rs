//! The common form of requests and responses, which both drivers convert from and to.

use crate::protocol::packed::Fields;
use crate::protocol::request::{BodyState, RawRequest};
use crate::protocol::{cursor, headers};
use crate::service::exchange::{Answer, Cursor, Delivery, ResponseContext};

/// The name of a method of `wasi:http`, for the method type of either version.
macro_rules! method_name {
    ($method:expr, $Method:ident) => {
        match $method {
            $Method::Get => "GET".to_owned(),
            $Method::Head => "HEAD".to_owned(),
            $Method::Post => "POST".to_owned(),
            $Method::Put => "PUT".to_owned(),
            $Method::Delete => "DELETE".to_owned(),
            $Method::Connect => "CONNECT".to_owned(),
            $Method::Options => "OPTIONS".to_owned(),
            $Method::Trace => "TRACE".to_owned(),
            $Method::Patch => "PATCH".to_owned(),
            $Method::Other(other) => other,
        }
    };
}
pub(super) use method_name;

/// The name of a scheme of `wasi:http`, for the scheme type of either version.
macro_rules! scheme_name {
    ($scheme:expr, $Scheme:ident) => {
        match $scheme {
            $Scheme::Http => "http".to_owned(),
            $Scheme::Https => "https".to_owned(),
            $Scheme::Other(other) => other,
        }
    };
}
pub(super) use scheme_name;

/// Bytes to read at a time from a body.
pub(super) const READ_BYTES: usize = 64 * 1024;

/// A request with its body.
pub(super) struct Received {
    pub(super) method: String,
    pub(super) scheme: Option<String>,
    pub(super) authority: Option<String>,
    pub(super) target: String,
    pub(super) headers: Fields,
    pub(super) body: Vec<u8>,
    pub(super) body_state: BodyState,
}

impl Received {
    /// The request in the form that the service reads.
    pub(super) fn raw(&self) -> RawRequest<'_> {
        RawRequest {
            method: &self.method,
            scheme: self.scheme.as_deref(),
            authority: self.authority.as_deref(),
            target: &self.target,
            headers: self.headers.as_packed(),
            body: &self.body,
            body_state: self.body_state,
        }
    }

    /// Whether the service reads a body with this method.
    pub(super) fn has_body(&self) -> bool {
        matches!(&*self.method, "PUT" | "POST")
    }

    /// The body's length in bytes, if `Content-Length` names one.
    pub(super) fn announced(&self) -> Option<usize> {
        let value = self.raw().field_values(headers::CONTENT_LENGTH).next()?;
        std::str::from_utf8(value).ok()?.parse().ok()
    }
}

/// The status and the header fields of a response, complete.
pub(super) struct ResponseHead {
    pub(super) status: u16,
    pub(super) fields: Vec<(String, Vec<u8>)>,
}

/// Takes the head out of an answer and adds the fields that the reader's connection needs.
pub(super) fn take_head(answer: &mut Answer, held: &ResponseContext) -> Option<ResponseHead> {
    let mut head = answer.head.take()?;
    head.headers.append(&held.headers);
    if let Cursor::Header(value) = answer.cursor {
        let value = cursor::above(value, held.cursor_floor);
        head.push(headers::STREAM_CURSOR, value.to_string());
    }
    Some(ResponseHead {
        status: head.status,
        fields: list(&head.headers),
    })
}

/// Takes the bytes to send now out of an answer.
pub(super) fn take_bytes(answer: &mut Answer, held: &ResponseContext) -> Vec<u8> {
    let mut bytes = std::mem::take(&mut answer.body);
    if let Cursor::Event(value, after) = &answer.cursor {
        let value = cursor::above(*value, held.cursor_floor);
        bytes.extend_from_slice(value.to_string().as_bytes());
        bytes.extend_from_slice(after);
    }
    bytes
}

/// Longest row of webhook deliveries that follow from each other. Later requests send the rest.
pub(super) const MOST_IN_A_ROW: usize = 16;

/// The header fields of a request to a webhook, as `wasi:http` expects them.
pub(super) fn delivery_fields(delivery: &Delivery) -> Vec<(String, Vec<u8>)> {
    let mut fields = list(&delivery.headers);
    fields.push((
        headers::CONTENT_LENGTH.to_owned(),
        delivery.body.len().to_string().into_bytes(),
    ));
    fields
}

/// Header fields, as `wasi:http` expects them.
fn list(fields: &Fields) -> Vec<(String, Vec<u8>)> {
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    let fields = fields.iter();
    fields
        .map(|(name, value)| (text(name), value.to_vec()))
        .collect()
}
