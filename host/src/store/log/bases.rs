//! The values that patches may be based on.

use super::format::{PATCH_HEAD, PatchHead, StoreId};
use super::patch::diff;
use bytes::Bytes;
use std::collections::HashMap;

/// Shortest value that is written as a patch. For shorter ones a patch saves little.
const LEAST_VALUE: usize = 1024;
/// Bytes of bases in memory. Past this limit values are written whole, until the next segment.
const MOST_BYTES: usize = 16 << 20;
/// Approximate bytes that a base takes besides its key and its value.
const BASE_BYTES: usize = 128;

/// Whole values of the active segment, by their keys.
#[derive(Default)]
pub(super) struct Bases {
    by_key: HashMap<Box<str>, Base>,
    bytes: usize,
}

struct Base {
    offset: u32,
    value: Bytes,
    /// Number of records: this value and its patches so far. `spent` counts their bytes after the
    /// key.
    records: usize,
    spent: usize,
}

/// A value written as a difference to a base.
#[derive(Debug, Clone)]
pub(super) struct Patch {
    pub(super) head: PatchHead,
    pub(super) runs: Bytes,
}

impl Patch {
    /// Number of bytes after the key.
    pub(super) const fn length(&self) -> usize {
        PATCH_HEAD.saturating_add(self.runs.len())
    }
}

impl Bases {
    /// Returns the patch that makes `value`, if a patch is worth it. `is_current` says whether the
    /// key's current value is based on the record at this offset of the active segment.
    pub(super) fn patch(
        &self,
        key: &str,
        value: &[u8],
        id: StoreId,
        is_current: impl FnOnce(u32) -> bool,
    ) -> Option<Patch> {
        let base = self.by_key.get(key)?;
        if value.len() < LEAST_VALUE || !is_current(base.offset) {
            return None;
        }
        // Patches of one base grow with the appended data. The fewest bytes are written if a new
        // base begins once the next patch is longer than the average record so far.
        let most = (value.len() / 2).min(base.spent / base.records);
        let runs = diff(&base.value, value, most.checked_sub(PATCH_HEAD)?)?;
        let head = PatchHead {
            base: base.offset,
            length: value.len() as u32,
            checksum: id.checksum(value),
        };
        let runs = Bytes::from(runs);
        Some(Patch { head, runs })
    }

    /// Notes a value that was written whole at an offset. The value becomes a base if it replaced
    /// another one, since it is then likely to be replaced too.
    pub(super) fn keep(&mut self, key: &str, value: &Bytes, offset: u32, replaced: bool) {
        self.forget(key);
        let bytes = footprint(key, value);
        let full = self.bytes.saturating_add(bytes) > MOST_BYTES;
        if full || !replaced || value.len() < LEAST_VALUE {
            return;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        let base = Base {
            offset,
            value: value.clone(),
            records: 1,
            spent: value.len(),
        };
        self.by_key.insert(key.into(), base);
    }

    /// Counts a written patch of this key's base.
    pub(super) fn count(&mut self, key: &str, patch: &Patch) {
        if let Some(base) = self.by_key.get_mut(key) {
            base.records = base.records.saturating_add(1);
            base.spent = base.spent.saturating_add(patch.length());
        }
    }

    /// Drops the base of a key that has no value any more, or a value that is not a base.
    pub(super) fn forget(&mut self, key: &str) {
        if let Some(base) = self.by_key.remove(key) {
            self.bytes = self.bytes.saturating_sub(footprint(key, &base.value));
        }
    }
}

fn footprint(key: &str, value: &Bytes) -> usize {
    let bytes = key.len().saturating_add(value.len());
    bytes.saturating_add(BASE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(length: usize) -> Bytes {
        Bytes::from(vec![7; length])
    }

    /// Returns the length of the patch after an append of this many bytes.
    fn patched(bases: &Bases, key: &str, appended: usize) -> Option<usize> {
        let value = [
            &*value(4096),
            &(0..appended).map(|at| at as u8).collect::<Vec<_>>(),
        ]
        .concat();
        let patch = bases.patch(key, &value, StoreId::random(), |_| true);
        patch.map(|patch| patch.length())
    }

    #[test]
    fn only_a_value_that_replaced_a_large_one_is_a_base() {
        let mut bases = Bases::default();
        bases.keep("new", &value(4096), 44, false);
        bases.keep("small", &value(LEAST_VALUE - 1), 44, true);
        bases.keep("a", &value(4096), 44, true);
        assert_eq!(patched(&bases, "new", 10), None);
        assert_eq!(patched(&bases, "small", 10), None);
        assert!(patched(&bases, "a", 10).is_some_and(|length| length < 64));
        let replaced = bases.patch("a", &value(4096), StoreId::random(), |at| at != 44);
        assert!(replaced.is_none(), "the key has another value now");
        bases.forget("a");
        assert_eq!(patched(&bases, "a", 10), None);
        assert_eq!(bases.bytes, 0);
    }

    #[test]
    fn the_bases_in_memory_are_bounded() {
        let mut bases = Bases::default();
        for number in 0..40 {
            bases.keep(&format!("{number}"), &value(1 << 20), 44, true);
            bases.keep("0", &value(1 << 20), 44, true);
        }
        assert_eq!(bases.by_key.len(), 15);
        assert!(bases.bytes <= MOST_BYTES);
    }

    #[test]
    fn a_patch_is_at_most_half_of_its_value_and_of_the_average() {
        let mut bases = Bases::default();
        bases.keep("a", &value(4096), 44, true);
        assert_eq!(patched(&bases, "a", 4200), None);
        let mut appended = 0;
        let mut longest = 0;
        while let Some(length) = patched(&bases, "a", appended + 256) {
            appended += 256;
            longest = length;
            let value = [&*value(4096), &vec![0; appended][..]].concat();
            let patch = bases.patch("a", &value, StoreId::random(), |_| true);
            let mut patch = patch.expect("zeros take no more");
            patch.runs = Bytes::from(vec![0; length - PATCH_HEAD]);
            bases.count("a", &patch);
        }
        // For a base of 4096 bytes and patches of 256, 512, ... the optimum is about the square
        // root of 4096 / 128.
        assert!((5..=7).contains(&(appended / 256)), "{appended}");
        assert!(longest < 2048);
    }
}
