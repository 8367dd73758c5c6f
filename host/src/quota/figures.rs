//! Usage for operators: pages as JSON, and figures for metrics.

use super::keeper::Quota;
use super::refusal::Limit;
use super::rule::Limits;
use super::table::Counts;
use crate::meters::{
    Metric, PREFIX_BYTES, PREFIX_LIMIT, PREFIX_READERS, PREFIX_REFUSED, PREFIX_STREAMS,
};
use durable_streams_edge::protocol::request::parameter;
use serde_json::{Value, json};

/// Prefixes of a page, unless the request says otherwise, and at most.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;

/// The value of a metric for one prefix.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) metric: Metric,
    /// Values of its labels.
    pub(crate) labels: Vec<String>,
    pub(crate) value: u64,
}

impl Limits {
    /// The number of a limit, if it is set.
    fn of(self, limit: Limit) -> Option<u64> {
        match limit {
            Limit::Streams => self.streams,
            Limit::Bytes => self.bytes,
            Limit::Requests => self.requests.map(|requests| u64::from(requests.get())),
            Limit::Readers => self.readers,
        }
    }
}

impl Quota {
    /// Figures of the prefixes that rules name, and of the rule for all others.
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        for (place, rule) in self.rules().iter().enumerate() {
            let mut add = |metric: Metric, limit: Option<Limit>, value| {
                let mut labels = vec![rule.prefix_text().to_owned()];
                labels.extend(limit.map(|limit| limit.name().to_owned()));
                figures.push(Figure {
                    metric,
                    labels,
                    value,
                });
            };
            for limit in Limit::ALL {
                if let Some(number) = rule.limits.of(limit) {
                    add(PREFIX_LIMIT, Some(limit), number);
                    add(PREFIX_REFUSED, Some(limit), self.refused(place, limit));
                }
            }
            let Some(prefix) = &rule.prefix else {
                continue;
            };
            add(PREFIX_READERS, None, self.readers().of(prefix));
            if let Some(counts) = self.counter().and_then(|counter| counter.of(prefix)) {
                add(PREFIX_STREAMS, None, counts.streams());
                add(PREFIX_BYTES, None, counts.bytes());
            }
        }
        figures
    }

    /// A page of prefixes with their usage and limits, as JSON. `query` may have `after`, the last
    /// prefix of the page before, and `limit`, the most prefixes of this page.
    ///
    /// # Errors
    ///
    /// The explanation of an invalid parameter.
    pub(crate) fn usage(&self, query: &str) -> Result<Value, String> {
        let after = parameter(query, "after").unwrap_or_default();
        let most = match parameter(query, "limit") {
            None => PAGE,
            Some(text) => {
                let number = text.parse().ok();
                let number = number.filter(|number| (1..=LARGEST_PAGE).contains(number));
                number.ok_or_else(|| {
                    format!("The parameter limit must be a whole number from 1 to {LARGEST_PAGE}.")
                })?
            }
        };
        let Some(counter) = self.counter() else {
            return Err(
                "Without a registry of names the server does not count streams. Set the \
                        variable registry to true."
                    .to_owned(),
            );
        };
        let (mut page, rest) = counter.page(&after, most.saturating_add(1));
        let has_more = page.len() > most;
        page.truncate(most);
        let next = page.last().filter(|_| has_more);
        let next = next.map(|(prefix, _)| prefix.clone());
        let entries = page
            .iter()
            .map(|(prefix, counts)| self.entry(prefix, *counts));
        let entries: Vec<_> = entries.collect();
        Ok(json!({
            "complete": counter.is_whole(),
            "prefixes": entries,
            "uncounted": { "streams": rest.streams(), "bytes": rest.bytes() },
            "next": next,
        }))
    }

    fn entry(&self, prefix: &str, counts: Counts) -> Value {
        let scope = self.rules().scope_of_prefix(prefix);
        let limits = scope.map(|scope| self.rules().limits(scope.rule));
        let limit = |limit| limits.and_then(|limits| limits.of(limit));
        json!({
            "prefix": prefix,
            "streams": { "used": counts.streams(), "limit": limit(Limit::Streams) },
            "bytes": { "used": counts.bytes(), "limit": limit(Limit::Bytes) },
            "requests": { "limit": limit(Limit::Requests) },
            "readers": { "used": self.readers().of(prefix), "limit": limit(Limit::Readers) },
        })
    }
}
