//! Reads the admin listener, again and again.

use super::exposition::Scrape;
use super::figures::Figures;
use super::window::Window;
use durable_streams_edge_client::{Client, Error, ListOptions, StreamEntry};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Most streams that are listed. The filter applies to these.
pub(crate) const MOST_STREAMS: usize = 10_000;

/// Streams of one page of the list.
const PAGE: u32 = 1_000;

/// Most prefixes that are read.
const PREFIXES: &str = "/debug/usage?limit=1000";

/// Pause between two lists.
const LIST_EVERY: Duration = Duration::from_secs(5);

/// Usage of one prefix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub(crate) prefix: String,
    pub(crate) streams: Amount,
    pub(crate) bytes: Amount,
    pub(crate) readers: Amount,
    /// Growth of the bytes since the sample before.
    #[serde(default)]
    pub(crate) bytes_per_second: f64,
}

/// An amount in use, and its limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Amount {
    #[serde(default)]
    pub(crate) used: f64,
    #[serde(default)]
    pub(crate) limit: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct UsagePage {
    prefixes: Vec<Usage>,
}

/// Listed streams.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Listed {
    pub(crate) streams: Vec<StreamEntry>,
    /// Whether these are all streams.
    pub(crate) is_complete: bool,
}

/// Result of one look at the server.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sample {
    /// Figures of the time since the look before. Absent in the first look, and from a server without
    /// metrics.
    pub(crate) figures: Option<Figures>,
    /// Prefixes, the busiest first. Absent from a server without limits per prefix.
    pub(crate) prefixes: Option<Vec<Usage>>,
    /// Absent from a server without lists.
    pub(crate) listed: Option<Listed>,
    /// Each part that could not be read, and why.
    pub(crate) problems: Vec<String>,
}

/// Reader of one admin listener.
#[derive(Debug)]
pub(crate) struct Poll {
    client: Client,
    admin: String,
    before: Option<(Scrape, Instant)>,
    usage: Option<(Vec<Usage>, Instant)>,
    listed: Option<(Result<Listed, String>, Instant)>,
    /// Whether no connection was possible at the last look.
    is_away: bool,
}

impl Poll {
    pub(crate) const fn new(client: Client, admin: String) -> Self {
        Self {
            client,
            admin,
            before: None,
            usage: None,
            listed: None,
            is_away: false,
        }
    }

    /// Looks at the server. A failure is a problem of the sample, so the next look may succeed.
    pub(crate) async fn look(&mut self) -> Sample {
        let mut sample = Sample::default();
        match self.figures().await {
            Ok(figures) => sample.figures = figures,
            Err(problem) => sample.problems.push(problem),
        }
        if self.is_away {
            return sample;
        }
        match self.prefixes().await {
            Ok(prefixes) => sample.prefixes = prefixes,
            Err(problem) => sample.problems.push(problem),
        }
        match self.listed().await {
            Ok(listed) => sample.listed = Some(listed),
            Err(problem) => sample.problems.push(problem),
        }
        sample.problems.dedup();
        sample
    }

    async fn figures(&mut self) -> Result<Option<Figures>, String> {
        let scraped = self.client.resource("/metrics").await;
        self.is_away = matches!(scraped, Err(Error::Unreachable { .. }));
        let text = match scraped {
            Ok(body) => String::from_utf8_lossy(&body).into_owned(),
            Err(error) if is_missing(&error) => String::new(),
            Err(error) => {
                self.before = None;
                return Err(error.to_string());
            }
        };
        let now = Instant::now();
        let Some(scrape) = Scrape::parse(&text) else {
            self.before = None;
            return Err(format!(
                "{} has no metrics, so load, times and the store are not shown. Give the address of \
                 the admin listener by --admin URL",
                self.admin
            ));
        };
        let figures = self.before.as_ref().map(|(before, then)| {
            let time = now.saturating_duration_since(*then);
            let unix = SystemTime::now().duration_since(UNIX_EPOCH);
            let unix = unix.map_or(0.0, |unix| unix.as_secs_f64());
            Figures::of(&Window::new(before, &scrape, time), unix)
        });
        self.before = Some((scrape, now));
        Ok(figures)
    }

