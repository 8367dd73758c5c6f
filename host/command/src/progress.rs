//! Progress on a terminal.

use crate::wide;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, stderr, stdout};
use std::time::Duration;

/// Bytes that a command moved. Shown on standard error, only if that is a terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Progress of a command that writes no data to standard output. `total` is in bytes.
    pub(crate) fn of_input(verb: &'static str, total: Option<u64>) -> Self {
        Self::new(verb, total, stderr().is_terminal())
    }

    /// Progress of a command that writes data to standard output. Data on a terminal shows enough.
    pub(crate) fn of_output(verb: &'static str) -> Self {
        Self::new(
            verb,
            None,
            stderr().is_terminal() && !stdout().is_terminal(),
        )
    }

    fn new(verb: &'static str, total: Option<u64>, is_shown: bool) -> Self {
        if !is_shown {
            return Self {
                bar: ProgressBar::hidden(),
            };
        }
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(10));
        // No colours: NO_COLOR has nothing to turn off.
        let template = match total {
            Some(_) => {
                "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}"
            }
            None => "{spinner} {msg} {binary_bytes} {binary_bytes_per_sec} {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(verb);
        bar.enable_steady_tick(Duration::from_millis(250));
        Self { bar }
    }

    /// Adds bytes.
    pub(crate) fn add(&self, bytes: usize) {
        self.bar.inc(wide(bytes));
    }

    /// Sets the bytes so far.
    pub(crate) fn set(&self, bytes: u64) {
        self.bar.set_position(bytes);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
