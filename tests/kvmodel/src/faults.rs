//! Faults: failures that strike single operations, by rates and a seed.

use crate::Random;

/// Kind of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// It changes nothing.
    Read,
    /// A set, a deletion or an increment.
    Write,
    /// A compare-and-swap.
    Swap,
}

macro_rules! faults {
    ($($(#[doc = $doc:literal])+ $name:ident: $rate:ident),+ $(,)?) => {
        /// Failure of one operation.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Fault {
            $($(#[doc = $doc])+ $name),+
        }

        impl Fault {
            /// All faults.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Name of the fault.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name)),+
                }
            }
        }

        /// Number of operations of 1000 that each fault strikes.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Rates {
            $(
                #[doc = concat!("Rate of [`Fault::", stringify!($name), "`].")]
                pub $rate: u64
            ),+
        }

        impl Rates {
            const fn of(&self, fault: Fault) -> u64 {
                match fault {
                    $(Fault::$name => self.$rate),+
                }
            }
        }
    };
}

faults! {
    /// An error, and nothing was done: the request did not reach the store. A refused connection;
    /// SQLite with `database is locked`.
    Before: before,
    /// An error, though the operation was done: its answer was lost. Redis and DynamoDB after a
    /// connection breaks between a command and its reply.
    After: after,
    /// An error after a wait, and nothing was done. Redis that is stopped or fails over.
    TimeOutBefore: time_out_before,
    /// An error after a wait, though the operation was done. Redis behind a slow network.
    TimeOutAfter: time_out_after,
    /// An error, and the write is applied later, after other writes. Redis executes a command that
    /// was sent before the client gave up waiting.
    Late: late,
    /// An error: the store has no room, and nothing was done. Redis at `maxmemory` (`OOM command
    /// not allowed`), SQLite with `DiskFull`, the host's file store on a full disk.
    Full: full,
    /// An error: the store takes no writes now, and nothing was done. The host's file store after
    /// a failed write.
    Refused: refused,
    /// A swap is reported as failed and was not applied, though the key did not change. The host's
    /// memory store, for an absent key of a shard in which another key was deleted.
    Conflict: conflict,
    /// A swap is reported as failed, though it was applied. Spin on Redis does so always; a client
    /// that repeats a conditional write finds its own first write in the way.
    Denied: denied,
}

impl Fault {
    /// Whether the fault may strike an operation of this kind.
    #[must_use]
    pub const fn strikes(self, call: Call) -> bool {
        match self {
            Self::Before | Self::After | Self::TimeOutBefore | Self::TimeOutAfter => true,
            Self::Late | Self::Full | Self::Refused => matches!(call, Call::Write | Call::Swap),
            Self::Conflict | Self::Denied => matches!(call, Call::Swap),
        }
    }

    /// Whether the store does the operation before the caller learns of the fault.
    #[must_use]
    pub const fn applies(self) -> bool {
        matches!(self, Self::After | Self::TimeOutAfter | Self::Denied)
    }
}

impl Rates {
    /// Draws the fault of one operation; none if it succeeds. One number is drawn for every
    /// operation.
    pub fn draw(&self, call: Call, random: &mut Random) -> Option<Fault> {
        let mut luck = random.below(1000);
        let possible = Fault::ALL.iter().filter(|fault| fault.strikes(call));
        for fault in possible {
            match luck.checked_sub(self.of(*fault)) {
                None => return Some(*fault),
                Some(rest) => luck = rest,
            }
        }
        None
    }
}

/// Failure of all operations, or of all writes, for a while.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Outage {
    /// The store can't be reached. Redis during a failover.
    #[default]
    All,
    /// Writes get no answer. DynamoDB that throttles the writes of a partition.
    Writes,
    /// Writes find no room. A full disk until space is freed.
    Room,
}

impl Outage {
    /// The fault of an operation during the outage.
    #[must_use]
    pub const fn fault(self, call: Call) -> Option<Fault> {
        match (self, call) {
            (Self::All, _) => Some(Fault::Before),
            (_, Call::Read) => None,
            (Self::Writes, _) => Some(Fault::Before),
            (Self::Room, _) => Some(Fault::Full),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Rates = Rates {
        before: 10,
        after: 20,
        time_out_before: 30,
        time_out_after: 40,
        late: 50,
        full: 60,
        refused: 70,
        conflict: 80,
        denied: 90,
    };

    fn history(seed: u64, call: Call) -> Vec<Option<Fault>> {
        let mut random = Random::new(seed);
        (0..100_000).map(|_| ALL.draw(call, &mut random)).collect()
    }

    #[test]
    fn a_seed_is_one_history_and_another_seed_another() {
        assert_eq!(history(7, Call::Swap), history(7, Call::Swap));
        assert_ne!(history(7, Call::Swap), history(8, Call::Swap));
    }

    #[test]
    fn every_fault_strikes_as_often_as_its_rate_says_and_only_where_it_may() {
        for call in [Call::Read, Call::Write, Call::Swap] {
            let history = history(3, call);
            for fault in Fault::ALL {
                let struck = history.iter().filter(|struck| **struck == Some(*fault));
                let (count, rate) = (struck.count() as u64 / 100, ALL.of(*fault));
                let expected = if fault.strikes(call) { rate } else { 0 };
                let near = count.abs_diff(expected) <= expected / 4;
                assert!(near, "{call:?}: {fault:?} struck {count} of 1000");
            }
        }
    }

    #[test]
    fn an_outage_of_writes_lets_reads_through() {
        assert_eq!(Outage::All.fault(Call::Read), Some(Fault::Before));
        assert_eq!(Outage::Writes.fault(Call::Read), None);
        assert_eq!(Outage::Writes.fault(Call::Swap), Some(Fault::Before));
        assert_eq!(Outage::Room.fault(Call::Write), Some(Fault::Full));
    }
}
