//! Writes the new store.

use crate::check::error::CheckError;
use crate::store::ChangeNumber;
use crate::store::log::{Change, Hole, Log};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Bytes of values in one batch.
const BATCH_BYTES: usize = 4 << 20;
/// Changes in one batch.
const BATCH: usize = 1000;
/// Keys between two lines of progress.
const LINE: u64 = 10_000;

/// New store that the salvage fills.
pub(super) struct Output<'a> {
    log: &'a Log,
    sequence: u64,
    waiting: Vec<Change>,
    bytes: usize,
    holes: BTreeMap<String, u32>,
    copied: u64,
    progress: &'a mut dyn FnMut(&str),
}

impl<'a> Output<'a> {
    /// Continues the change numbers after `highest`.
    pub(super) fn new(
        log: &'a Log,
        highest: ChangeNumber,
        progress: &'a mut dyn FnMut(&str),
    ) -> Self {
        Self {
            log,
            sequence: highest.get(),
            waiting: Vec::new(),
            bytes: 0,
            holes: BTreeMap::new(),
            copied: 0,
            progress,
        }
    }

    /// Adds a key.
    pub(super) fn put(&mut self, key: &str, value: Bytes) -> Result<(), CheckError> {
        // The last change stays in the queue until the end, so that it is written after the holes.
        if self.bytes >= BATCH_BYTES || self.waiting.len() >= BATCH {
            self.flush()?;
        }
        self.bytes = self.bytes.saturating_add(value.len());
        let sequence = self.next();
        self.waiting.push(Change {
            key: key.into(),
            value: Some(value),
            sequence,
        });
        self.copied = self.copied.saturating_add(1);
        if self.copied.is_multiple_of(LINE) {
            (self.progress)(&format!("copied {} keys", self.copied));
        }
        Ok(())
    }

    /// Notes that the value of a key is lost. The value had at least this length.
    pub(super) fn hole(&mut self, key: String, length: u32) {
        let known = self.holes.entry(key).or_default();
        *known = length.max(*known);
    }

    /// Writes all pending changes and holes.
    pub(super) fn finish(mut self) -> Result<(), CheckError> {
        let holes = std::mem::take(&mut self.holes);
        let (mut some, mut bytes) = (Vec::new(), 0);
        for (key, length) in holes {
            if bytes >= BATCH_BYTES || some.len() >= BATCH {
                self.log.commit_holes(&some)?;
                (some, bytes) = (Vec::new(), 0);
            }
            bytes = bytes.saturating_add(length as usize);
            let (key, sequence) = (key.into(), self.next());
            some.push(Hole {
                key,
                length,
                sequence,
            });
        }
        self.log.commit_holes(&some)?;
        self.flush()?;
        (self.progress)(&format!("copied {} keys; done", self.copied));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), CheckError> {
        self.log.commit(&self.waiting)?;
        self.waiting.clear();
        self.bytes = 0;
        Ok(())
    }

    fn next(&mut self) -> ChangeNumber {
        self.sequence = self.sequence.saturating_add(1);
        ChangeNumber::new(self.sequence)
    }
}
