//! Rates and quantiles between two scrapes.

use super::exposition::{Scrape, Series};
use std::time::Duration;

/// Two scrapes of one server, and the time between them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window<'a> {
    before: &'a Scrape,
    pub(crate) after: &'a Scrape,
    seconds: f64,
}

impl<'a> Window<'a> {
    pub(crate) fn new(before: &'a Scrape, after: &'a Scrape, time: Duration) -> Self {
        Self {
            before,
            after,
            seconds: time.as_secs_f64(),
        }
    }

    /// Growth of a counter. A counter that fell began anew, since the server restarted.
    pub(crate) fn growth(&self, name: &str, wants: impl Fn(&Series) -> bool) -> f64 {
        let (before, after) = (self.before.sum(name, &wants), self.after.sum(name, &wants));
        match after < before {
            true => after,
            false => after - before,
        }
    }

    /// Growth of a counter a second.
    pub(crate) fn rate(&self, name: &str, wants: impl Fn(&Series) -> bool) -> f64 {
        match self.seconds > 0.0 {
            true => self.growth(name, wants) / self.seconds,
            false => 0.0,
        }
    }

    /// Upper bounds of a histogram in order, and how much the counts up to them grew.
    fn buckets(&self, name: &str, wants: impl Fn(&Series) -> bool) -> Vec<(f64, f64)> {
        let count = format!("{name}_count");
        let is_new = self.after.sum(&count, &wants) < self.before.sum(&count, &wants);
        let name = format!("{name}_bucket");
        let mut bounds: Vec<f64> = Vec::new();
        for series in self.after.series(&name).iter().filter(|one| wants(one)) {
            if let Ok(bound) = series.label("le").parse()
                && !bounds.contains(&bound)
            {
                bounds.push(bound);
            }
        }
        bounds.sort_by(f64::total_cmp);
        let grown = |bound: f64| {
            let is_bound = |one: &Series| one.label("le").parse() == Ok(bound) && wants(one);
            let after = self.after.sum(&name, is_bound);
            match is_new {
                true => after,
                false => after - self.before.sum(&name, is_bound),
            }
        };
        bounds
            .into_iter()
            .map(|bound| (bound, grown(bound)))
            .collect()
    }

    /// A quantile of the durations of the window in seconds, as Prometheus estimates it. `None` if
    /// there was no duration.
    pub(crate) fn quantile(
        &self,
        part: f64,
        name: &str,
        wants: impl Fn(&Series) -> bool,
    ) -> Option<f64> {
        let buckets = self.buckets(name, wants);
        let &(_, total) = buckets.last()?;
        if total <= 0.0 {
            return None;
        }
        let rank = part * total;
        let (mut low, mut below) = (0.0, 0.0);
        for (bound, count) in buckets {
            if count >= rank {
                // The last bucket has no upper bound.
                return Some(match bound.is_finite() && count > below {
                    true => low + (bound - low) * ((rank - below) / (count - below)),
                    false => low,
                });
            }
            (low, below) = (bound, count);
        }
        Some(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrape(counts: [u32; 3]) -> Scrape {
        let [low, middle, all] = counts;
        let text = format!(
            "durable_streams_t_bucket{{le=\"0.1\"}} {low}\n\
             durable_streams_t_bucket{{le=\"0.5\"}} {middle}\n\
             durable_streams_t_bucket{{le=\"+Inf\"}} {all}\n\
             durable_streams_t_count {all}\n"
        );
        Scrape::parse(&text).unwrap()
    }

    fn near(one: Option<f64>, other: f64) -> bool {
        one.is_some_and(|one| (one - other).abs() < 1e-9)
    }

    #[test]
    fn quantiles_are_those_of_the_window_only() {
        let (before, after) = (scrape([1_000, 1_000, 1_000]), scrape([1_010, 1_020, 1_020]));
        let window = Window::new(&before, &after, Duration::from_secs(2));
        assert!(near(window.quantile(0.25, "t", |_| true), 0.05));
        assert!(near(window.quantile(0.75, "t", |_| true), 0.3));
        assert_eq!(window.rate("t_count", |_| true), 10.0);
    }

    #[test]
    fn beyond_the_last_bound_the_quantile_is_that_bound() {
        let (before, after) = (scrape([0, 0, 0]), scrape([0, 0, 5]));
        let window = Window::new(&before, &after, Duration::from_secs(1));
        assert!(near(window.quantile(0.5, "t", |_| true), 0.5));
    }

    #[test]
    fn a_restarted_server_counts_from_zero() {
        let (before, after) = (scrape([900, 900, 900]), scrape([4, 4, 4]));
        let window = Window::new(&before, &after, Duration::from_secs(2));
        assert_eq!(window.rate("t_count", |_| true), 2.0);
        assert!(near(window.quantile(0.5, "t", |_| true), 0.05));
    }

    #[test]
    fn without_a_duration_there_is_no_quantile() {
        let same = scrape([3, 3, 3]);
        let window = Window::new(&same, &same, Duration::ZERO);
        assert_eq!(window.quantile(0.5, "t", |_| true), None);
        assert_eq!(window.quantile(0.5, "other", |_| true), None);
        assert_eq!(window.rate("t_count", |_| true), 0.0);
    }
}
