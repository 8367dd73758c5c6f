//! Formats of counters.

use bytes::Bytes;

/// Format in which a store keeps counters among its other values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counters {
    /// Eight bytes, little-endian; sums wrap. Spin on SQLite, which panics at any other value and
    /// thereby loses its connection.
    LittleEndian,
    /// Decimal digits; sums are checked. Spin on Redis (`INCRBY`) and on DynamoDB.
    Decimal,
}

/// Reason why an increment changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CounterError {
    /// The store's text.
    pub why: &'static str,
    /// Whether the store answers no later operation.
    pub ends_the_store: bool,
}

impl Counters {
    /// Sum of a counter with this value and `delta`; an absent counter is 0.
    ///
    /// # Errors
    ///
    /// The value is not a counter, or the sum does not fit in 64 bits.
    pub fn add(self, value: Option<&[u8]>, delta: i64) -> Result<i64, CounterError> {
        let error = |why, ends_the_store| CounterError {
            why,
            ends_the_store,
        };
        let Some(value) = value else { return Ok(delta) };
        match self {
            Self::LittleEndian => match value.try_into() {
                Ok(bytes) => Ok(i64::from_le_bytes(bytes).wrapping_add(delta)),
                Err(_) => Err(error("incorrect length", true)),
            },
            Self::Decimal => {
                let count = std::str::from_utf8(value).ok();
                let count = count.and_then(|text| text.parse::<i64>().ok());
                let count =
                    count.ok_or_else(|| error("value is not an integer or out of range", false))?;
                count
                    .checked_add(delta)
                    .ok_or_else(|| error("increment or decrement would overflow", false))
            }
        }
    }

    /// Value of a counter with this sum.
    #[must_use]
    pub fn encode(self, sum: i64) -> Bytes {
        match self {
            Self::LittleEndian => Bytes::copy_from_slice(&sum.to_le_bytes()),
            Self::Decimal => sum.to_string().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_reads_back_its_own_sums() {
        for counters in [Counters::LittleEndian, Counters::Decimal] {
            for sum in [0, 258, -12, i64::MAX, i64::MIN] {
                assert_eq!(counters.add(Some(&counters.encode(sum)), 0), Ok(sum));
            }
            assert_eq!(counters.add(None, 7), Ok(7));
        }
        assert_eq!(&*Counters::Decimal.encode(-12), b"-12");
        assert_eq!(
            &*Counters::LittleEndian.encode(258),
            [2, 1, 0, 0, 0, 0, 0, 0]
        );
    }

    #[test]
    fn a_value_that_is_no_counter_ends_only_spin_on_sqlite() {
        for (counters, ends) in [(Counters::LittleEndian, true), (Counters::Decimal, false)] {
            let error = counters.add(Some(b"no counter"), 1);
            assert_eq!(error.map_err(|error| error.ends_the_store), Err(ends));
        }
    }

    #[test]
    fn sums_of_decimals_are_checked_and_others_wrap() {
        let most = |counters: Counters| counters.add(Some(&counters.encode(i64::MAX)), 1);
        assert!(most(Counters::Decimal).is_err());
        assert_eq!(most(Counters::LittleEndian), Ok(i64::MIN));
    }
}
