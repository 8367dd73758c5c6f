//! `POST` (sections 5.2 and 5.3).

use super::super::headers;
use super::super::problem::{Code, Problem};
use super::fields::{self, Fields};
use super::operation::Append;
use crate::limits::MAX_PRODUCER_NUMBER;
use crate::stream::{ContentType, Producer};

pub(super) fn parse(fields: &Fields<'_>, empty: bool) -> Result<Append, Problem> {
    let close = fields.closed()?;
    if empty && !close {
        return Err(Problem::new(
            Code::EmptyBody,
            "The body is empty. Send bytes to append, or Stream-Closed: true to close the stream.",
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
        seq: seq(fields)?,
        producer: producer(fields)?,
        close,
    })
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
