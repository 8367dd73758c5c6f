//! Errors with an optional instruction for the user.

use std::fmt;

/// A failed step.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    description: String,
    by_hand: Option<String>,
}

impl Failure {
    pub(crate) fn new(description: impl Into<String>) -> Self {
        Self {
            description: description.into(),
            by_hand: None,
        }
    }

    /// Adds an instruction for the user, which replaces an earlier one.
    pub(crate) fn by_hand(mut self, what_to_do: impl Into<String>) -> Self {
        self.by_hand = Some(what_to_do.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.description)?;
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
