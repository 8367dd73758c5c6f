//! What went wrong, and what a person can do about it.

use std::fmt;

/// A step that did not succeed.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    what: String,
    by_hand: Option<String>,
}

impl Failure {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            by_hand: None,
        }
    }

    /// Says what to do by hand, instead of whatever was to be done anyway.
    pub(crate) fn by_hand(mut self, what_to_do: impl Into<String>) -> Self {
        self.by_hand = Some(what_to_do.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.what)?;
        match &self.by_hand {
            Some(what_to_do) => write!(out, "\nBy hand: {what_to_do}"),
            None => Ok(()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}
