//! The settings in force, for `/debug/config`.

use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};

/// Flags and variables in force, without secrets. A reload replaces them.
#[derive(Debug)]
pub(crate) struct Settings(Mutex<Value>);

impl Settings {
    /// These settings, which contain no secrets.
    pub(crate) fn new(settings: Value) -> Arc<Self> {
        Arc::new(Self(Mutex::new(settings)))
    }

    /// Shows other settings, which contain no secrets.
    pub(crate) fn replace(&self, settings: Value) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = settings;
    }

    /// The settings as JSON.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let settings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = format!("{settings:#}").into_bytes();
        text.push(b'\n');
        text
    }
}
