//! The table at the end of a test run.

use super::tally::Tally;
use std::fmt;
use std::time::Duration;

/// Counts and times of tiers.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<(&'static str, Tally, Duration)>,
}

impl Table {
    /// Adds the result of a tier.
    pub(super) fn add(&mut self, tier: &'static str, tally: Tally, time: Duration) {
        self.rows.push((tier, tally, time));
    }

    /// The counts of all tiers.
    pub(super) fn sum(&self) -> Tally {
        let mut sum = Tally::default();
        for (_, tally, _) in &self.rows {
            sum += *tally;
        }
        sum
    }
}

/// The table, and below it the sum in the form of [`Tally`].
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "tier          passed  failed  skipped      time")?;
        for (tier, tally, time) in &self.rows {
            let Tally {
                passed,
                failed,
                skipped,
            } = tally;
            let (minutes, seconds) = (time.as_secs() / 60, time.as_secs() % 60);
            writeln!(
                f,
                "{tier:<12} {passed:>7} {failed:>7} {skipped:>8} {minutes:>3} min {seconds:>02} s"
            )?;
        }
        write!(f, "{}", self.sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tier_has_a_row_and_the_sum_ends_the_table() {
        let mut table = Table::default();
        let tally = Tally {
            passed: 12,
            failed: 0,
            skipped: 3,
        };
        table.add("unit", tally, Duration::from_secs(65));
        table.add("http", Tally::ONE_PASSED, Duration::from_secs(5));
        let text = table.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[1],
            "unit              12       0        3   1 min 05 s"
        );
        assert_eq!(lines[3], "13 passed, 0 failed, 3 skipped");
    }
}
