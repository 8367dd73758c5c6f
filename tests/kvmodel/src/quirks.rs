//! Quirks: habits of a store that hold for every operation.

use crate::Counters;
use bytes::Bytes;

/// A key as a caller saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The value; none if the key was absent.
    pub value: Option<Bytes>,
    /// Number of the key's last change.
    pub changed: u64,
}

/// Property that a swap compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// The version: a swap fails after any write, also one that wrote the same value. Redis
    /// (`WATCH`) and the host's own stores.
    Version,
    /// The value: a swap succeeds after the value went away and came back (ABA). Spin on SQLite
    /// (`UPDATE .. WHERE value = ..`).
    Value,
}

/// Answer of a swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The answer is true.
    True,
    /// Every swap is reported as failed, the applied ones too. Spin on Redis: it sends `UNWATCH`
    /// with an argument after the transaction, and Redis refuses that command.
    Failed,
    /// Every error is reported as a failed swap. Spin on DynamoDB.
    ErrorsAsFailed,
}

/// Quirks of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quirks {
    /// Property that a swap compares.
    pub compare: Comparison,
    /// Whether a swap of a key that was absent overwrites a value that another caller wrote since.
    /// Spin on SQLite (`INSERT .. ON CONFLICT DO UPDATE`): two creators both succeed.
    pub absent_swap_overwrites: bool,
    /// Answer of a swap.
    pub answer: Answer,
    /// Format of counters.
    pub counters: Counters,
    /// Number of operations for which a plain read may still return a replaced value. Spin on
    /// DynamoDB unless `consistent_read` is set. A swap and its own read never lag.
    pub lag: u64,
    /// Whether every label opens the same bucket. Spin on Redis and on DynamoDB.
    pub one_bucket: bool,
}

impl Quirks {
    /// A true compare-and-swap: the host's own stores.
    pub const NONE: Self = Self {
        compare: Comparison::Version,
        absent_swap_overwrites: false,
        answer: Answer::True,
        counters: Counters::LittleEndian,
        lag: 0,
        one_bucket: false,
    };

    /// A compare-and-swap of values, also of absent keys.
    pub const BY_VALUE: Self = Self {
        compare: Comparison::Value,
        ..Self::NONE
    };

    /// Spin on SQLite.
    pub const SPIN_SQLITE: Self = Self {
        compare: Comparison::Value,
        absent_swap_overwrites: true,
        ..Self::NONE
    };

    /// Spin on Redis.
    pub const SPIN_REDIS: Self = Self {
        answer: Answer::Failed,
        counters: Counters::Decimal,
        one_bucket: true,
        ..Self::NONE
    };

    /// Spin on DynamoDB with `consistent_read`.
    pub const SPIN_DYNAMODB: Self = Self {
        answer: Answer::ErrorsAsFailed,
        counters: Counters::Decimal,
        one_bucket: true,
        ..Self::NONE
    };

    /// The same store with plain reads that lag for `operations`.
    #[must_use]
    pub const fn lagging(self, operations: u64) -> Self {
        Self {
            lag: operations,
            ..self
        }
    }

    /// Whether a creator that succeeds with its swap of an absent key is the only one, and learns
    /// of its success.
    #[must_use]
    pub const fn guards_creation(&self) -> bool {
        !self.absent_swap_overwrites && !matches!(self.answer, Answer::Failed)
    }

    /// Whether a swap that is reported as failed was certainly not applied.
    #[must_use]
    pub const fn is_sure_of_conflicts(&self) -> bool {
        matches!(self.answer, Answer::True)
    }

    /// Whether a swap of a key that was `seen` is applied to a key that is like `now`.
    #[must_use]
    pub fn applies(&self, seen: &Seen, now: &Seen) -> bool {
        if self.absent_swap_overwrites && seen.value.is_none() {
            return true;
        }
        match self.compare {
            Comparison::Version => seen.changed == now.changed,
            Comparison::Value => seen.value == now.value,
        }
    }

    /// Answer of a swap with this outcome; `conflict` makes the error of a failed swap.
    ///
    /// # Errors
    ///
    /// The outcome's own error, or that of a failed swap: see [`Answer`].
    pub fn answer<T, E>(
        &self,
        outcome: Result<T, E>,
        conflict: impl FnOnce() -> E,
    ) -> Result<T, E> {
        match self.answer {
            Answer::True => outcome,
            Answer::Failed => Err(conflict()),
            Answer::ErrorsAsFailed => outcome.map_err(|_| conflict()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(value: Option<&'static str>, changed: u64) -> Seen {
        let value = value.map(|text| Bytes::from_static(text.as_bytes()));
        Seen { value, changed }
    }

    #[test]
    fn a_restored_value_passes_only_a_comparison_of_values() {
        let (before, after) = (seen(Some("a"), 1), seen(Some("a"), 3));
        for (quirks, applied) in [
            (Quirks::NONE, false),
            (Quirks::SPIN_REDIS, false),
            (Quirks::SPIN_DYNAMODB, false),
            (Quirks::BY_VALUE, true),
            (Quirks::SPIN_SQLITE, true),
        ] {
            assert_eq!(quirks.applies(&before, &after), applied, "{quirks:?}");
            assert!(quirks.applies(&before, &before), "{quirks:?}");
        }
    }

    #[test]
    fn only_spin_on_sqlite_overwrites_a_key_that_was_absent() {
        let (before, after) = (seen(None, 0), seen(Some("theirs"), 1));
        for quirks in [Quirks::NONE, Quirks::BY_VALUE, Quirks::SPIN_REDIS] {
            assert!(!quirks.applies(&before, &after), "{quirks:?}");
            assert!(quirks.applies(&before, &before), "{quirks:?}");
        }
        assert!(Quirks::SPIN_SQLITE.applies(&before, &after));
    }

    #[test]
    fn the_answer_of_a_swap_hides_success_on_redis_and_errors_on_dynamodb() {
        for (quirks, applied, failed) in [
            (Quirks::NONE, Ok(1), Err("broken")),
            (Quirks::SPIN_REDIS, Err("conflict"), Err("conflict")),
            (Quirks::SPIN_DYNAMODB, Ok(1), Err("conflict")),
        ] {
            assert_eq!(quirks.answer(Ok(1), || "conflict"), applied);
            assert_eq!(quirks.answer(Err::<u8, _>("broken"), || "conflict"), failed);
        }
    }
}
