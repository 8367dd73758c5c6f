//! Panics in the log.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;

/// Passes panics to `log`, with an event and a detail, instead of printing them: the default hook waits
/// for the reader of standard error.
pub(super) fn report(log: fn(&str, &str)) {
    std::panic::set_hook(Box::new(move |panic| log("panicked", &describe(panic))));
}

fn describe(panic: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("<unnamed>");
    let message = message(panic.payload());
    let at = panic.location().map(|location| format!(" at {location}"));
    let mut text = format!(
        "thread '{name}' panicked{}: {message}",
        at.unwrap_or_default()
    );
    // Enabled by RUST_BACKTRACE.
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        text.push_str(&format!("\n{trace}"));
    }
    text
}

fn message(payload: &dyn Any) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a value that is no text")
}
