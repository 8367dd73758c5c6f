//! `PUT` (section 5.1).

use super::super::problem::{Code, Problem};
use super::super::{headers, time};
use super::Create;
use super::fields::{self, Fields};
use crate::stream::Expiry;

pub(super) fn parse(fields: &Fields<'_>) -> Result<Create, Problem> {
    refuse_forks(fields)?;
    Ok(Create {
        content_type: fields.content_type()?,
        expiry: expiry(fields)?,
        close: fields.closed()?,
    })
}

fn refuse_forks(fields: &Fields<'_>) -> Result<(), Problem> {
    for name in [
        headers::STREAM_FORKED_FROM,
        headers::STREAM_FORK_OFFSET,
        headers::STREAM_FORK_SUB_OFFSET,
    ] {
        if fields.one(name)?.is_some() {
            return Err(Problem::new(
                Code::BadRequest,
                format!("{name}: forks are not supported yet."),
            ));
        }
    }
    Ok(())
}

fn expiry(fields: &Fields<'_>) -> Result<Expiry, Problem> {
    let ttl = fields.text(headers::STREAM_TTL)?;
    let moment = fields.text(headers::STREAM_EXPIRES_AT)?;
    match (ttl, moment) {
        (None, None) => Ok(Expiry::Never),
        (Some(_), Some(_)) => Err(Problem::new(
            Code::BadRequest,
            "Stream-TTL and Stream-Expires-At exclude each other. Send one of them.",
        )),
        (Some(text), None) => match fields::number(text) {
            Some(secs) => Ok(Expiry::Ttl { secs }),
            None => Err(fields::invalid(
                headers::STREAM_TTL,
                text.as_bytes(),
                "expected whole seconds in decimal digits, without sign, leading zeros, point or exponent",
            )),
        },
        (None, Some(text)) => match time::parse(text) {
            Ok(ms) => Ok(Expiry::At { ms }),
            Err(error) => {
                let name = headers::STREAM_EXPIRES_AT;
                Err(fields::invalid(name, text.as_bytes(), &error.to_string()))
            }
        },
    }
}
