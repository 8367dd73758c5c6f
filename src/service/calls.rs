//! Turns a parsed request into the call of an operation: frames the body, builds URLs.

use super::core::Core;
use super::env::Env;
use super::{create, problems};
use crate::protocol::json;
use crate::protocol::name::StreamName;
use crate::protocol::problem::Problem;
use crate::protocol::request::{self, RawRequest};
use crate::stream::{Append, ContentType, Create, InvalidMessages, Payload};

/// The call for a PUT, with its body framed.
pub(super) fn creation<'a, E: Env>(
    core: &Core<E>,
    raw: &RawRequest<'a>,
    name: &'a StreamName,
    asked: request::Create,
) -> Result<create::Call<'a>, Problem> {
    let given = asked.content_type.clone();
    let content_type = asked.content_type.unwrap_or_else(ContentType::octets);
    let fork = asked.fork.map(|fork| create::Fork {
        source: fork.source,
        asked: fork.asked,
        content_type: given,
    });
    let payload = match content_type.is_json() && !raw.body.is_empty() {
        // An empty array is an empty stream (section 9.1.3).
        true => match json::frame(raw.body) {
            Ok(json::Messages { bytes, ends }) => Payload::Messages { bytes, ends },
            Err(error) => {
                return Err(problems::messages(&InvalidMessages::NotJson(
                    error.to_string(),
                )));
            }
        },
        false => Payload::Bytes(raw.body.to_vec()),
    };
    let create = Create {
        content_type,
        expiry: asked.expiry,
        close: asked.close,
        reason: asked.reason,
        lease_secs: asked.lease_secs,
    };
    let location = location(core, raw, name);
    Ok(create::Call {
        name: name.as_str(),
        create,
        payload,
        fork,
        location,
        instance: raw.target,
    })
}

/// The stream's URL: under `public_url`, or under the origin of the request.
fn location<E: Env>(core: &Core<E>, raw: &RawRequest<'_>, name: &StreamName) -> String {
    let (origin, base) = (origin(core, raw), &core.config.base_path);
    format!("{origin}{base}/{}", name.encoded())
}

/// Scheme and authority of the server's URLs; empty if unknown.
pub(super) fn origin<E: Env>(core: &Core<E>, raw: &RawRequest<'_>) -> String {
    match (&*core.config.public_url, raw.authority) {
        ("", Some(authority)) => {
            let scheme = raw.scheme.unwrap_or("http");
            format!("{scheme}://{authority}")
        }
        ("", None) => String::new(),
        (public, _) => public.to_owned(),
    }
}

/// An append with its body in stored form.
pub(super) fn framed(raw: &RawRequest<'_>, append: request::Append) -> Append {
    let request::Append {
        content_type,
        seq,
        producer,
        close,
        reason,
        lease_secs,
        expected,
    } = append;
    let is_json = content_type.as_ref().is_some_and(ContentType::is_json);
    let payload = match (raw.body.is_empty(), is_json) {
        (true, _) => None,
        (false, false) => Some(Ok(Payload::Bytes(raw.body.to_vec()))),
        (false, true) => Some(match json::frame(raw.body) {
            Ok(messages) if messages.bytes.is_empty() => Err(InvalidMessages::EmptyArray),
            Ok(json::Messages { bytes, ends }) => Ok(Payload::Messages { bytes, ends }),
            Err(error) => Err(InvalidMessages::NotJson(error.to_string())),
        }),
    };
    Append {
        payload,
        content_type,
        seq,
        producer,
        close,
        reason,
        lease_secs,
        expected,
        keep_ms: 0,
    }
}
