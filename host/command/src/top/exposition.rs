//! Metrics in Prometheus' text format.

use std::collections::HashMap;

/// Begin of the names of the server's metrics.
const PREFIX: &str = "durable_streams_";

/// One series of a metric.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    labels: Vec<(String, String)>,
    value: f64,
}

impl Series {
    /// Value of a label, or an empty text.
    pub(crate) fn label(&self, name: &str) -> &str {
        let found = self.labels.iter().find(|(label, _)| label == name);
        found.map_or("", |(_, value)| value)
    }

    pub(crate) const fn value(&self) -> f64 {
        self.value
    }
}

/// All series of one scrape, by the name of the metric without `durable_streams_`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scrape {
    series: HashMap<String, Vec<Series>>,
}

impl Scrape {
    /// Parses a scrape. Returns `None` if it has no metric of this server.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut scrape = Self::default();
        for (name, series) in text.lines().filter_map(line) {
            if let Some(name) = name.strip_prefix(PREFIX) {
                scrape
                    .series
                    .entry(name.to_owned())
                    .or_default()
                    .push(series);
            }
        }
        (!scrape.series.is_empty()).then_some(scrape)
    }

    /// The series of a metric.
    pub(crate) fn series(&self, name: &str) -> &[Series] {
        self.series.get(name).map_or(&[], Vec::as_slice)
    }

    /// Sum of the series that `wants` selects.
    pub(crate) fn sum(&self, name: &str, wants: impl Fn(&Series) -> bool) -> f64 {
        let series = self.series(name).iter().filter(|series| wants(series));
        // The sum of nothing is -0.0, which would be printed.
        series
            .map(Series::value)
            .fold(0.0, |sum, value| sum + value)
    }

    /// Sum of all series of a metric, or `None` if the server does not have it.
    pub(crate) fn total(&self, name: &str) -> Option<f64> {
        (!self.series(name).is_empty()).then(|| self.sum(name, |_| true))
    }
}

/// Parses a line, such as `name{label="value"} 1.5`. Comments are none.
fn line(text: &str) -> Option<(&str, Series)> {
    let end = text.find(['{', ' '])?;
    let (name, rest) = text.split_at_checked(end)?;
    if name.is_empty() || name.starts_with('#') {
        return None;
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    // A time stamp may follow.
    let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
    Some((name, Series { labels, value }))
}

/// Parses labels up to the closing brace, and returns the rest of the line.
fn labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = quoted.char_indices();
        let end = loop {
            match characters.next()? {
                (at, '"') => break at,
                (_, '\\') => value.push(match characters.next()?.1 {
                    'n' => '\n',
                    escaped => escaped,
                }),
                (_, character) => value.push(character),
            }
        };
        labels.push((name.to_owned(), value));
        rest = quoted.get(end..)?.strip_prefix('"')?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_labels_and_values_are_parsed() {
        let text = concat!(
            "# HELP durable_streams_a Help with {braces} 1\n",
            "# TYPE durable_streams_a counter\n",
            "durable_streams_a{x=\"1\",y=\"a\\\"}\\n\\\\\"} 2.5 1700000000\n",
            "durable_streams_a{x=\"2\",} 1e3\n",
            "durable_streams_b +Inf\n",
            "other_c 7\n",
            "durable_streams_broken{x=\"1} 2\n",
        );
        let scrape = Scrape::parse(text).unwrap();
        assert_eq!(scrape.series("a")[0].label("y"), "a\"}\n\\");
        assert_eq!(scrape.sum("a", |series| series.label("x") == "1"), 2.5);
        assert_eq!(scrape.total("a"), Some(1002.5));
        assert_eq!(scrape.total("b"), Some(f64::INFINITY));
        assert_eq!(scrape.total("c"), None);
        assert_eq!(scrape.total("broken"), None);
    }

    #[test]
    fn a_text_without_metrics_of_the_server_is_no_scrape() {
        for text in ["", "<html> not found", "go_goroutines 7\n", "{} 1"] {
            assert!(Scrape::parse(text).is_none(), "{text:?}");
        }
    }
}
