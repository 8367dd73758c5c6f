//! The figures of one interval.

use super::exposition::Series;
use super::units::{bytes, duration, percent, rate};
use super::window::Window;
use serde::Serialize;

/// Operations in the order of the view.
const OPERATIONS: [&str; 10] = [
    "append",
    "create",
    "read",
    "long_poll",
    "sse",
    "head",
    "delete",
    "control",
    "probe",
    "other",
];

/// Figures of the server. A figure that the server lacks is absent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Figures {
    /// Version of the server.
    pub(crate) version: Option<String>,
    /// Seconds since the start.
    pub(crate) up_seconds: Option<f64>,
    /// Operations with requests since the start.
    pub(crate) operations: Vec<Operation>,
    pub(crate) received_bytes_per_second: f64,
    pub(crate) sent_bytes_per_second: f64,
    /// Live reads under way.
    pub(crate) readers: Readers,
    /// Open connections of the main listener, and its places.
    pub(crate) connections: f64,
    pub(crate) connection_places: f64,
    pub(crate) store: Store,
    pub(crate) background: Background,
    pub(crate) process: Process,
}

/// Requests of one operation. Times end with the head of the response.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Operation {
    pub(crate) operation: &'static str,
    pub(crate) per_second: f64,
    /// Responses with a status of 500 or above.
    pub(crate) errors_per_second: f64,
    /// Responses with a status of 400 to 499.
    pub(crate) refused_per_second: f64,
    pub(crate) p50_seconds: Option<f64>,
    pub(crate) p99_seconds: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Readers {
    pub(crate) long_poll: f64,
    pub(crate) sse: f64,
}

/// The store. Only the file store has figures of the log and the disk.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Store {
    pub(crate) timeline: Option<f64>,
    pub(crate) is_writable: bool,
    pub(crate) losses: Option<f64>,
    pub(crate) damages: Option<f64>,
    pub(crate) log_bytes: Option<f64>,
    pub(crate) log_live_bytes: Option<f64>,
    pub(crate) disk_free_bytes: Option<f64>,
    pub(crate) is_disk_full: bool,
    pub(crate) sync_p99_seconds: Option<f64>,
    pub(crate) call_p99_seconds: Option<f64>,
    /// Hits of the cache as a part of its reads, since the start.
    pub(crate) cache_hit_ratio: Option<f64>,
}

/// Background work. Only with `--via exchange`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Background {
    /// Age of the backlog.
    pub(crate) behind_seconds: Option<f64>,
    /// Steps that wait for an instance.
    pub(crate) queued_steps: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Process {
    /// Processors in use.
    pub(crate) cpus: f64,
    pub(crate) resident_bytes: Option<f64>,
    pub(crate) open_files: Option<f64>,
}

fn is_class(series: &Series, class: char) -> bool {
    series.label("status").starts_with(class)
}

impl Figures {
    /// Computes the figures of a window.
    pub(crate) fn of(window: &Window<'_>, now_seconds: f64) -> Self {
        let after = window.after;
        let is_main = |series: &Series| series.label("listener") == "main";
        let readers = |mode: &str| after.sum("live_readers", |one| one.label("mode") == mode);
        let build = after.series("build_info").first();
        Self {
            version: build.map(|series| series.label("version").to_owned()),
            up_seconds: after
                .total("process_start_time_seconds")
                .map(|start| (now_seconds - start).max(0.0)),
            operations: operations(window),
            received_bytes_per_second: window.rate("received_bytes_total", is_main),
            sent_bytes_per_second: window.rate("sent_bytes_total", is_main),
            readers: Readers {
                long_poll: readers("long_poll"),
                sse: readers("sse"),
            },
            connections: after.sum("connections", is_main),
            connection_places: after.sum("connection_places", is_main),
            store: store(window),
            background: Background {
                behind_seconds: after.total("background_behind_seconds"),
                queued_steps: after.total("queued_steps"),
            },
            process: Process {
                cpus: window.rate("process_cpu_seconds_total", |_| true),
                resident_bytes: after.total("process_resident_memory_bytes"),
                open_files: after.total("process_open_fds"),
            },
        }
    }

    /// Requests a second of all operations.
    pub(crate) fn per_second(&self) -> f64 {
        self.operations.iter().map(|one| one.per_second).sum()
    }

    /// Errors a second of all operations.
    pub(crate) fn errors_per_second(&self) -> f64 {
        self.operations
            .iter()
            .map(|one| one.errors_per_second)
            .sum()
    }
}

