//! Reasons that a configuration file is not valid, in one line each.

use crate::variables::FileLine;

/// Reason that a configuration file is not valid. No text contains a value of a variable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The arguments are invalid, alone or together with the flags of the file.
    #[error("{0}")]
    Arguments(String),
    /// The file can't be read.
    #[error("configuration file {file}: {source}")]
    Unreadable {
        /// The file as it was named.
        file: String,
        /// The reason.
        source: std::io::Error,
    },
    /// The text is not TOML.
    #[error("{line}: {reason}")]
    Syntax {
        /// The line of the fault.
        line: FileLine,
        /// The reason.
        reason: String,
    },
    /// There is no such setting.
    #[error("{line}: unknown {kind} {name:?}; {advice}")]
    Unknown {
        /// The line of the name.
        line: FileLine,
        /// `flag` or `variable`.
        kind: &'static str,
        /// The name.
        name: String,
        /// A similar name, or where to find all of them.
        advice: String,
    },
    /// The value has another type.
    #[error("{line}: {name} is {found}, expected {expected}")]
    Type {
        /// The line of the value.
        line: FileLine,
        /// The name of the setting.
        name: String,
        /// The type of the value.
        found: &'static str,
        /// The expected type.
        expected: &'static str,
    },
    /// The flag does not accept the value.
    #[error("{line}: {reason}")]
    Value {
        /// The line of the value.
        line: FileLine,
        /// The reason, with the name of the flag.
        reason: String,
    },
}
