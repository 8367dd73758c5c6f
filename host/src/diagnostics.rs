//! The log and the traces of the process.

use crate::telemetry::{self, Directives, LogFormat};
use crate::trace;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry;

/// Directives of the log, unless a flag has them.
const RUST_LOG: &str = "RUST_LOG";

/// The log and the traces, until this value is dropped. The drop writes all lines and exports all spans,
/// and waits three seconds at most.
#[derive(Debug)]
pub struct Diagnostics {
    export: Option<trace::Export>,
}

impl Drop for Diagnostics {
    fn drop(&mut self) {
        drop(self.export.take());
        telemetry::flush();
    }
}

/// Starts the log, and the export of spans if the environment names a collector. Each process does it
/// once, before its first line.
///
/// # Errors
///
/// A thread can't be started.
pub fn start(format: LogFormat, directives: Option<Directives>) -> std::io::Result<Diagnostics> {
    let variable = |name: &str| std::env::var(name).ok();
    let from_environment = variable(RUST_LOG).filter(|text| !text.is_empty());
    let (directives, refused) = match (directives, from_environment.map(|text| text.parse())) {
        (None, Some(Ok(directives))) => (Some(directives), None),
        (None, Some(Err(error))) => (None, Some(format!("{RUST_LOG} is ignored: {error}"))),
        (directives, _) => (directives, None),
    };
    let (log, filter) = telemetry::start(format, directives)?;
    let (export, warnings) = trace::start(&variable);
    let (layer, export) = export.unzip();
    let subscriber = registry().with(layer).with(log.with_filter(filter));
    // Another subscriber exists only in tests.
    let _ = tracing::subscriber::set_global_default(subscriber);
    for warning in refused.into_iter().chain(warnings) {
        telemetry::warn("variable without effect", &warning);
    }
    Ok(Diagnostics { export })
}

/// Prints a line on standard error after all lines before it, and waits for its reader a second at
/// most.
pub fn print(line: &str) {
    telemetry::print(line);
}
