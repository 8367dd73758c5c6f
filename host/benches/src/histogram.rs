//! Latencies, counted in buckets that are less than one percent wide.

use std::time::Duration;

/// Buckets for each doubling: the first that is wider than its value over this is never made.
const STEPS: u64 = 128;
const STEP_BITS: u32 = STEPS.ilog2();

/// How often each latency was seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    sum: u128,
    max: u64,
}

impl Histogram {
    pub(crate) fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        let bucket = bucket_of(nanos);
        if bucket >= self.buckets.len() {
            self.buckets.resize(bucket + 1, 0);
        }
        if let Some(seen) = self.buckets.get_mut(bucket) {
            *seen += 1;
        }
        self.count += 1;
        self.sum += u128::from(nanos);
        self.max = self.max.max(nanos);
    }

    /// Adds what another one recorded.
    pub(crate) fn add(&mut self, other: &Self) {
        if other.buckets.len() > self.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.max = self.max.max(other.max);
    }

    /// The latency that `share` (0 to 1) of those recorded did not exceed, in microseconds; zero if
    /// there is none.
    pub(crate) fn quantile_us(&self, share: f64) -> f64 {
        let wanted = (share * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return us(highest_of(bucket).min(self.max));
            }
        }
        us(self.max)
    }

    /// The mean in microseconds; zero if there is none.
    pub(crate) fn mean_us(&self) -> f64 {
        self.sum as f64 / 1_000.0 / self.count.max(1) as f64
    }

    pub(crate) fn max_us(&self) -> f64 {
        us(self.max)
    }
}

fn us(nanos: u64) -> f64 {
    nanos as f64 / 1_000.0
}

/// Values below `2 * STEPS` have a bucket each; above, every doubling has `STEPS`.
fn bucket_of(value: u64) -> usize {
    let shift = (value | STEPS).ilog2() - STEP_BITS;
    (u64::from(shift) * STEPS + (value >> shift)) as usize
}

/// The largest value of a bucket.
fn highest_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / STEPS).saturating_sub(1);
    let lowest = bucket - shift * STEPS;
    (((u128::from(lowest) + 1) << shift) - 1).min(u128::from(u64::MAX)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_values_and_is_narrow() {
        for value in (0..5_000).chain((12..64).map(|bits| (1_u64 << bits) - 1)) {
            let highest = highest_of(bucket_of(value));
            assert!(highest >= value);
            assert!(highest - value <= value / STEPS, "{value} to {highest}");
            assert_eq!(bucket_of(highest), bucket_of(value));
        }
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let mut histogram = Histogram::default();
        for us in 1..=1_000 {
            histogram.record(Duration::from_micros(us));
        }
        let near = |share: f64, us: f64| (histogram.quantile_us(share) / us - 1.0).abs() < 0.01;
        assert!(near(0.5, 500.0) && near(0.99, 990.0));
        assert_eq!(histogram.quantile_us(1.0), 1_000.0);
        assert_eq!(Histogram::default().quantile_us(0.5), 0.0);
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
}
