//! The host's own log: one JSON object a line on standard error, like the component's.

use crate::exchange::StepError;
use serde_json::json;

/// An instance was stopped and is replaced.
pub fn instance_broke(error: &StepError) {
    line("error", "instance replaced", &error.to_string());
}

/// Something is not as it should be, but service goes on.
pub fn warn(message: &str, detail: &str) {
    line("warn", message, detail);
}

fn line(level: &str, message: &str, detail: &str) {
    let line = json!({
        "level": level,
        "message": message,
        "error.message": detail,
        "ds.component": "host",
    });
    eprintln!("{line}");
}
