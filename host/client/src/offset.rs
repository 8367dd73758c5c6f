//! Offsets.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Position in a stream, as a server gave it. It is opaque: of two offsets of one stream, the
/// greater one is later, and nothing else can be read from it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(String);

impl Offset {
    /// An offset that a server gave earlier, for example one that was kept in a file.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, as the server sent it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Place where a read begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Start {
    /// The first byte of the stream.
    #[default]
    Beginning,
    /// The tail: only data that is appended later.
    Now,
    /// An offset that the server gave.
    At(Offset),
    /// The last messages of a JSON stream (1 to 10,000), or the last bytes of another stream (1 to
    /// 1,048,576). This is the extension `tail`: a read is [`Error::Unsupported`] where the server
    /// does not announce it.
    ///
    /// [`Error::Unsupported`]: crate::Error::Unsupported
    Last(u32),
}
