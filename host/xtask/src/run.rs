//! Runs a command that may take long, with a heading, signs of life and the elapsed time.

use crate::failure::Failure;
use crate::log::Log;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// Interval of the signs of life of a running step.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);

/// A running step. It prints a heading, and every half minute until the drop a sign of life.
pub(crate) struct Step {
    description: String,
    begun: Instant,
    _until_dropped: Sender<()>,
}

impl Step {
    pub(crate) fn begin(description: impl Into<String>) -> Self {
        let description = description.into();
        let begun = Instant::now();
        println!("==> {description}");
        let (sender, receiver) = mpsc::channel();
        let name = description.clone();
        std::thread::spawn(move || {
            while receiver.recv_timeout(SIGN_OF_LIFE) == Err(RecvTimeoutError::Timeout) {
                eprintln!("    .. {name}: {} so far", elapsed(begun));
            }
        });
        Self {
            description,
            begun,
            _until_dropped: sender,
        }
    }

    /// Ends the step as successful.
    pub(crate) fn done(self) {
        println!("    done in {}: {}", elapsed(self.begun), self.description);
    }
}

fn elapsed(since: Instant) -> String {
    let seconds = since.elapsed().as_secs_f64();
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let whole = since.elapsed().as_secs();
    format!("{} min {:02} s", whole / 60, whole % 60)
}

/// Whether a program can be started.
pub(crate) fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null());
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok()
}

/// Runs a command as one step. Its output goes into a log, and is shown if the command fails.
pub(crate) fn run(description: &str, command: &mut Command) -> Result<(), Failure> {
    let log = Log::create(description)?;
    if log.is_shown() {
        return show(description, command);
    }
    let step = Step::begin(description);
    command.stdout(log.writer()?).stderr(log.writer()?);
    let status = command.stdin(Stdio::null()).status();
    if !matches!(&status, Ok(status) if status.success()) {
        log.show_failures()?;
    }
    judge(description, command, status)?;
    step.done();
    Ok(())
}

/// Runs a command as one step and passes its output on.
pub(crate) fn show(description: &str, command: &mut Command) -> Result<(), Failure> {
    let step = Step::begin(description);
    let status = command.stdin(Stdio::null()).status();
    judge(description, command, status)?;
    step.done();
    Ok(())
}

/// Runs a command and passes each line of its standard output to `look`. All output goes into a
/// log, and failures are shown. Returns whether the command succeeded; an error means that it did
/// not start.
pub(crate) fn watch(
    description: &str,
    command: &mut Command,
    mut look: impl FnMut(&str),
) -> Result<bool, Failure> {
    let log = Log::create(description)?;
    if !log.is_shown() {
        command.stderr(log.writer()?);
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| not_started(command, &error))?;
    let mut lines = log.writer()?;
    let mut skipped = BTreeSet::new();
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            match log.is_shown() {
                true => println!("{line}"),
                false => writeln!(lines, "{line}")?,
            }
            if line.starts_with("skipped: ") && skipped.insert(line.clone()) && !log.is_shown() {
                println!("    {line}");
            }
            std::io::stdout().flush()?;
            look(&line);
        }
    }
    let well = child.wait()?.success();
    if !well {
        log.show_failures()?;
    }
    Ok(well)
}

fn judge(
    description: &str,
    command: &Command,
    status: std::io::Result<ExitStatus>,
) -> Result<(), Failure> {
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::new(format!("{description} failed ({status})"))),
        Err(error) => Err(not_started(command, &error)),
    }
}

fn not_started(command: &Command, error: &std::io::Error) -> Failure {
    let program = command.get_program().to_string_lossy();
    Failure::new(format!("{program} could not be started: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_there_if_it_can_be_started() {
        assert!(is_there("cargo"));
        assert!(!is_there("there is no such program"));
    }
}