    async fn prefixes(&mut self) -> Result<Option<Vec<Usage>>, String> {
        let body = match self.client.resource(PREFIXES).await {
            Ok(body) => body,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let page: Result<UsagePage, _> = serde_json::from_slice(&body);
        let mut prefixes = page
            .map_err(|error| format!("{PREFIXES}: {error}"))?
            .prefixes;
        let now = Instant::now();
        if let Some((before, then)) = &self.usage {
            let seconds = now.saturating_duration_since(*then).as_secs_f64();
            for one in &mut prefixes {
                let same = before.iter().find(|other| other.prefix == one.prefix);
                let grown = one.bytes.used - same.map_or(0.0, |other| other.bytes.used);
                one.bytes_per_second = grown.max(0.0) / seconds.max(1e-3);
            }
        }
        prefixes.sort_by(busiest_first);
        self.usage = Some((prefixes.clone(), now));
        Ok(Some(prefixes))
    }

    /// Lists the streams, or returns the list of before while it is new.
    async fn listed(&mut self) -> Result<Listed, String> {
        if let Some((listed, then)) = &self.listed
            && then.elapsed() < LIST_EVERY
        {
            return listed.clone();
        }
        let listed = list(&self.client).await.map_err(|error| match error {
            Error::Unsupported { .. } => format!("{} has no list of streams", self.admin),
            error => error.to_string(),
        });
        self.listed = Some((listed.clone(), Instant::now()));
        listed
    }
}

/// Order of prefixes: by growth, then by readers, then by size.
fn busiest_first(one: &Usage, other: &Usage) -> Ordering {
    let growth = other.bytes_per_second.total_cmp(&one.bytes_per_second);
    let readers = other.readers.used.total_cmp(&one.readers.used);
    let size = other.bytes.used.total_cmp(&one.bytes.used);
    growth.then(readers).then(size)
}

/// Whether the server does not have the resource. Other servers take its path for one of theirs.
fn is_missing(error: &Error) -> bool {
    match error {
        Error::NotFound(_) => true,
        Error::Refused(refusal) => matches!(refusal.status, 400 | 405 | 421 | 501),
        _ => false,
    }
}

async fn list(client: &Client) -> Result<Listed, Error> {
    let mut list = client.list(ListOptions {
        limit: Some(PAGE),
        ..ListOptions::default()
    });
    let mut streams = Vec::new();
    while let Some(page) = list.next().await {
        streams.extend(page?.streams);
        if streams.len() >= MOST_STREAMS {
            break;
        }
    }
    let is_complete = streams.len() < MOST_STREAMS;
    streams.truncate(MOST_STREAMS);
    streams.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Listed {
        streams,
        is_complete,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_prefix_is_the_one_that_grows() {
        let usage = |prefix: &str, bytes: f64, growth: f64| Usage {
            prefix: prefix.to_owned(),
            streams: Amount {
                used: 1.0,
                limit: None,
            },
            bytes: Amount {
                used: bytes,
                limit: None,
            },
            readers: Amount {
                used: 0.0,
                limit: None,
            },
            bytes_per_second: growth,
        };
        let (large, growing) = (usage("large", 1e12, 0.0), usage("growing", 10.0, 1.0));
        assert_eq!(busiest_first(&growing, &large), Ordering::Less);
        let empty = usage("empty", 0.0, 0.0);
        assert_eq!(busiest_first(&large, &empty), Ordering::Less);
    }

    #[test]
    fn usage_of_the_server_is_parsed() {
        let text = r#"{"complete":true,"next":null,"prefixes":[{"prefix":"a",
            "streams":{"used":12,"limit":1000},"bytes":{"used":48213},
            "requests":{"limit":100},"readers":{"used":3,"limit":null}}],
            "uncounted":{"streams":0,"bytes":0}}"#;
        let page: UsagePage = serde_json::from_str(text).unwrap();
        assert_eq!(page.prefixes[0].streams.limit, Some(1000.0));
        assert_eq!(page.prefixes[0].readers.used, 3.0);
    }
}
