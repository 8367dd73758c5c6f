//! Sources of settings.

use std::fmt::{self, Display, Formatter};
use std::path::Path;

/// Line of a configuration file, as `FILE:LINE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLine {
    file: String,
    line: usize,
}

impl FileLine {
    /// A line, counted from 1.
    #[must_use]
    pub fn new(file: impl AsRef<Path>, line: usize) -> Self {
        Self {
            file: file.as_ref().display().to_string(),
            line,
        }
    }
}

impl Display for FileLine {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.file, self.line)
    }
}

/// Source of a setting's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The command line.
    Flag,
    /// A variable of the environment, of this name.
    Environment(String),
    /// The configuration file.
    File(FileLine),
    /// The value if none is given.
    Default,
}

impl Source {
    /// The kind of source, as one word.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Environment(_) => "environment",
            Self::File(_) => "file",
            Self::Default => "default",
        }
    }

    /// The name or the line within the source, if there are several.
    #[must_use]
    pub fn at(&self) -> Option<String> {
        match self {
            Self::Flag | Self::Default => None,
            Self::Environment(name) => Some(name.clone()),
            Self::File(line) => Some(line.to_string()),
        }
    }
}

impl Display for Source {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(self.kind())?;
        self.at().map_or(Ok(()), |at| write!(out, " {at}"))
    }
}
