//! The entries of one page.

use crate::limits::LIST_BYTES;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// Entries of a page, encoded, with the limits of the page.
pub(super) struct Page {
    entries: Vec<Box<RawValue>>,
    bytes: usize,
    limit: usize,
}

impl Page {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            entries: Vec::new(),
            bytes: 0,
            limit,
        }
    }

    /// Whether the page ends before the next entry.
    pub(super) const fn is_full(&self) -> bool {
        self.entries.len() >= self.limit || self.bytes >= LIST_BYTES
    }

    pub(super) fn push(&mut self, entry: &impl Serialize) {
        // Texts, numbers and flags always serialize.
        if let Ok(encoded) = to_raw_value(entry) {
            self.bytes = self.bytes.saturating_add(encoded.get().len());
            self.entries.push(encoded);
        }
    }

    pub(super) fn into_entries(self) -> Vec<Box<RawValue>> {
        self.entries
    }
}
