//! Queries of the calls that list.

use super::{Refused, RefusedCode};
use crate::limits::Config;
use crate::protocol::name::StreamName;
use crate::protocol::query;
use crate::protocol::request::RawRequest;

/// The part of a list that a call asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageAsk {
    /// The cursor of the page before, not judged yet.
    pub after: Option<String>,
    /// The most entries of the page.
    pub limit: usize,
}

/// A call that lists streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamsQuery {
    /// Leading complete segments of the names.
    pub prefix: Option<String>,
    /// The source of the streams, which are forks.
    pub forked_from: Option<String>,
    /// The part of the list.
    pub page: PageAsk,
}

fn query_of<'a>(raw: &RawRequest<'a>) -> &'a str {
    raw.target.split_once('?').map_or("", |(_, query)| query)
}

fn invalid(name: &str, why: impl std::fmt::Display) -> Refused {
    let message = format!("The query parameter {name} {why}.");
    Refused::new(RefusedCode::InvalidRequest, message)
}

/// Returns the value of a parameter as text.
fn text(query: &str, name: &str) -> Result<Option<String>, Refused> {
    let value = query::value(query, name).map_err(|error| invalid(name, error))?;
    let text = value.map(|value| String::from_utf8(value.into_owned()));
    let text = text.transpose();
    text.map_err(|_| invalid(name, "is not UTF-8 after percent-decoding"))
}

/// Returns the value of a parameter that is a stream's name, or begins one. An empty value counts
/// as absent.
fn name(query: &str, name: &str, config: &Config) -> Result<Option<String>, Refused> {
    let Some(value) = text(query, name)?.filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    match StreamName::from_decoded(value, config) {
        Ok(value) => Ok(Some(value.as_str().to_owned())),
        Err(error) => Err(invalid(
            name,
            format!("must be complete segments such as a/b: {error}"),
        )),
    }
}

impl PageAsk {
    /// Parses the query of a list.
    ///
    /// # Errors
    ///
    /// The reason, as the `__ds` error response states it.
    pub(crate) fn parse(raw: &RawRequest<'_>) -> Result<Self, Refused> {
        let query = query_of(raw);
        Ok(Self {
            after: text(query, "after")?,
            limit: query::limit(query).map_err(|error| invalid("limit", error))?,
        })
    }

    /// Refuses a cursor that the server did not return for this list.
    #[must_use]
    pub(crate) fn no_cursor() -> Refused {
        invalid(
            "after",
            "must be a cursor as `next` of the page before returned it; leave it out to begin",
        )
    }
}

impl StreamsQuery {
    /// Parses the query of a list of streams.
    ///
    /// # Errors
    ///
    /// The reason, as the `__ds` error response states it.
    pub(crate) fn parse(raw: &RawRequest<'_>, config: &Config) -> Result<Self, Refused> {
        let query = query_of(raw);
        Ok(Self {
            prefix: name(query, "prefix", config)?,
            forked_from: name(query, "forked_from", config)?,
            page: PageAsk::parse(raw)?,
        })
    }
}
