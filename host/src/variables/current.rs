//! The variables in force. A reload replaces them.

use crate::wasi::Variables;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// The variables in force, shared by all instances of a server.
#[derive(Debug, Default)]
pub(crate) struct Current {
    /// Number of replacements.
    version: AtomicU64,
    variables: RwLock<Arc<Variables>>,
}

impl Current {
    /// These variables, until a reload.
    #[must_use]
    pub(crate) fn new(variables: Variables) -> Arc<Self> {
        Arc::new(Self {
            version: AtomicU64::new(0),
            variables: RwLock::new(Arc::new(variables)),
        })
    }

    /// The variables in force.
    #[must_use]
    pub(crate) fn variables(&self) -> Arc<Variables> {
        let variables = self.variables.read();
        Arc::clone(&variables.unwrap_or_else(PoisonError::into_inner))
    }

    /// Number of replacements so far. An instance reads it before the variables, so that a
    /// replacement between the two makes it outdated.
    #[must_use]
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The value of a variable; empty if there is none.
    #[must_use]
    pub(crate) fn value(&self, name: &str) -> String {
        self.variables().get(name).cloned().unwrap_or_default()
    }

    /// Replaces the variables. Instances with other variables are outdated from now on.
    pub(crate) fn replace(&self, variables: Variables) {
        let mut current = self
            .variables
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(variables);
        self.version.fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_changes_the_variables_and_the_version() {
        let of = |value: &str| Variables::from([("a".to_owned(), value.to_owned())]);
        let current = Current::new(of("1"));
        let (version, before) = (current.version(), current.variables());
        current.replace(of("2"));
        assert_ne!(current.version(), version);
        assert_eq!(current.value("a"), "2");
        assert_eq!(
            before["a"], "1",
            "an instance keeps the variables that it has"
        );
        assert_eq!(current.value("b"), "");
    }
}