fn operations(window: &Window<'_>) -> Vec<Operation> {
    let operation = |operation: &'static str| {
        let is_own = |series: &Series| series.label("operation") == operation;
        let requests = |class: Option<char>| {
            window.rate("requests_total", |one| {
                is_own(one) && class.is_none_or(|class| is_class(one, class))
            })
        };
        let quantile = |part| window.quantile(part, "request_duration_seconds", is_own);
        let has_requests = window.after.sum("requests_total", is_own) > 0.0;
        has_requests.then(|| Operation {
            operation,
            per_second: requests(None),
            errors_per_second: requests(Some('5')),
            refused_per_second: requests(Some('4')),
            p50_seconds: quantile(0.5),
            p99_seconds: quantile(0.99),
        })
    };
    OPERATIONS.into_iter().filter_map(operation).collect()
}

fn store(window: &Window<'_>) -> Store {
    let after = window.after;
    let hits = after.total("cache_hits_total");
    let misses = after.total("cache_misses_total");
    let reads = hits.zip(misses).map(|(hits, misses)| hits + misses);
    let quantile = |name| window.quantile(0.99, name, |_| true);
    Store {
        timeline: after.total("store_timeline"),
        is_writable: after.total("store_writable") != Some(0.0),
        losses: after.total("store_losses_total"),
        damages: after.total("log_damage_total"),
        log_bytes: after.total("log_bytes"),
        log_live_bytes: after.total("log_live_bytes"),
        disk_free_bytes: after.total("disk_free_bytes"),
        is_disk_full: after.total("disk_full").is_some_and(|full| full > 0.0),
        sync_p99_seconds: quantile("log_sync_duration_seconds"),
        call_p99_seconds: quantile("store_call_duration_seconds"),
        cache_hit_ratio: hits
            .zip(reads.filter(|reads| *reads > 0.0))
            .map(|(hits, reads)| hits / reads),
    }
}

/// A line of figures.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fact {
    pub(crate) title: &'static str,
    pub(crate) text: String,
    /// Whether an operator has to act.
    pub(crate) is_alarm: bool,
}

/// The figures that fit no table.
pub(crate) fn summary(figures: &Figures) -> Vec<Fact> {
    let Figures {
        store, background, ..
    } = figures;
    let load = format!(
        "{} requests/s, {} errors/s, in {}/s, out {}/s",
        rate(figures.per_second()),
        rate(figures.errors_per_second()),
        bytes(figures.received_bytes_per_second),
        bytes(figures.sent_bytes_per_second),
    );
    let readers = format!(
        "{:.0} by SSE, {:.0} by long-poll; {:.0} of {:.0} connections",
        figures.readers.sse,
        figures.readers.long_poll,
        figures.connections,
        figures.connection_places,
    );
    let process = format!(
        "{:.2} CPUs, {} memory, {:.0} open files",
        figures.process.cpus,
        bytes(figures.process.resident_bytes.unwrap_or_default()),
        figures.process.open_files.unwrap_or_default(),
    );
    let is_bad = |count: Option<f64>| count.is_some_and(|count| count > 0.0);
    let is_store_bad = !store.is_writable || is_bad(store.losses) || is_bad(store.damages);
    let facts = [
        ("load", load, figures.errors_per_second() > 0.0),
        ("readers", readers, false),
        ("store", store_line(store), is_store_bad),
        ("disk", disk_line(store), store.is_disk_full),
        ("background", background_line(background), false),
        ("process", process, false),
    ];
    let facts = facts.into_iter().map(|(title, text, is_alarm)| Fact {
        title,
        text,
        is_alarm,
    });
    facts.collect()
}

fn store_line(store: &Store) -> String {
    let mut parts = vec![match store.is_writable {
        true => "writable".to_owned(),
        false => "refuses writes until a restart".to_owned(),
    }];
    parts.extend(store.timeline.map(|number| format!("timeline {number:.0}")));
    let p99 = |name: &str, time: Option<f64>| {
        time.map(|time| format!("p99 of {name} {}", duration(Some(time))))
    };
    parts.extend(p99("calls", store.call_p99_seconds));
    parts.extend(p99("syncs", store.sync_p99_seconds));
    let bad = |name: &str, count: Option<f64>| {
        count
            .filter(|count| *count > 0.0)
            .map(|count| format!("{count:.0} {name}"))
    };
    parts.extend(bad("losses", store.losses));
    parts.extend(bad("damaged records", store.damages));
    parts.join(", ")
}

