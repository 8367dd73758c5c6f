//! The resource that a path names.

use super::super::name::{self, NameError, RESERVED, StreamName};
use super::super::paths::{HEALTH, READY, TICK};
use super::super::problem::{Code, Problem};
use super::control::{self, ControlRoute};
use crate::limits::Config;

/// A resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Health,
    Ready,
    Tick,
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
        let call = decoded
            .strip_prefix(RESERVED)
            .and_then(|rest| rest.strip_prefix('/'));
        return match call {
            Some(TICK) => Ok(Route::Tick),
            Some(call) => control::route(call)
                .map(Route::Control)
                .ok_or_else(|| no_route(config)),
            None => Err(no_route(config)),
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
    let raw = path.strip_prefix(base_path)?.strip_prefix('/')?;
    // Most paths name streams. They are not decoded here.
    if !raw.starts_with(['_', '%']) {
        return None;
    }
    let decoded = name::decode(raw).ok()?;
    let call = decoded.strip_prefix(RESERVED)?.strip_prefix('/')?;
    control::route(call)?.subscription().map(str::to_owned)
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
