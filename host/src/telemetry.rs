//! The host's own log: one JSON object a line on standard error, like the component's log.

use durable_streams_edge::limits::is_logged;
use serde_json::json;
use std::io::Write;
use std::sync::RwLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// The variable `log_level` of the server started last. Empty before the first start: all lines are
/// written.
static LEAST: RwLock<String> = RwLock::new(String::new());

/// Suppresses lines less severe than `least`, a value of `log_level`.
pub(crate) fn set_level(least: &str) {
    // With a poisoned lock the previous level stays.
    if let Ok(mut level) = LEAST.write() {
        least.clone_into(&mut level);
    }
}

/// Logs that an instance was stopped and will be replaced.
pub(crate) fn instance_broke(why: &str) {
    line("error", "instance replaced", why);
}

/// Logs that changes were lost; the requests that waited for them get an error. The caller logs
/// this once, until a write works again.
pub(crate) fn changes_lost(why: &str) {
    line("error", "writes lost", why);
}

/// Logs that a write worked after this many failures.
pub(crate) fn changes_kept_again(failed: u64) {
    let detail = format!("after {failed} failed writes");
    line("info", "writes work again", &detail);
}

/// Logs that the process ends because this part of it panicked. The panic was logged before.
pub(crate) fn died(name: &str) {
    line("error", "process ended after a panic", name);
}

/// Logs a fault that does not stop the service.
pub(crate) fn warn(event: &str, detail: &str) {
    line("warn", event, detail);
}

/// Logs a fault that lasts until an operator repairs it.
pub(crate) fn error(event: &str, detail: &str) {
    line("error", event, detail);
}

/// Logs a change that an operator asked for.
pub(crate) fn info(event: &str, detail: &str) {
    line("info", event, detail);
}

/// Logs that the cause of a warning is over.
pub(crate) fn back(detail: &str) {
    line("info", "recovered", detail);
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
    // One write for each line, like the instances' logs. A failure can't be reported anywhere.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