fn disk_line(store: &Store) -> String {
    let (Some(log), Some(live)) = (store.log_bytes, store.log_live_bytes) else {
        return "this store has no files".to_owned();
    };
    let mut parts = vec![format!("log {}, in use {}", bytes(log), bytes(live))];
    parts.extend(
        store
            .disk_free_bytes
            .map(|free| format!("free {}", bytes(free))),
    );
    if store.is_disk_full {
        parts.push("full: only deletions are accepted".to_owned());
    }
    let hits = store.cache_hit_ratio;
    parts.extend(hits.map(|part| format!("cache hits {}", percent(part))));
    parts.join(", ")
}

fn background_line(background: &Background) -> String {
    let backlog = match background.behind_seconds {
        None => return "not measured by this server".to_owned(),
        Some(behind) if behind < 1.0 => "no backlog".to_owned(),
        Some(behind) => format!("backlog for {}", duration(Some(behind))),
    };
    let queued = background.queued_steps.unwrap_or_default();
    format!("{backlog}, {queued:.0} queued steps")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::top::exposition::Scrape;
    use std::time::Duration;

    /// Figures of a file store under load.
    pub(crate) fn sample() -> Figures {
        let before = "durable_streams_requests_total{operation=\"append\",status=\"200\"} 10\n";
        let after = concat!(
            "durable_streams_build_info{version=\"1.2.3\"} 1\n",
            "durable_streams_requests_total{operation=\"append\",status=\"200\"} 30\n",
            "durable_streams_requests_total{operation=\"append\",status=\"503\"} 4\n",
            "durable_streams_request_duration_seconds_bucket{operation=\"append\",le=\"0.01\"} 24\n",
            "durable_streams_request_duration_seconds_bucket{operation=\"append\",le=\"+Inf\"} 24\n",
            "durable_streams_request_duration_seconds_count{operation=\"append\"} 24\n",
            "durable_streams_live_readers{mode=\"sse\"} 3\n",
            "durable_streams_connections{listener=\"main\"} 5\n",
            "durable_streams_connections{listener=\"admin\"} 1\n",
            "durable_streams_connection_places{listener=\"main\"} 1024\n",
            "durable_streams_store_writable 0\n",
            "durable_streams_log_bytes 2048\n",
            "durable_streams_log_live_bytes 1024\n",
            "durable_streams_disk_full 1\n",
            "durable_streams_cache_hits_total 3\n",
            "durable_streams_cache_misses_total 1\n",
            "durable_streams_background_behind_seconds 12\n",
            "durable_streams_process_start_time_seconds 100\n",
        );
        let (before, after) = (Scrape::parse(before), Scrape::parse(after));
        let (before, after) = (before.unwrap(), after.unwrap());
        let window = Window::new(&before, &after, Duration::from_secs(2));
        Figures::of(&window, 160.0)
    }

    #[test]
    fn figures_are_computed_from_a_window() {
        let figures = sample();
        let append = &figures.operations[0];
        assert_eq!(figures.operations.len(), 1);
        assert_eq!((append.operation, append.per_second), ("append", 12.0));
        assert_eq!(append.errors_per_second, 2.0);
        assert_eq!(append.p50_seconds, Some(0.005));
        assert_eq!(figures.up_seconds, Some(60.0));
        assert_eq!((figures.readers.sse, figures.connections), (3.0, 5.0));
        assert_eq!(figures.store.cache_hit_ratio, Some(0.75));
        assert_eq!(figures.version.as_deref(), Some("1.2.3"));
    }

    #[test]
    fn the_summary_names_what_is_wrong() {
        let lines = summary(&sample());
        let line = |title: &str| {
            let fact = lines.iter().find(|fact| fact.title == title).unwrap();
            (fact.text.as_str(), fact.is_alarm)
        };
        assert!(line("store").0.starts_with("refuses writes"));
        assert!(line("disk").0.contains("full: only deletions"));
        assert!(line("load").0.starts_with("12 requests/s, 2.0 errors/s"));
        assert!(line("store").1 && line("disk").1 && line("load").1);
        let backlog = "backlog for 12.0 s, 0 queued steps";
        assert_eq!(line("background"), (backlog, false));
    }

    #[test]
    fn a_store_without_files_says_so() {
        let scrape = Scrape::parse("durable_streams_store_writable 1\n").unwrap();
        let window = Window::new(&scrape, &scrape, Duration::from_secs(1));
        let lines = summary(&Figures::of(&window, 0.0));
        let texts: Vec<&str> = lines.iter().map(|fact| fact.text.as_str()).collect();
        for text in [
            "writable",
            "this store has no files",
            "not measured by this server",
        ] {
            assert!(texts.contains(&text), "{text}: {texts:?}");
        }
        assert!(!lines.iter().any(|fact| fact.is_alarm));
    }
}
