//! Planted bugs, which the checker has to find. They are in the simulated store, driver and
//! network, so that the service itself is always the real one.

use crate::plan::Plan;
use crate::store::Kind;

macro_rules! planted {
    ($($(#[doc = $doc:literal])+ $name:ident),+ $(,)?) => {
        /// A planted bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Planted {
            $($(#[doc = $doc])+ $name),+
        }

        impl Planted {
            /// All planted bugs.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];
        }
    };
}

planted! {
    /// A driver starts an append again that is already done.
    AppendStartedTwice,
    /// A producer's retry reaches the server without its number.
    ProducerNotKnown,
    /// A store reports a swapped head, and forgets it.
    SwapNotApplied,
    /// A store swaps a head without comparing it.
    SwapOverwrites,
    /// A store reports a stored chunk, and forgets it.
    ChunkNotStored,
    /// Answers leave before the changes they depend on are durable.
    AnswersTooEarly,
    /// A driver notes the change number after the step instead of before it.
    WakeMissed,
    /// Creation is unguarded on a store that overwrites in swaps of absent keys.
    CreationNotGuarded,
    /// A read is answered from the memory of the instance.
    ReadFromMemory,
    /// A close is acknowledged and not done.
    CloseForgotten,
    /// A deletion leaves nothing, so that a new life repeats the same offsets.
    TombstoneForgotten,
    /// A follower gets an event twice.
    EventTwice,
    /// Instances draw the same random numbers.
    RandomRepeats,
    /// An append that was done is answered as refused.
    RefusedThoughDone,
    /// Producers are forgotten long before their time.
    ProducersForgotten,
    /// Streams expire before their time.
    ExpiresEarly,
    /// A fork is not counted by its source: the bytes they share are removed early.
    ForkNotCounted,
    /// A fork is counted twice: its source is never removed.
    ForkCountedTwice,
    /// A fork that leaves stays counted.
    ForkStaysCounted,
    /// A fork goes live though its source has given it up, as after a creator that is too slow.
    ForkGivenUp,
    /// A fork is made at the tail, and its place is ignored.
    ForkOffsetForgotten,
    /// The initial body of a fork is dropped.
    ForkBodyForgotten,
    /// A store reports a changed subscription, and forgets the change.
    WakeForgotten,
    /// A store goes back to an older state without a new timeline.
    TimelineNotRaised,
    /// A head forgets on which timelines its segments were written.
    TimelinesForgotten,
    /// An offset is always taken for one of the newest timeline.
    TimelineNotCompared,
    /// A read renews the lease of the writer.
    LeaseRenewedByReader,
    /// A duplicate of an append renews the lease.
    LeaseRenewedByDuplicate,
    /// An append or a heartbeat is done, and the renewal of the lease is forgotten.
    RenewalForgotten,
    /// An append ends the lease of its stream.
    LeaseForgotten,
    /// A lease lapses at its end, without the time for clocks that differ.
    LeaseSkewIgnored,
    /// An append judges the lease by a clock that is a minute slow.
    LapseIgnoredByAppends,
    /// The close of a lapsed lease is answered, and not stored.
    LapseNotCommitted,
    /// The close of a lapsed lease overwrites a head that was read long before.
    LapseOverwrites,
    /// A second close overwrites the reason of the first one.
    ReasonOverwritten,
    /// A conditional append reaches the server without its condition.
    ConditionForgotten,
}

impl Planted {
    /// Makes it likely that the bug has an effect.
    pub(crate) fn adapt(self, plan: &mut Plan) {
        plan.restored = false;
        let mut set = |name: &str, value: &str| {
            for (known, place) in &mut plan.variables {
                if *known == name {
                    value.clone_into(place);
                }
            }
        };
        match self {
            Self::AnswersTooEarly => {
                plan.rates.loss = plan.rates.loss.max(50);
                plan.kind = Kind::Files;
                set("kv_guarded_create", "true");
            }
            Self::CreationNotGuarded => {
                plan.kind = Kind::SpinSqlite;
                set("kv_guarded_create", "true");
            }
            Self::WakeMissed => {
                plan.kind = Kind::Guarded;
                plan.poll_ms = 0;
                set("kv_guarded_create", "true");
            }
            Self::ForkNotCounted
            | Self::ForkCountedTwice
            | Self::ForkStaysCounted
            | Self::ForkGivenUp
            | Self::ForkOffsetForgotten
            | Self::ForkBodyForgotten => plan.forks = true,
            Self::TimelineNotRaised | Self::TimelinesForgotten | Self::TimelineNotCompared => {
                (plan.restored, plan.subscribed) = (true, false);
            }
            Self::WakeForgotten => {
                plan.subscribed = true;
                set("max_stream_bytes", "0");
            }
            Self::LeaseRenewedByReader
            | Self::LeaseRenewedByDuplicate
            | Self::RenewalForgotten
            | Self::LeaseForgotten
            | Self::LeaseSkewIgnored
            | Self::LapseIgnoredByAppends
            | Self::LapseNotCommitted
            | Self::LapseOverwrites
            | Self::ReasonOverwritten
            | Self::ConditionForgotten => {
                (plan.leases, plan.keepers) = (true, 3);
                // Clocks that differ by more promise nothing about leases.
                plan.skew_ms = 5_000;
                plan.rates.leap_ms = 0;
                set("lease_skew_ms", "5000");
            }
            Self::ProducersForgotten => {
                plan.forgetful = false;
                plan.clients = 10;
                set("max_producers", "1");
                set("producer_idle_secs", "1");
            }
            _ => {}
        }
    }
}
