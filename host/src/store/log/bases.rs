//! The values that patches may be made of.

use super::format::{PATCH_HEAD, PatchHead, StoreId};
use super::patch::diff;
use bytes::Bytes;
use std::collections::HashMap;

/// Values below this are always written whole: a patch saves little.
const LEAST_VALUE: usize = 1024;
/// What may be kept in memory. Beyond it values are written whole, until the next segment.
const MOST_BYTES: usize = 16 << 20;
/// What a base takes besides its key and its value, about.
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
    /// The record of this value and those of its patches so far, and their bytes after the key.
    records: usize,
    spent: usize,
}

/// A value as it is written against a base.
#[derive(Debug, Clone)]
pub(super) struct Patch {
    pub(super) head: PatchHead,
    pub(super) runs: Bytes,
}

impl Patch {
    /// Bytes after the key.
    pub(super) const fn length(&self) -> usize {
        PATCH_HEAD.saturating_add(self.runs.len())
    }
}

impl Bases {
    /// The patch that makes `value`, where one is worth it. `is_current` says whether what the key
    /// has now rests on the record at an offset of the active segment.
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
        // Patches of one base grow with what was appended since. The least is written where a new
        // base begins as soon as the next patch is above what records took on average so far.
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

    /// A value was written whole at an offset. It is kept where it replaced one, and so is likely
    /// to be replaced itself.
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

    /// A patch of this key's base was written.
    pub(super) fn count(&mut self, key: &str, patch: &Patch) {
        if let Some(base) = self.by_key.get_mut(key) {
            base.records = base.records.saturating_add(1);
            base.spent = base.spent.saturating_add(patch.length());
        }
    }

    /// The key has no value any more, or one that is no base.
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

    /// Bytes of the patch that appending this many makes.
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
    fn only_what_replaced_a_large_value_is_a_base() {
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
    fn what_is_kept_in_memory_is_bounded() {
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
        // The least for a base of 4096 and patches of 256, 512, ...: about the root of 4096 / 128.
        assert!((5..=7).contains(&(appended / 256)), "{appended}");
        assert!(longest < 2048);
    }
}
