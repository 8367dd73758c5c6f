//! The log of the process, from its start to its end.

use super::filter::{Directives, LogFilter};
use super::format::{LogFormat, host_line};
use super::layer::LogLayer;
use super::panics;
use super::queue::Queue;
use std::io::{IsTerminal, Write, stderr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tracing::Level;

/// Longest wait for a reader of standard error at the end of the process.
const FAREWELL: Duration = Duration::from_secs(1);

static LOG: OnceLock<Log> = OnceLock::new();

/// The log of the process.
#[derive(Debug)]
struct Log {
    queue: Arc<Queue>,
    filter: LogFilter,
    is_text: bool,
}

/// Starts the log, and the layer and filter for its events. A second start changes nothing.
///
/// # Errors
///
/// The thread of the log can't be started.
pub(crate) fn start(
    format: LogFormat,
    directives: Option<Directives>,
) -> std::io::Result<(LogLayer, LogFilter)> {
    let is_text = match format {
        LogFormat::Auto => stderr().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let report = move |dropped| {
        let detail = format!("{dropped} lines: standard error was not read in time");
        host_line(Level::WARN, "log lines dropped", &detail, is_text)
    };
    let queue = Queue::start(stderr(), Box::new(report))?;
    let log = LOG.get_or_init(|| Log {
        queue,
        filter: LogFilter::new(directives),
        is_text,
    });
    panics::report(last);
    let layer = LogLayer {
        queue: Arc::clone(&log.queue),
        is_text: log.is_text,
    };
    Ok((layer, log.filter.clone()))
}

/// Suppresses lines less severe than `least`, a value of `log_level`, unless the log started with
/// directives.
pub(crate) fn set_level(least: &str) {
    if let Some(log) = LOG.get() {
        log.filter.set_level(least);
    }
}

/// Lines that had no room since the start.
pub(crate) fn dropped_lines() -> u64 {
    LOG.get().map_or(0, |log| log.queue.dropped())
}

/// Waits until all lines are written, but no longer than a second.
pub(crate) fn flush() {
    if let Some(log) = LOG.get() {
        log.queue.flush(FAREWELL);
    }
}

/// Prints a line as it is, and waits until it is written, but no longer than a second.
pub(crate) fn print(line: &str) {
    let line = format!("{line}\n");
    match LOG.get() {
        Some(log) => {
            log.queue.push(line.as_bytes());
            log.queue.flush(FAREWELL);
        }
        // A failure can't be reported anywhere.
        None => drop(stderr().write_all(line.as_bytes())),
    }
}

/// Logs an error of a process that may end now. The call does not depend on `tracing`, which drops
/// events of a thread that panicked inside of it.
pub(super) fn last(event: &str, detail: &str) {
    let is_text = LOG.get().is_some_and(|log| log.is_text);
    let line = host_line(Level::ERROR, event, detail, is_text);
    print(line.trim_end_matches('\n'));
}
