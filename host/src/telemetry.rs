//! The host's own log: one JSON object a line on standard error, like the component's.

use durable_streams_edge::limits::is_logged;
use serde_json::json;
use std::io::Write;
use std::sync::RwLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// The variable `log_level` of the server that was started last; empty before, and all is written.
static LEAST: RwLock<String> = RwLock::new(String::new());

/// Leaves out what is less severe than `least`, a value of `log_level`.
pub(crate) fn set_level(least: &str) {
    // A lock that is poisoned only keeps the level that was.
    if let Ok(mut level) = LEAST.write() {
        least.clone_into(&mut level);
    }
}

/// An instance was stopped and is replaced.
pub(crate) fn instance_broke(why: &str) {
    line("error", "instance replaced", why);
}

/// Changes could not be kept; the requests that waited for them get an error. Said once, until a
/// write works again.
pub(crate) fn changes_lost(why: &str) {
    line("error", "writes lost", why);
}

/// A write worked after so many that did not.
pub(crate) fn changes_kept_again(failed: u64) {
    let detail = format!("after {failed} writes that failed");
    line("info", "writes work again", &detail);
}

/// The process ends, since this part of it panicked; the panic was told before.
pub(crate) fn died(what: &str) {
    line("error", "process ended after a panic", what);
}

/// Something is not as it should be, but service goes on.
pub(crate) fn warn(event: &str, detail: &str) {
    line("warn", event, detail);
}

/// Something is wrong that stays so until an operator does something about it.
pub(crate) fn error(event: &str, detail: &str) {
    line("error", event, detail);
}

/// The cause of a warning is over.
pub(crate) fn back(what: &str) {
    line("info", "recovered", what);
}

fn line(level: &str, event: &str, detail: &str) {
    let is_left_out = |least: &str| !least.is_empty() && !is_logged(level, least);
    if LEAST.read().is_ok_and(|least| is_left_out(&least)) {
        return;
    }
    let age = SystemTime::now().duration_since(UNIX_EPOCH);
    let line = json!({
        "level": level,
        "time_ms": age.map_or(0, |age| age.as_millis() as u64),
        "ds.component": "host",
        "ds.event": event,
        "error.message": detail,
    });
    // In one write, like the instances'. There is no one else to tell.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
