//! Output of commands: in files below `target/logs`, or on the terminal with `--verbose`.

use crate::failure::Failure;
use crate::paths;
use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

static VERBOSE: AtomicBool = AtomicBool::new(false);

/// Lines shown of a log without a section of failures.
const TAIL_LINES: usize = 200;

/// Shows the output of all commands from now on.
pub(crate) fn be_verbose() {
    VERBOSE.store(true, Ordering::Relaxed);
}

/// The log of one command.
pub(crate) struct Log {
    path: PathBuf,
}

impl Log {
    /// An empty log, named after the command.
    pub(crate) fn create(description: &str) -> Result<Self, Failure> {
        let directory = paths::target().join("logs");
        std::fs::create_dir_all(&directory)?;
        let words = description.split(|c: char| !c.is_ascii_alphanumeric());
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        let path = directory.join(format!("{}.log", words.join("-")));
        File::create(&path)?;
        Ok(Self { path })
    }

    /// Whether the output goes to the terminal instead.
    pub(crate) fn is_shown(&self) -> bool {
        VERBOSE.load(Ordering::Relaxed)
    }

    /// A handle that appends to the log.
    pub(crate) fn writer(&self) -> Result<LogFile, Failure> {
        let file = OpenOptions::new().append(true).open(&self.path)?;
        Ok(LogFile(file))
    }

    /// Shows the failures in the log, and prints its path.
    pub(crate) fn show_failures(&self) -> Result<(), Failure> {
        if self.is_shown() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&std::fs::read(&self.path)?).into_owned();
        println!("{}", failures(&text));
        println!("    all of the output is in {}", self.path.display());
        Ok(())
    }
}

/// A log open for writing.
pub(crate) struct LogFile(File);

impl From<LogFile> for Stdio {
    fn from(file: LogFile) -> Self {
        file.0.into()
    }
}

impl std::io::Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// The sections of failures in the output of `cargo test`, and the lines of failed checks in our
/// scripts. Without either, the end of the text.
fn failures(text: &str) -> String {
    let mut shown = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        inside |= line == "failures:";
        if inside || line.starts_with("FAILED ") || line.starts_with("error") {
            shown.push(line);
        }
        if line.starts_with("test result: ") {
            inside = false;
        }
    }
    if shown.is_empty() {
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(TAIL_LINES);
        shown = lines.into_iter().skip(from).collect();
    }
    shown.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_shown_without_the_tests_that_passed() {
        let text = "test a ... ok\ntest b ... FAILED\n\nsuccesses:\n    a\n\nfailures:\n\n\
                    ---- b stdout ----\nwrong\n\ntest result: FAILED. 1 passed; 1 failed\n\
                    test c ... ok\nerror: 1 target failed";
        assert_eq!(
            failures(text),
            "failures:\n\n---- b stdout ----\nwrong\n\ntest result: FAILED. 1 passed; 1 failed\n\
             error: 1 target failed"
        );
        let long = "line\n".repeat(TAIL_LINES + 50);
        assert_eq!(failures(&long).lines().count(), TAIL_LINES);
    }
}
