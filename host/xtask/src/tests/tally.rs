//! Counts of passed, failed and skipped tests.

use crate::failure::Failure;
use std::fmt;
use std::ops::AddAssign;

/// Numbers of tests by result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
}

impl Tally {
    pub(super) const ONE_PASSED: Self = Self {
        passed: 1,
        failed: 0,
        skipped: 0,
    };

    /// Parses the line that ends one binary's tests under `cargo test`.
    fn of_cargo(line: &str) -> Option<Self> {
        let counts = line.strip_prefix("test result: ")?;
        let (_, counts) = counts.split_once(". ")?;
        let mut tally = Self::default();
        for count in counts.split(';') {
            let mut words = count.split_whitespace();
            match (
                words.next().and_then(|word| word.parse().ok()),
                words.next(),
            ) {
                (Some(number), Some("passed")) => tally.passed = number,
                (Some(number), Some("failed")) => tally.failed = number,
                (Some(number), Some("ignored")) => tally.skipped = number,
                _ => {}
            }
        }
        Some(tally)
    }

    /// Parses the line that ends one of our scripts, in the format of `Display`.
    pub(super) fn of_script(line: &str) -> Option<Self> {
        let mut numbers = [0; 3];
        let mut parts = line.split(", ");
        for (number, name) in numbers.iter_mut().zip(["passed", "failed", "skipped"]) {
            let digits = parts.next()?.strip_suffix(name)?.strip_suffix(' ')?;
            *number = digits.parse().ok()?;
        }
        let [passed, failed, skipped] = numbers;
        parts.next().is_none().then_some(Self {
            passed,
            failed,
            skipped,
        })
    }
}

/// Parser of the output of `cargo test -- --show-output`. A test without its preconditions passes,
/// and prints a line of its own: `skipped: ` with the reason, or `elsewhere: ` if another run of
/// the same tests covers it. Neither counts as passed.
#[derive(Debug, Default)]
pub(super) struct CargoOutput {
    skipped: u64,
    elsewhere: u64,
}

impl CargoOutput {
    /// Parses a line. Returns the counts of one binary's tests at its last line.
    pub(super) fn read(&mut self, line: &str) -> Option<Tally> {
        if line.starts_with("skipped: ") {
            self.skipped += 1;
        } else if line.starts_with("elsewhere: ") {
            self.elsewhere += 1;
        }
        let mut tally = Tally::of_cargo(line)?;
        let Self { skipped, elsewhere } = std::mem::take(self);
        tally.passed = tally.passed.saturating_sub(skipped + elsewhere);
        tally.skipped += skipped;
        Some(tally)
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

/// Result of one tier.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) tally: Tally,
    /// Reason that the tier stopped, if the counts don't show it.
    pub(super) failure: Option<Failure>,
}

impl Outcome {
    pub(super) fn failed(&self) -> bool {
        self.failure.is_some() || self.tally.failed > 0
    }

    /// Adds a step that counts as one test. Returns whether to continue.
    pub(super) fn gate(&mut self, step: Result<(), Failure>) -> bool {
        match step {
            Ok(()) => self.tally += Tally::ONE_PASSED,
            Err(failure) => {
                self.tally.failed += 1;
                self.failure = Some(failure);
            }
        }
        !self.failed()
    }

    /// Adds a step that tests depend on, without counting its success. Returns whether to continue.
    pub(super) fn needs(&mut self, step: Result<(), Failure>) -> bool {
        match step {
            Ok(()) => true,
            Err(failure) => self.gate(Err(failure)),
        }
    }

    /// Adds a run of counted tests, successful or not. Returns whether to continue.
    pub(super) fn counted(&mut self, run: Result<(bool, Tally), Failure>) -> bool {
        match run {
            Ok((true, tally)) => self.tally += tally,
            Ok((false, mut tally)) => {
                // The run failed without a failed test: it did not compile, or it crashed.
                if tally.failed == 0 {
                    tally.failed = 1;
                }
                self.tally += tally;
            }
            Err(failure) => return self.gate(Err(failure)),
        }
        !self.failed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_cargo_are_read() {
        let line = "test result: FAILED. 12 passed; 3 failed; 4 ignored; 0 measured; 7 filtered \
                    out; finished in 0.01s";
        let tally = Tally {
            passed: 12,
            failed: 3,
            skipped: 4,
        };
        assert_eq!(Tally::of_cargo(line), Some(tally));
        assert_eq!(Tally::of_cargo("test passed ... ok"), None);
    }

    /// Without Redis its tests counted as passed.
    #[test]
    fn a_test_that_says_that_it_was_skipped_did_not_pass() {
        let mut output = CargoOutput::default();
        let lines = [
            "---- a stdout ----",
            "skipped: no redis",
            "elsewhere: over files",
        ];
        assert!(lines.iter().all(|line| output.read(line).is_none()));
        let end = "test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        for expected in [
            "3 passed, 0 failed, 1 skipped",
            "5 passed, 0 failed, 0 skipped",
        ] {
            let tally = output.read(end).map(|tally| tally.to_string());
            assert_eq!(tally.as_deref(), Some(expected));
        }
    }

    #[test]
    fn the_counts_of_a_script_have_the_form_that_we_print() {
        let tally = Tally {
            passed: 250,
            failed: 0,
            skipped: 88,
        };
        assert_eq!(tally.to_string(), "250 passed, 0 failed, 88 skipped");
        assert_eq!(Tally::of_script(&tally.to_string()), Some(tally));
        assert_eq!(Tally::of_script("1 passed, 2 failed"), None);
        assert_eq!(
            Tally::of_script("1 passed, 2 failed, 3 skipped, 4 lost"),
            None
        );
    }

    #[test]
    fn a_run_that_ends_badly_without_a_failed_test_counts_as_one_failure() {
        let mut outcome = Outcome::default();
        assert!(!outcome.counted(Ok((false, Tally::ONE_PASSED))));
        assert_eq!(outcome.tally.to_string(), "1 passed, 1 failed, 0 skipped");
    }
}
