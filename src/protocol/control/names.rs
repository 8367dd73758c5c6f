//! Names of streams in the bodies of control calls.

use super::body::{invalid, json};
use super::{Refused, RefusedCode};
use crate::limits::{self, SUBSCRIPTION_LINKS, SUBSCRIPTION_NAMES_BYTES};
use crate::protocol::name::StreamName;
use crate::protocol::request::RawRequest;
use serde::Deserialize;

/// A request to add streams (section 6.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamsAsk {
    /// The names, sorted and without duplicates.
    pub streams: Vec<String>,
}

impl StreamsAsk {
    /// Parses a request to add streams.
    ///
    /// # Errors
    ///
    /// The reason, as the `__ds` error response states it.
    pub(crate) fn parse(raw: &RawRequest<'_>, config: &limits::Config) -> Result<Self, Refused> {
        #[derive(Deserialize)]
        struct Raw {
            streams: Vec<String>,
        }
        let Raw { streams } = json(raw)?;
        let streams = stream_names(streams, config)?;
        Ok(Self { streams })
    }
}

pub(super) fn stream_name(name: String, config: &limits::Config) -> Result<String, Refused> {
    match StreamName::from_decoded(name, config) {
        Ok(name) => Ok(name.as_str().to_owned()),
        Err(error) => Err(invalid(format!("Invalid stream name: {error}"))),
    }
}

pub(super) fn stream_names(
    names: Vec<String>,
    config: &limits::Config,
) -> Result<Vec<String>, Refused> {
    let mut streams = names
        .into_iter()
        .map(|name| stream_name(name, config))
        .collect::<Result<Vec<_>, _>>()?;
    streams.sort();
    streams.dedup();
    if streams.len() > SUBSCRIPTION_LINKS {
        let message = format!(
            "streams has more than {SUBSCRIPTION_LINKS} names. Use a pattern for more streams."
        );
        return Err(Refused::new(RefusedCode::TooManyLinks, message));
    }
    match streams.iter().map(String::len).sum::<usize>() > SUBSCRIPTION_NAMES_BYTES {
        true => Err(Refused::new(
            RefusedCode::TooManyLinks,
            format!(
                "The names in streams have more than {SUBSCRIPTION_NAMES_BYTES} bytes in total. \
                 Send fewer names, or use a pattern."
            ),
        )),
        false => Ok(streams),
    }
}
