//! Kinds of faults, their rates, and their counts.

use kv_model::{Fault as StoreFault, Random, Rates as StoreRates};
use std::fmt;
use std::ops::AddAssign;

macro_rules! faults {
    ($($(#[doc = $doc:literal])+ $name:ident),+ $(,)?) => {
        /// A fault of the world around the store; [`StoreFault`] has the faults of its operations.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Fault {
            $($(#[doc = $doc])+ $name),+
        }

        impl Fault {
            const NAMES: &'static [&'static str] = &[$(stringify!($name)),+];
        }

        const KINDS: usize = Fault::NAMES.len();
    };
}

faults! {
    /// The store refuses all operations or all writes for a while. Some writes arrive afterwards.
    Outage,
    /// An operation is slow.
    Slow,
    /// An instance stands still for longer than the patience of creators.
    Freeze,
    /// An instance crashes before an operation arrives.
    CrashBefore,
    /// An instance crashes after an operation was done, before it gets the result.
    CrashAfter,
    /// An instance crashes between steps.
    Crash,
    /// An instance is asked to end, and ends.
    Drain,
    /// All instances crash, and changes that were not durable are lost.
    PowerFailure,
    /// A sync fails, and changes that were not durable are lost.
    Loss,
    /// A clock jumps.
    ClockJump,
    /// A clock leaps a day ahead, and is corrected after a while.
    ClockLeap,
    /// All instances stop, and the store goes back to an older state.
    Restore,
    /// A response gets lost.
    Disconnect,
    /// A client does not wait for the answer.
    ClientTimeout,
}

/// Counts of faults that were injected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Injected {
    store: [u64; StoreFault::ALL.len()],
    world: [u64; KINDS],
}

impl Injected {
    pub(crate) const fn add(&mut self, fault: Fault) {
        self.world[fault as usize] += 1;
    }

    pub(crate) const fn add_of_store(&mut self, fault: StoreFault) {
        self.store[fault as usize] += 1;
    }

    /// Each kind with its count.
    fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let store = StoreFault::ALL.iter().map(|fault| fault.name());
        let world = Fault::NAMES.iter().copied();
        let names = store.zip(self.store).chain(world.zip(self.world));
        names.filter(|(name, count)| *count > 0 || Fault::NAMES.contains(name))
    }

    /// Sum of all counts.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts().map(|(_, count)| count).sum()
    }
}

impl AddAssign for Injected {
    fn add_assign(&mut self, other: Self) {
        let store = self.store.iter_mut().zip(other.store);
        let world = self.world.iter_mut().zip(other.world);
        store.chain(world).for_each(|(sum, one)| *sum += one);
    }
}

impl fmt::Display for Injected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in self.counts() {
            writeln!(f, "  {name:<14} {count:>9}")?;
        }
        Ok(())
    }
}

/// Chances in thousandths of all operations, unless noted otherwise.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rates {
    pub(crate) store: StoreRates,
    pub(crate) slow: u64,
    pub(crate) freeze: u64,
    pub(crate) crash: u64,
    /// Of all requests.
    pub(crate) disconnect: u64,
    pub(crate) timeout: u64,
    /// Of all syncs.
    pub(crate) loss: u64,
    /// Average milliseconds between two of these faults; 0 for never.
    pub(crate) node_crash_ms: u64,
    pub(crate) drain_ms: u64,
    pub(crate) power_ms: u64,
    pub(crate) jump_ms: u64,
    pub(crate) leap_ms: u64,
    pub(crate) storm_ms: u64,
    pub(crate) outage_ms: u64,
}

impl Rates {
    /// Some runs have no faults, some have few of all kinds, and some have many of few kinds.
    pub(crate) fn draw(random: &mut Random) -> Self {
        let mut rates = Self::default();
        let style = random.below(8);
        if style == 0 {
            return rates;
        }
        let few = style < 4;
        let mut some = |most: u64| match few {
            true => random.below(most / 4 + 1),
            false if random.chance(450) => random.range(most / 4, most),
            false => 0,
        };
        rates.store.before = some(40);
        rates.store.after = some(40);
        rates.store.late = some(60);
        rates.store.full = some(20);
        rates.slow = some(20);
        rates.freeze = some(80);
        rates.crash = some(8);
        rates.disconnect = some(80);
        rates.timeout = some(100);
        rates.loss = some(80);
        let mut every = |least: u64, most: u64| match random.chance(if few { 300 } else { 450 }) {
            true => random.range(least, most),
            false => 0,
        };
        rates.node_crash_ms = every(500, 20_000);
        rates.drain_ms = every(500, 20_000);
        rates.power_ms = every(2_000, 30_000);
        rates.jump_ms = every(200, 20_000);
        rates.leap_ms = every(2_000, 20_000);
        rates.storm_ms = every(1_000, 10_000);
        rates.outage_ms = every(1_000, 20_000);
        rates
    }
}
