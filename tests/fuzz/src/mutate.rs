//! Inputs made from other inputs, by a seed: for runs without a fuzzer.

/// Makes new inputs from a corpus.
#[derive(Debug)]
pub struct Mutator {
    state: u64,
}

/// Longer inputs find no more, and are slow.
const MOST_BYTES: usize = 2_048;

impl Mutator {
    /// Creates a mutator. The same seed makes the same inputs.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// A mutation of inputs of the corpus.
    pub fn input(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let any = |mutator: &mut Self| {
            let number = mutator.below(corpus.len());
            corpus.get(number).cloned().unwrap_or_default()
        };
        let mut input = any(self);
        for _ in 0..=self.below(6) {
            let at = self.below(input.len().saturating_add(1));
            let end = at.saturating_add(self.below(16)).min(input.len());
            match self.below(6) {
                0 => drop(input.drain(at..end)),
                1 => {
                    let new: Vec<u8> = (0..self.below(8)).map(|_| self.next() as u8).collect();
                    input.splice(at..at, new);
                }
                2 => {
                    if let Some(byte) = input.get_mut(at) {
                        *byte ^= 1 << (self.next() % 8);
                    }
                }
                3 => {
                    if let Some(byte) = input.get_mut(at) {
                        *byte = [0, 1, 0x7f, 0x80, 0xff, b'\r', b'\n', b'"'][self.below(8)];
                    }
                }
                4 => {
                    let part = input.get(at..end).unwrap_or_default().to_vec();
                    input.splice(at..at, part);
                }
                _ => {
                    let other = any(self);
                    let from = self.below(other.len().saturating_add(1));
                    input.truncate(at);
                    input.extend(other.into_iter().skip(from));
                }
            }
        }
        input.truncate(MOST_BYTES);
        input
    }
}
