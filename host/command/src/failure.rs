//! Failures, and their exit codes.

use durable_streams_edge_client::Error;
use std::io;
use std::path::Path;

/// Exit code of a command. The guide `command.md` has this table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// The command did its work.
    Done = 0,
    /// A file, the input, the output or the server failed.
    Failed = 1,
    /// The arguments are invalid.
    Usage = 2,
    /// There is no such stream, or it was deleted.
    NotFound = 3,
    /// The stream does not allow it: it is closed, exists with another configuration, or another
    /// producer took over.
    Conflict = 4,
    /// The token is missing or lacks the right.
    Denied = 5,
    /// The server was unreachable or had no room until the retries ended. The last request had no
    /// effect.
    Unavailable = 6,
    /// The last request was applied once or not at all.
    Unknown = 7,
    /// The server lacks an extension of the protocol.
    Unsupported = 8,
    /// The user interrupted the command.
    Interrupted = 130,
}

impl Exit {
    /// The number that the process ends with.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Conflict => 4,
            Self::Denied => 5,
            Self::Unavailable => 6,
            Self::Unknown => 7,
            Self::Unsupported => 8,
            Self::Interrupted => 130,
        }
    }
}

/// Reason why a command failed, as a line for standard error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A call failed.
    #[error("{0}")]
    Call(#[from] Error),
    /// A file can't be used.
    #[error("{path}: {source}")]
    File { path: String, source: io::Error },
    /// Standard input can't be read.
    #[error("the input can't be read: {0}")]
    Input(io::Error),
    /// Standard output can't be written.
    #[error("the output can't be written: {0}")]
    Output(io::Error),
    /// The reader of standard output closed it: the command ends without a message.
    #[error("the reader of the output closed it")]
    OutputClosed,
    /// The arguments are invalid together.
    #[error("{0}")]
    Usage(String),
    /// Data or a state file is invalid.
    #[error("{0}")]
    Invalid(String),
    /// The server has no room yet.
    #[error("{0}")]
    NoRoom(String),
    /// The server's data is invalid.
    #[error("the server sent invalid JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl Failure {
    pub(crate) fn file(path: &Path, source: io::Error) -> Self {
        Self::File {
            path: path.display().to_string(),
            source,
        }
    }

    /// Failure of a write to standard output.
    pub(crate) fn output(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Output(error),
        }
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Call(error) => exit_of(error),
            Self::OutputClosed => Exit::Done,
            Self::NoRoom(_) => Exit::Unavailable,
            Self::Usage(_) => Exit::Usage,
            Self::File { .. }
            | Self::Input(_)
            | Self::Output(_)
            | Self::Invalid(_)
            | Self::Json(_) => Exit::Failed,
        }
    }
}

fn exit_of(error: &Error) -> Exit {
    match error.root() {
        Error::InvalidUrl { .. } | Error::InvalidValue { .. } => Exit::Usage,
        Error::NotFound(_) | Error::Gone(_) | Error::OffsetGone { .. } => Exit::NotFound,
        Error::Closed { .. }
        | Error::Conflict(_)
        | Error::Fenced { .. }
        | Error::SequenceGap { .. }
        | Error::TailMoved { .. } => Exit::Conflict,
        Error::Denied(_) => Exit::Denied,
        Error::Unreachable { .. } | Error::Busy(_) => Exit::Unavailable,
        Error::OutcomeUnknown { .. } => Exit::Unknown,
        Error::Unsupported { .. } => Exit::Unsupported,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_output_is_a_quiet_end() {
        let broken = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(Failure::output(broken).exit(), Exit::Done);
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(Failure::output(full).exit(), Exit::Failed);
    }

    #[test]
    fn a_failure_that_follows_from_another_has_its_exit_code() {
        let unsupported = Error::Unsupported {
            server: String::new(),
            extension: "stop",
            purpose: "",
        };
        let later = Error::Earlier(unsupported.into());
        assert_eq!(Failure::Call(later).exit(), Exit::Unsupported);
    }
}
