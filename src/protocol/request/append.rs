//! `POST` (sections 5.2 and 5.3).

use super::super::headers;
use super::super::offset::Offset;
use super::super::problem::{Code, Problem};
use super::fields::{self, Fields};
use super::operation::Append;
use crate::limits::MAX_PRODUCER_NUMBER;
use crate::stream::{ContentType, Expected, Producer};

pub(super) fn parse(fields: &Fields<'_>, empty: bool) -> Result<Append, Problem> {
    let close = fields.closed()?;
    let lease_secs = fields.lease_secs()?;
    if empty && !close && lease_secs.is_none() {
        return Err(Problem::new(
            Code::EmptyBody,
            "The body is empty. Send bytes to append, Stream-Closed: true to close the stream, or \
             Stream-Lease to renew the writer's lease.",
        ));
    }
    let seq = seq(fields)?;
    if empty && !close && seq.is_some() {
        return Err(Problem::new(
            Code::BadRequest,
            "A heartbeat is no append, so it has no Stream-Seq. Leave Stream-Seq out.",
        ));
    }
    let producer = producer(fields)?;
    let expected = expected(fields)?;
    if producer.is_some() && expected.is_some() {
        return Err(Problem::new(
            Code::BadRequest,
            "If-Match and producer fields exclude each other: a retry of a producer would no \
             longer find the tail that it expects. Send one or the other.",
        ));
    }
    // Client libraries add a content type to every request, so it is ignored without a body.
    let content_type = if empty {
        None
    } else {
        Some(content_type(fields)?)
    };
    Ok(Append {
        content_type,
        seq,
        producer,
        close,
        reason: fields.close_reason()?,
        lease_secs,
        expected,
    })
}

/// Parses `If-Match`: one entity tag with an offset, or a bare offset. A tag that is no offset is
/// valid, and matches no tail.
fn expected(fields: &Fields<'_>) -> Result<Option<Expected>, Problem> {
    let name = headers::IF_MATCH;
    let Some(value) = fields.one(name)? else {
        return Ok(None);
    };
    let refused = || {
        let reason = "expected one offset as the server returned it, such as \
                      \"0000000000000000_0000000000000005\"";
        fields::invalid(name, value, reason)
    };
    let (tag, weak) = match value.strip_prefix(b"W/") {
        Some(tag) => (tag, true),
        None => (value, false),
    };
    let quoted = tag
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    let text = match quoted {
        Some(text) => text,
        None if weak => return Err(refused()),
        None => tag,
    };
    // The characters of an entity tag (RFC 9110, section 8.8.3), without the comma of a list.
    let is_tag_character = |byte: &u8| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..) && *byte != b',';
    let offset = std::str::from_utf8(text).ok().map(Offset::parse);
    match offset {
        Some(Ok(Offset::At(position))) if !weak => Ok(Some(Expected::Tail(position))),
        _ if quoted.is_some() && text.iter().all(is_tag_character) => Ok(Some(Expected::Nothing)),
        _ => Err(refused()),
    }
}

fn content_type(fields: &Fields<'_>) -> Result<ContentType, Problem> {
    fields.content_type()?.ok_or_else(|| {
        let detail = "content-type is missing. Send the stream's content type with every append.";
        Problem::new(Code::BadRequest, detail)
    })
}

fn seq(fields: &Fields<'_>) -> Result<Option<Vec<u8>>, Problem> {
    let name = headers::STREAM_SEQ;
    let Some(value) = fields.one(name)? else {
        return Ok(None);
    };
    // The value is opaque: any bytes of a field are valid.
    if value.is_empty() {
        return Err(fields::invalid(name, value, "it must not be empty"));
    }
    fields::check_length(name, value)?;
    Ok(Some(value.to_vec()))
}

fn producer(fields: &Fields<'_>) -> Result<Option<Producer>, Problem> {
    let id = fields.text(headers::PRODUCER_ID)?;
    let epoch = fields.text(headers::PRODUCER_EPOCH)?;
    let seq = fields.text(headers::PRODUCER_SEQ)?;
    match (id, epoch, seq) {
        (None, None, None) => Ok(None),
        (Some(id), Some(epoch), Some(seq)) => Ok(Some(Producer {
            id: producer_id(id)?,
            epoch: producer_number(headers::PRODUCER_EPOCH, epoch)?,
            seq: producer_number(headers::PRODUCER_SEQ, seq)?,
        })),
        _ => Err(Problem::new(
            Code::BadRequest,
            "Producer-Id, Producer-Epoch and Producer-Seq belong together. Send all three or none.",
        )),
    }
}

fn producer_id(id: &str) -> Result<String, Problem> {
    let name = headers::PRODUCER_ID;
    if id.is_empty() {
        return Err(fields::invalid(name, id.as_bytes(), "it must not be empty"));
    }
    fields::check_length(name, id.as_bytes())?;
    Ok(id.to_owned())
}

fn producer_number(name: &'static str, text: &str) -> Result<u64, Problem> {
    let number = fields::number(text).filter(|number| *number <= MAX_PRODUCER_NUMBER);
    number.ok_or_else(|| {
        let reason = "expected a whole number from 0 to 2^53-1 in decimal digits";
        fields::invalid(name, text.as_bytes(), reason)
    })
}
