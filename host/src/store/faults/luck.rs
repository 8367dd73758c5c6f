//! What goes wrong next.

/// How many operations of 1000 end in each way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rates {
    before: u64,
    after: u64,
    late: u64,
    time_out: u64,
    full: u64,
    /// Of swaps alone.
    conflict: u64,
}

/// A small append is two operations, so most succeed and a few in a hundred need another try.
pub(super) const INJECTED: Rates = Rates {
    before: 10,
    after: 10,
    late: 10,
    time_out: 4,
    full: 2,
    conflict: 20,
};

/// A late write lands with the operation after it or one of so many more.
const OVERTAKING: u64 = 32;

/// What kind of operation it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Read,
    Write,
    Swap,
}

/// What becomes of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing goes wrong.
    None,
    /// An error, and no effect.
    Before,
    /// The effect, and an error.
    After,
    /// An error, and the effect with the so manieth operation from here.
    Late { after: u64 },
    /// An error after a while, with the effect or without.
    TimeOut { applied: bool },
    /// No room, and no effect.
    Full,
    /// A swap is said to have failed, whether it was applied or not even tried.
    Conflict { applied: bool },
}

/// Draws from a SplitMix64 generator.
#[derive(Debug)]
pub(super) struct Luck {
    random: u64,
    rates: Rates,
}

impl Luck {
    pub(super) const fn new(seed: u64, rates: Rates) -> Self {
        Self {
            random: seed,
            rates,
        }
    }

    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.random;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Two numbers are drawn for every operation, whatever it is, so that histories with the same
    /// seed stay alike for long.
    pub(super) fn draw(&mut self, call: Call) -> Fault {
        let (luck, more) = (self.next() % 1000, self.next());
        let coin = more.is_multiple_of(2);
        let after = 1 + (more >> 1) % OVERTAKING;
        let fates = [
            (self.rates.before, Fault::Before),
            (self.rates.time_out, Fault::TimeOut { applied: coin }),
            (self.rates.after, Fault::After),
            (self.rates.late, Fault::Late { after }),
            (self.rates.full, Fault::Full),
            (self.rates.conflict, Fault::Conflict { applied: coin }),
        ];
        let possible = match call {
            Call::Read => 2,
            Call::Write => 5,
            Call::Swap => 6,
        };
        let mut end = 0;
        for (rate, fault) in fates.into_iter().take(possible) {
            end += rate;
            if luck < end {
                return fault;
            }
        }
        Fault::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(seed: u64, call: Call) -> Vec<Fault> {
        let mut luck = Luck::new(seed, INJECTED);
        (0..100_000).map(|_| luck.draw(call)).collect()
    }

    #[test]
    fn a_seed_is_one_history_and_another_seed_another() {
        assert_eq!(history(7, Call::Swap), history(7, Call::Swap));
        assert_ne!(history(7, Call::Swap), history(8, Call::Swap));
    }

    /// How many of 1000 operations of `call` meet a fault that `is` one.
    fn rate(call: Call, is: impl Fn(Fault) -> bool) -> u64 {
        let met = history(3, call).into_iter().filter(|fault| is(*fault));
        met.count() as u64 / 100
    }

    #[test]
    fn every_fault_comes_about_as_often_as_its_rate_says() {
        let near = |count: u64, rate: u64| count.abs_diff(rate) <= 1 + rate / 4;
        for call in [Call::Write, Call::Swap] {
            let rate = |is: fn(Fault) -> bool| rate(call, is);
            assert!(near(rate(|fault| fault == Fault::Before), INJECTED.before));
            assert!(near(rate(|fault| fault == Fault::After), INJECTED.after));
            assert!(near(rate(|fault| fault == Fault::Full), INJECTED.full));
            let late = rate(|fault| matches!(fault, Fault::Late { .. }));
            assert!(near(late, INJECTED.late));
        }
        for applied in [true, false] {
            let timed_out = rate(Call::Swap, |fault| fault == Fault::TimeOut { applied });
            assert!(near(timed_out, INJECTED.time_out / 2));
            let conflict = rate(Call::Swap, |fault| fault == Fault::Conflict { applied });
            assert!(near(conflict, INJECTED.conflict / 2));
        }
    }

    #[test]
    fn only_what_has_an_effect_can_be_late_or_without_room_and_only_a_swap_in_conflict() {
        let conflict = |fault| matches!(fault, Fault::Conflict { .. });
        assert_eq!(rate(Call::Write, conflict), 0);
        let harmless =
            |fault: &Fault| matches!(fault, Fault::None | Fault::Before | Fault::TimeOut { .. });
        assert!(history(5, Call::Read).iter().all(harmless));
    }
}
