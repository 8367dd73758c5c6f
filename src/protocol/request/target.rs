//! The resource that a path names.

use super::super::name::{self, NameError, RESERVED, StreamName};
use super::super::paths::{HEALTH, READY, TICK};
use super::super::problem::{Code, Problem};
use super::super::query;
use super::control::{self, ControlRoute};
use super::listing::{self, ListingRoute};
use crate::limits::Config;

/// A resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Health,
    Ready,
    Tick,
    Listing(ListingRoute),
    Control(ControlRoute),
    Stream(StreamName),
}

/// Splits a target into path and query.
pub(super) fn split(target: &str) -> (&str, &str) {
    target.split_once('?').unwrap_or((target, ""))
}

pub(super) fn route(path: &str, config: &Config) -> Result<Route, Problem> {
    match path {
        path if HEALTH.contains(&path) => return Ok(Route::Health),
        READY => return Ok(Route::Ready),
        _ => {}
    }
    let raw = path
        .strip_prefix(config.base_path.as_str())
        .and_then(|rest| rest.strip_prefix('/'))
        .ok_or_else(|| no_route(config))?;
    let decoded = name::decode(raw).map_err(invalid_name)?;
    // The decoded path is checked, so that no spelling of a reserved name passes.
    if name::first_segment(&decoded) == RESERVED {
        let call = reserved(&decoded).unwrap_or_default();
        let listing = || listing::route(call).map(Route::Listing);
        let control = || control::route(call).map(Route::Control);
        return match call {
            TICK => Ok(Route::Tick),
            _ => listing().or_else(control).ok_or_else(|| no_route(config)),
        };
    }
    StreamName::from_decoded(decoded, config)
        .map(Route::Stream)
        .map_err(invalid_name)
}

/// Returns the id of the subscription that a raw path names. A host uses it to serve calls of a large
/// subscription apart from other requests.
#[must_use]
pub fn subscription_id(path: &str, base_path: &str) -> Option<String> {
    let decoded = reserved_path(path, base_path)?;
    let call = reserved(&decoded)?;
    control::route(call)?.subscription().map(str::to_owned)
}

/// Returns the limit of the page of a list that a target asks for; `None` if it asks for no page. A
/// host uses it to serve large pages apart from other requests.
#[must_use]
pub fn page_limit(path: &str, query: &str, base_path: &str) -> Option<usize> {
    let decoded = reserved_path(path, base_path)?;
    match listing::route(reserved(&decoded)?)? {
        ListingRoute::Streams | ListingRoute::Subscriptions => query::limit(query).ok(),
        ListingRoute::Server | ListingRoute::Stream(_) => None,
    }
}

/// Returns the decoded value of a query parameter; `None` if it is absent, repeated or malformed. A
/// host uses it to recognize live reads, and for resources of its own.
#[must_use]
pub fn parameter(query: &str, name: &str) -> Option<String> {
    let value = query::value(query, name).ok().flatten()?;
    String::from_utf8(value.into_owned()).ok()
}

/// Decodes a path if it may be reserved. Most paths name streams, and are not decoded here.
fn reserved_path(path: &str, base_path: &str) -> Option<String> {
    let raw = path.strip_prefix(base_path)?.strip_prefix('/')?;
    if !raw.starts_with(['_', '%']) {
        return None;
    }
    name::decode(raw).ok()
}

/// Returns the part of a decoded path after `__ds/`, if the path is reserved.
fn reserved(decoded: &str) -> Option<&str> {
    let rest = decoded.strip_prefix(RESERVED)?;
    match rest.is_empty() {
        true => Some(rest),
        false => rest.strip_prefix('/'),
    }
}

fn no_route(config: &Config) -> Problem {
    let base = &config.base_path;
    Problem::new(
        Code::RouteNotFound,
        format!("There is nothing at this path. Streams are at {base}/<name>."),
    )
}

pub(super) fn invalid_name(error: NameError) -> Problem {
    Problem::new(
        Code::InvalidStreamName,
        format!("Invalid stream name: {error}."),
    )
}
