//! Encoding of a value as its differences from another one. Pure.
//!
//! The encoding is made for heads. With each append a few fields at their front change, a list of
//! recent commits moves up by one, and new data comes at the end. So a patch is a list of runs.
//! Each run is a number of new bytes, followed by a number of bytes copied from the base. Its
//! encoding is `new 4  from 4  copied 4` and the new bytes.
//!
//! The base is cut into blocks. The search finds a block anywhere in the value by the block's first
//! bytes. It also compares the bytes before a match, so it may take ever larger steps within new
//! bytes. Each lookup tries only one place of the base. So the time is linear in both lengths for
//! any content: some microseconds for a head.

/// Number of bytes before the new bytes of a run.
const RUN_HEAD: usize = 12;
/// Shortest copy. A shorter one costs more than new bytes.
const LEAST_COPY: usize = 24;
/// Number of first bytes by which a block is found.
const SEED: usize = 8;
/// Length of the shortest block, and largest number of blocks. Blocks of a long base are longer.
const BLOCK: usize = 32;
const BLOCKS: usize = 1 << 12;

/// Returns the patch that turns `base` into `value`, or `None` if it would have more than `most`
/// bytes. The search may give up slightly below that limit.
pub(super) fn diff(base: &[u8], value: &[u8], most: usize) -> Option<Vec<u8>> {
    let blocks = Blocks::of(base);
    let mut patch = Vec::new();
    // The bytes from `begin` to `at` are in no run yet.
    let (mut begin, mut at) = (0_usize, 0_usize);
    let mut misses = 0_usize;
    while let Some(seed) = value.get(at..).and_then(|rest| rest.first_chunk()) {
        let Some(copy) = blocks.find(base, value, begin, at, *seed) else {
            // As many steps of the same odd length as a block has bytes reach every position within
            // a block.
            at = at.saturating_add((misses / BLOCK * 2) | 1);
            misses = misses.saturating_add(1);
            if patch.len().saturating_add(at.saturating_sub(begin)) > most {
                return None;
            }
            continue;
        };
        let new = value.get(begin..copy.to).unwrap_or_default();
        push(&mut patch, new, copy.from, copy.length);
        begin = copy.to.saturating_add(copy.length);
        at = begin;
        misses = 0;
    }
    let new = value.get(begin..).unwrap_or_default();
    if !new.is_empty() {
        push(&mut patch, new, 0, 0);
    }
    (patch.len() <= most).then_some(patch)
}

/// Returns the value of `length` bytes that a patch makes of `base`, or `None` if the patch is
/// invalid.
pub(super) fn apply(base: &[u8], patch: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut value = Vec::with_capacity(length);
    let mut rest = patch;
    while !rest.is_empty() {
        let (head, after) = rest.split_first_chunk::<RUN_HEAD>()?;
        let field = |number: usize| {
            let field = head.as_chunks::<4>().0.get(number);
            field.map(|field| u32::from_le_bytes(*field) as usize)
        };
        let (new, after) = after.split_at_checked(field(0)?)?;
        let from = field(1)?;
        let copied = base.get(from..from.checked_add(field(2)?)?)?;
        if value
            .len()
            .checked_add(new.len())?
            .checked_add(copied.len())?
            > length
        {
            return None;
        }
        value.extend_from_slice(new);
        value.extend_from_slice(copied);
        rest = after;
    }
    (value.len() == length).then_some(value)
}

fn push(patch: &mut Vec<u8>, new: &[u8], from: usize, copied: usize) {
    // Values are far below 4 GiB.
    for field in [new.len(), from, copied] {
        patch.extend((field as u32).to_le_bytes());
    }
    patch.extend_from_slice(new);
}

/// Range of bytes that base and value share.
struct Copy {
    from: usize,
    to: usize,
    length: usize,
}

/// Offsets of the blocks of a base, by their first bytes. A block is not found if an earlier block
/// takes its slot. An empty slot leads to offset 0. So each result is only a guess.
struct Blocks([u32; BLOCKS]);

impl Blocks {
    fn of(base: &[u8]) -> Self {
        let mut slots = [0; BLOCKS];
        let block = BLOCK.max(base.len().div_ceil(BLOCKS));
        let last = base.len() / block;
        for at in (0..=last).rev().map(|number| number.saturating_mul(block)) {
            let seed = base.get(at..).and_then(|rest| rest.first_chunk());
            if let Some(slot) = seed.and_then(|seed| slots.get_mut(slot(*seed))) {
                *slot = at as u32;
            }
        }
        Self(slots)
    }

    /// Returns the bytes around `at`, but not before `begin`, that the value shares with the base.
    fn find(
        &self,
        base: &[u8],
        value: &[u8],
        begin: usize,
        at: usize,
        seed: [u8; SEED],
    ) -> Option<Copy> {
        let guess = self.0.get(slot(seed)).map(|guess| *guess as usize)?;
        let (before, after) = base.split_at_checked(guess)?;
        if !after.starts_with(&seed) {
            return None;
        }
        let (done, rest) = value.split_at_checked(at)?;
        let back = common_suffix(before, done.get(begin..)?);
        let length = back.saturating_add(common_prefix(after, rest));
        (length >= LEAST_COPY).then(|| Copy {
            from: guess.saturating_sub(back),
            to: at.saturating_sub(back),
            length,
        })
    }
}

fn slot(seed: [u8; SEED]) -> usize {
    // Fibonacci hashing: the upper bits depend on every bit of the seed.
    let mixed = u64::from_le_bytes(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> (u64::BITS - BLOCKS.ilog2())) as usize
}

fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    // Wide blocks are compared at once, since most of a base is copied.
    let same = same_blocks::<32>(one, other);
    let tail = one.iter().zip(other).skip(same);
    same.saturating_add(tail.take_while(|(one, other)| one == other).count())
}

/// Number of bytes in the leading blocks of `N` bytes that both slices share.
fn same_blocks<const N: usize>(one: &[u8], other: &[u8]) -> usize {
    let blocks = one.as_chunks::<N>().0.iter().zip(other.as_chunks::<N>().0);
    let same = blocks.take_while(|(one, other)| one == other).count();
    same.saturating_mul(N)
}

fn common_suffix(one: &[u8], other: &[u8]) -> usize {
    let pairs = one.iter().rev().zip(other.iter().rev());
    pairs.take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(seed: u64, length: usize) -> Vec<u8> {
        let mut random = super::super::faults::Random::new(seed);
        (0..length).map(|_| random.number() as u8).collect()
    }

    /// Values of few different bytes, so that parts of them occur in many places.
    fn any_value() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..300),
            proptest::collection::vec(0..2_u8, 0..600),
            (0..3_u8, 0..2000_usize).prop_map(|(byte, length)| vec![byte; length]),
        ]
    }

    /// Replacements of parts of a value.
    fn edits() -> impl Strategy<Value = Vec<(usize, usize, Vec<u8>)>> {
        let new = proptest::collection::vec(any::<u8>(), 0..40);
        proptest::collection::vec((0..4000_usize, 0..300_usize, new), 0..6)
    }

    fn edited(mut value: Vec<u8>, edits: Vec<(usize, usize, Vec<u8>)>) -> Vec<u8> {
        for (at, length, new) in edits {
            let at = at.min(value.len());
            let end = (at + length).min(value.len());
            value.splice(at..end, new);
        }
        value
    }

    fn expect_round_trip(base: &[u8], value: &[u8]) -> usize {
        let patch = diff(base, value, usize::MAX).expect("without a limit");
        assert_eq!(apply(base, &patch, value.len()).as_deref(), Some(value));
        // Every run but the last copies enough to pay for itself.
        assert!(patch.len() <= value.len() + RUN_HEAD);
        patch.len()
    }

    proptest! {
        #[test]
        fn a_patch_makes_the_value_of_its_base(base in any_value(), value in any_value()) {
            expect_round_trip(&base, &value);
        }

        #[test]
        fn a_patch_of_an_edited_value_holds_little_but_the_new_bytes(
            seed: u64,
            length in 0..5000_usize,
            edits in edits(),
        ) {
            let base = bytes(seed, length);
            // A block that shares its slot with an earlier one is not found, and the search takes larger
            // steps meanwhile.
            let missed = 12 * BLOCK;
            let most = |(_, _, new): &(usize, usize, Vec<u8>)| new.len() + RUN_HEAD + missed;
            let most = edits.iter().map(most).sum::<usize>() + RUN_HEAD + missed;
            let value = edited(base.clone(), edits);
            prop_assert!(expect_round_trip(&base, &value) <= most);
        }

        #[test]
        fn nothing_above_the_limit_is_made(seed: u64, edits in edits(), most in 0..1500_usize) {
            let base = bytes(seed, 3000);
            let value = edited(base.clone(), edits);
            let whole = diff(&base, &value, usize::MAX).expect("without a limit");
            let limited = diff(&base, &value, most);
            // The search gives up when there are too many new bytes, though a later match might
            // still cover the last of them.
            let slack = 20 * BLOCK;
            match limited {
                Some(limited) => prop_assert!(limited.len() <= most && limited == whole),
                None => prop_assert!(whole.len() + slack > most),
            }
        }

        #[test]
        fn an_invalid_patch_makes_nothing_or_a_value_of_its_length(
            patch in proptest::collection::vec(any::<u8>(), 0..40),
            fields in proptest::collection::vec(0..40_u32, 0..10),
            length in 0..100_usize,
        ) {
            let fields: Vec<u8> = fields.into_iter().flat_map(u32::to_le_bytes).collect();
            for patch in [patch, fields] {
                if let Some(value) = apply(&[7; 30], &patch, length) {
                    prop_assert_eq!(value.len(), length);
                }
            }
        }
    }

    /// With each append the list of commits moves up by one, and its first entry changes.
    #[test]
    fn bytes_that_moved_within_the_value_are_found() {
        let (front, list) = (bytes(1, 60), bytes(2, 9 * 72));
        let (middle, tail) = (bytes(3, 40), bytes(4, 8000));
        let value = |moved: usize, appended: usize| {
            let counter = [moved as u8; 6];
            let list = &list[moved * 9..][..9 * 64];
            let tail = &tail[..appended];
            [&front, &counter[..], list, &middle, &counter, tail].concat()
        };
        let patch = expect_round_trip(&value(0, 5000), &value(8, 5000 + 8 * 256));
        assert!(patch <= 8 * (9 + 256) + 6 * RUN_HEAD + BLOCK, "{patch}");
    }

    /// Every byte could begin a copy here. A search that tries all of them would not end today.
    #[test]
    fn long_repetitive_values_are_searched_quickly_and_kept_whole() {
        let short_of_a_copy: Vec<u8> = (0..4 << 20).map(|at| u8::from(at % 20 == 0)).collect();
        let other: Vec<u8> = (0..4 << 20).map(|at| u8::from(at % 21 == 0)).collect();
        for (base, value) in [
            (&short_of_a_copy, &other),
            (&other, &short_of_a_copy),
            (&short_of_a_copy, &vec![0; 4 << 20]),
        ] {
            expect_round_trip(base, value);
        }
    }
}
