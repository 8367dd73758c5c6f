//! Writes that arrive late.

use crate::Random;

/// Writes that were answered with an error and are still under way.
#[derive(Debug)]
pub struct LateWrites<W> {
    /// Most operations that overtake a write.
    longest: u64,
    /// The writes, each with the number of operations until it arrives.
    under_way: Vec<(u64, W)>,
}

impl<W> LateWrites<W> {
    /// No writes. A pushed write arrives with one of the next `longest` operations.
    #[must_use]
    pub const fn new(longest: u64) -> Self {
        Self {
            longest,
            under_way: Vec::new(),
        }
    }

    /// Adds a write that is under way.
    pub fn push(&mut self, write: W, random: &mut Random) {
        let after = random.range(1, self.longest);
        self.under_way.push((after, write));
    }

    /// Counts one operation, and returns the writes that arrive before it.
    pub fn pass(&mut self) -> Vec<W> {
        for (after, _) in &mut self.under_way {
            *after = after.saturating_sub(1);
        }
        let due = self.under_way.extract_if(.., |(after, _)| *after == 0);
        due.map(|(_, write)| write).collect()
    }

    /// All writes that are under way. They arrive now.
    pub fn land(&mut self) -> Vec<W> {
        let all = self.under_way.drain(..);
        all.map(|(_, write)| write).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_write_arrives_once_within_the_operations_that_overtake_it() {
        let (mut late, mut random) = (LateWrites::new(4), Random::new(1));
        (0..100).for_each(|write| late.push(write, &mut random));
        let mut arrived: Vec<_> = (0..4).flat_map(|_| late.pass()).collect();
        arrived.sort_unstable();
        assert_eq!(arrived, (0..100).collect::<Vec<_>>());
        late.push(7, &mut random);
        assert_eq!((late.land(), late.land()), (vec![7], vec![]));
    }
}
