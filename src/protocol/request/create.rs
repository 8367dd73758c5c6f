//! `PUT` (sections 4.2 and 5.1).

use super::super::name::StreamName;
use super::super::offset::Offset;
use super::super::problem::{Code, Problem};
use super::super::{headers, time};
use super::fields::{self, Fields};
use super::operation::{Create, Fork};
use crate::limits::Config;
use crate::stream::{Asked, Expiry, Position};

pub(super) fn parse(fields: &Fields<'_>, config: &Config) -> Result<Create, Problem> {
    Ok(Create {
        content_type: fields.content_type()?,
        expiry: expiry(fields)?,
        close: fields.closed()?,
        reason: fields.close_reason()?,
        lease_secs: fields.lease_secs()?.filter(|secs| *secs > 0),
        fork: fork(fields, config)?,
    })
}

fn fork(fields: &Fields<'_>, config: &Config) -> Result<Option<Fork>, Problem> {
    let offset = fields.text(headers::STREAM_FORK_OFFSET)?;
    let sub = fields.text(headers::STREAM_FORK_SUB_OFFSET)?;
    let Some(path) = fields.text(headers::STREAM_FORKED_FROM)? else {
        let alone = [
            (headers::STREAM_FORK_OFFSET, offset),
            (headers::STREAM_FORK_SUB_OFFSET, sub),
        ];
        return match alone.iter().find(|(_, value)| value.is_some()) {
            None => Ok(None),
            Some((name, _)) => Err(Problem::new(
                Code::BadRequest,
                format!("{name} has no effect without Stream-Forked-From. Send both or neither."),
            )),
        };
    };
    let source = source(path, config)?;
    let given = offset.is_some();
    let offset = offset.map(fork_offset).transpose()?.flatten();
    let sub = sub.map(sub_offset).transpose()?.unwrap_or_default();
    if sub > 0 && !given {
        return Err(Problem::new(
            Code::BadRequest,
            "Stream-Fork-Sub-Offset counts from Stream-Fork-Offset. Send Stream-Fork-Offset too.",
        ));
    }
    let asked = Asked { offset, sub };
    Ok(Some(Fork { source, asked }))
}

/// Parses a URL path on this server into the stream that it names.
fn source(path: &str, config: &Config) -> Result<StreamName, Problem> {
    let invalid = |reason: &str| {
        let name = headers::STREAM_FORKED_FROM;
        Err(fields::invalid(name, path.as_bytes(), reason))
    };
    if !path.starts_with('/') || path.contains(['?', '#']) {
        return invalid("expected the path of a stream's URL, without a query");
    }
    let base = config.base_path.as_str();
    let name = path.strip_prefix(base);
    let Some(name) = name.and_then(|rest| rest.strip_prefix('/')) else {
        return Err(Problem::new(
            Code::NotFound,
            format!(
                "There is no stream to fork at {}. Streams are at {base}/<name>.",
                fields::quote(path.as_bytes())
            ),
        ));
    };
    StreamName::parse(name, config).or_else(|error| invalid(&error.to_string()))
}

/// Parses the offset of a fork. Returns `None` for the tail.
fn fork_offset(text: &str) -> Result<Option<Position>, Problem> {
    match Offset::parse(text) {
        Ok(Offset::Start) => Ok(Some(Position::ZERO)),
        Ok(Offset::Now) => Ok(None),
        Ok(Offset::At(position)) => Ok(Some(position)),
        Err(error) => {
            let value = fields::quote(text.as_bytes());
            let detail = format!("Invalid value {value} for Stream-Fork-Offset: {error}.");
            Err(Problem::new(Code::InvalidOffset, detail))
        }
    }
}

fn sub_offset(text: &str) -> Result<u64, Problem> {
    fields::number(text).ok_or_else(|| {
        fields::invalid(
            headers::STREAM_FORK_SUB_OFFSET,
            text.as_bytes(),
            "expected a whole number in decimal digits, without sign, leading zeros, point or exponent",
        )
    })
}

fn expiry(fields: &Fields<'_>) -> Result<Expiry, Problem> {
    let ttl = fields.text(headers::STREAM_TTL)?;
    let moment = fields.text(headers::STREAM_EXPIRES_AT)?;
    match (ttl, moment) {
        (None, None) => Ok(Expiry::Never),
        (Some(_), Some(_)) => Err(Problem::new(
            Code::BadRequest,
            "Stream-TTL and Stream-Expires-At exclude each other. Send only one of them.",
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
