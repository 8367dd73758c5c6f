//! Bodies of control calls: JSON objects. Unknown members are ignored. All other members must be
//! valid.

use super::object::Object;
use super::{Refused, RefusedCode};
use crate::limits::MAX_CONTROL_BYTES;
use crate::protocol::request::{BodyState, RawRequest};
use serde::de::DeserializeOwned;

pub(super) fn invalid(message: impl Into<String>) -> Refused {
    Refused::new(RefusedCode::InvalidRequest, message)
}

/// Parses the body of a call as JSON. An empty body is read as `{}`.
pub(super) fn json<T: DeserializeOwned>(raw: &RawRequest<'_>) -> Result<T, Refused> {
    let too_large = |most: &str| {
        let message = format!("The body is larger than {most}. Send a smaller one.");
        Refused::new(RefusedCode::PayloadTooLarge, message)
    };
    match raw.body_state {
        BodyState::TooLarge => return Err(too_large("max_append_bytes allows")),
        _ if raw.body.len() > MAX_CONTROL_BYTES => {
            return Err(too_large(&format!("{MAX_CONTROL_BYTES} bytes")));
        }
        BodyState::Complete => {}
        // Requests that found no room are answered before they are parsed.
        BodyState::Broken | BodyState::NoRoom => {
            return Err(invalid(
                "The body is malformed or incomplete. Send the whole body again.",
            ));
        }
    }
    let body = match raw.body.is_empty() {
        true => b"{}",
        false => raw.body,
    };
    match serde_json::from_slice(body) {
        Ok(Object(value)) => Ok(value),
        Err(error) => Err(invalid(format!("Invalid body: {error}"))),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A request with this body.
    pub(in super::super) fn raw(body: &[u8]) -> RawRequest<'_> {
        RawRequest {
            method: "PUT",
            scheme: None,
            authority: None,
            target: "/",
            headers: &[],
            body,
            body_state: BodyState::Complete,
        }
    }
}
