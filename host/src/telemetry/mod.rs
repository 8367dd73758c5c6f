//! The host's log: events of the crate `tracing`, one line each on standard error.
//!
//! A caller never waits for standard error. It puts its line into a [queue], and a thread writes the
//! lines. While the log has not [started](start), as in tests, lines are dropped.

mod fields;
mod filter;
mod format;
mod layer;
mod log;
mod panics;
mod queue;
mod targets;
mod within;

pub use filter::{Directives, DirectivesError};
pub use format::LogFormat;
pub(crate) use log::{dropped_lines, flush, print, set_level, start};
pub(crate) use within::RequestFields;

use targets::{COMPONENT, HOST};
use tracing::{Level, event};

/// Logs that an instance was stopped and will be replaced.
pub(crate) fn instance_broke(why: &str) {
    error("instance replaced", why);
}

/// Logs that changes were lost; the requests that waited for them get an error. The caller logs
/// this once, until a write works again.
pub(crate) fn changes_lost(why: &str) {
    error("writes lost", why);
}

/// Logs that a write worked after this many failures.
pub(crate) fn changes_kept_again(failed: u64) {
    let detail = format!("after {failed} failed writes");
    info("writes work again", &detail);
}

/// Logs that the process ends because this part of it panicked, and waits until the line is
/// written. The panic was logged before.
pub(crate) fn died(name: &str) {
    log::last("process ended after a panic", name);
}

/// Logs a fault that does not stop the service.
pub(crate) fn warn(event: &str, detail: &str) {
    event!(target: HOST, Level::WARN, event, detail);
}

/// Logs a fault that lasts until an operator repairs it.
pub(crate) fn error(event: &str, detail: &str) {
    event!(target: HOST, Level::ERROR, event, detail);
}

/// Logs a change that an operator asked for.
pub(crate) fn info(event: &str, detail: &str) {
    event!(target: HOST, Level::INFO, event, detail);
}

/// Logs that the cause of a warning is over.
pub(crate) fn back(detail: &str) {
    info("recovered", detail);
}

/// Logs a line that an instance wrote. The component writes JSON objects with their level; any other
/// line, such as the message of a panic, is an error.
pub(crate) fn component(line: &str) {
    match fields::level(line) {
        Some("debug") => event!(target: COMPONENT, Level::DEBUG, line),
        Some("info") => event!(target: COMPONENT, Level::INFO, line),
        Some("warn") => event!(target: COMPONENT, Level::WARN, line),
        _ => event!(target: COMPONENT, Level::ERROR, line),
    }
}
