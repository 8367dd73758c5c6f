//! Latency histogram with three significant digits.

use std::time::Duration;

/// Significant decimal digits of a recorded latency.
const DIGITS: u8 = 3;

/// Frequency of each latency, in nanoseconds.
#[derive(Debug, Clone)]
pub(crate) struct Histogram(hdrhistogram::Histogram<u64>);

impl Default for Histogram {
    fn default() -> Self {
        let counts = hdrhistogram::Histogram::new(DIGITS);
        Self(counts.expect("so many digits are supported"))
    }
}

impl Histogram {
    pub(crate) fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        let recorded = self.0.record(nanos);
        recorded.expect("it grows with its values");
    }

    /// Adds the records of another histogram.
    pub(crate) fn add(&mut self, other: &Self) {
        self.0 += &other.0;
    }

    /// The latency that `share` (0 to 1) of the records did not exceed, in microseconds; zero if
    /// the histogram is empty.
    pub(crate) fn quantile_us(&self, share: f64) -> f64 {
        us(self.0.value_at_quantile(share))
    }

    /// The mean in microseconds; zero if the histogram is empty.
    pub(crate) fn mean_us(&self) -> f64 {
        self.0.mean() / 1_000.0
    }

    pub(crate) fn max_us(&self) -> f64 {
        us(self.0.max())
    }
}

fn us(nanos: u64) -> f64 {
    nanos as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_values_in_microseconds() {
        let mut histogram = Histogram::default();
        for us in 1..=1_000 {
            histogram.record(Duration::from_micros(us));
        }
        let near = |is: f64, us: f64| (is / us - 1.0).abs() < 0.001;
        assert!(near(histogram.quantile_us(0.5), 500.0));
        assert!(near(histogram.quantile_us(0.99), 990.0));
        assert!(near(histogram.mean_us(), 500.5) && near(histogram.max_us(), 1_000.0));
    }

    #[test]
    fn the_figures_of_an_empty_one_are_zero() {
        let empty = Histogram::default();
        assert_eq!(
            [empty.quantile_us(0.5), empty.mean_us(), empty.max_us()],
            [0.0; 3]
        );
    }

    #[test]
    fn two_histograms_together_are_one_of_all_values() {
        let of = |range: std::ops::RangeInclusive<u64>| {
            let mut histogram = Histogram::default();
            range.for_each(|us| histogram.record(Duration::from_micros(us)));
            histogram
        };
        let (mut sum, all) = (of(1..=300), of(1..=1_000));
        sum.add(&of(301..=1_000));
        for share in [0.01, 0.5, 0.99, 1.0] {
            assert_eq!(sum.quantile_us(share), all.quantile_us(share));
        }
        assert_eq!(sum.mean_us(), all.mean_us());
    }

    #[test]
    fn no_latency_is_too_long() {
        let mut histogram = Histogram::default();
        for latency in [Duration::from_secs(3600), Duration::MAX] {
            histogram.record(latency);
        }
        assert!(histogram.quantile_us(0.5) >= 3.6e9 && histogram.max_us() > 1e15);
    }
}
