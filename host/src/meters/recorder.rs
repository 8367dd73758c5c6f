//! The recorder of a server's metrics.

use super::table::{BUILD_INFO, Kind, Metric, TABLE};
use metrics::{
    Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, with_local_recorder,
};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use metrics_process::Collector;
use std::sync::Arc;

const METADATA: Metadata<'static> =
    Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// The metrics of a server.
pub(crate) struct Meters {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    process: Collector,
}

impl Meters {
    /// Metrics without values.
    #[must_use]
    pub(crate) fn new() -> Arc<Self> {
        let mut builder = PrometheusBuilder::new();
        for metric in TABLE.iter().filter(|metric| metric.kind == Kind::Histogram) {
            let name = Matcher::Full(metric.name.to_owned());
            builder = builder
                .set_buckets_for_metric(name, metric.buckets)
                .expect("every histogram of the table has buckets");
        }
        let recorder = builder.build_recorder();
        for metric in TABLE {
            let (name, help) = (metric.name.into(), metric.help.into());
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, None, help),
                Kind::Gauge => recorder.describe_gauge(name, None, help),
                Kind::Histogram => recorder.describe_histogram(name, None, help),
            }
        }
        let process = Collector::new("durable_streams_");
        with_local_recorder(&recorder, || process.describe());
        let meters = Self {
            handle: recorder.handle(),
            recorder,
            process,
        };
        let version = env!("CARGO_PKG_VERSION");
        meters.gauge(&BUILD_INFO, &[version]).set(1.0);
        Arc::new(meters)
    }

    /// Returns the handle of a counter with these values of its labels.
    pub(crate) fn counter(&self, metric: &Metric, labels: &[&'static str]) -> Counter {
        self.recorder
            .register_counter(&key(metric, labels), &METADATA)
    }

    /// Sets a metric with values of labels that are known at run time only. The caller bounds their
    /// number.
    pub(crate) fn show(&self, metric: &Metric, labels: Vec<String>, value: u64) {
        debug_assert_eq!(metric.labels.len(), labels.len(), "{}", metric.name);
        let labels = metric.labels.iter().zip(labels);
        let labels: Vec<_> = labels
            .map(|(name, value)| Label::new(*name, value))
            .collect();
        let key = Key::from_parts(metric.name, labels);
        match metric.kind {
            Kind::Counter => {
                let counter = self.recorder.register_counter(&key, &METADATA);
                counter.absolute(value);
            }
            Kind::Gauge | Kind::Histogram => {
                let gauge = self.recorder.register_gauge(&key, &METADATA);
                gauge.set(value as f64);
            }
        }
    }

    /// Returns the handle of a gauge with these values of its labels.
    pub(crate) fn gauge(&self, metric: &Metric, labels: &[&'static str]) -> Gauge {
        self.recorder
            .register_gauge(&key(metric, labels), &METADATA)
    }

    /// Returns the handle of a histogram with these values of its labels.
    pub(crate) fn histogram(&self, metric: &Metric, labels: &[&'static str]) -> Histogram {
        self.recorder
            .register_histogram(&key(metric, labels), &METADATA)
    }

    /// Moves recorded durations into their buckets. Until then each takes memory, so this is called
    /// every few seconds even if no one asks for the metrics.
    pub(crate) fn fold(&self) {
        self.handle.run_upkeep();
    }

    /// All metrics in Prometheus' text format, version 0.0.4.
    pub(crate) fn render(&self) -> String {
        with_local_recorder(&self.recorder, || self.process.collect());
        self.handle.render()
    }
}

fn key(metric: &Metric, labels: &[&'static str]) -> Key {
    debug_assert_eq!(metric.labels.len(), labels.len(), "{}", metric.name);
    let labels = metric.labels.iter().zip(labels);
    let labels: Vec<_> = labels
        .map(|(name, value)| Label::new(*name, *value))
        .collect();
    Key::from_parts(metric.name, labels)
}

#[cfg(test)]
mod tests {
    use super::super::table::{CONNECTIONS, LOG_BYTES, REQUESTS, SYNC_DURATION};
    use super::*;

    #[test]
    fn two_servers_of_one_process_have_their_own_counts() {
        let (one, other) = (Meters::new(), Meters::new());
        one.counter(&REQUESTS, &["append", "204"]).increment(2);
        other.counter(&REQUESTS, &["append", "204"]).increment(5);
        let line = r#"durable_streams_requests_total{operation="append",status="204"}"#;
        assert!(one.render().contains(&format!("{line} 2\n")));
        assert!(other.render().contains(&format!("{line} 5\n")));
    }

    #[test]
    fn a_duration_is_in_its_bucket_whether_it_was_folded_or_not() {
        let meters = Meters::new();
        let sync = meters.histogram(&SYNC_DURATION, &[]);
        sync.record(0.000_2);
        meters.fold();
        sync.record(0.000_2);
        let text = meters.render();
        for line in [
            "durable_streams_log_sync_duration_seconds_bucket{le=\"0.0001\"} 0\n",
            "durable_streams_log_sync_duration_seconds_bucket{le=\"0.00025\"} 2\n",
            "durable_streams_log_sync_duration_seconds_bucket{le=\"+Inf\"} 2\n",
            "durable_streams_log_sync_duration_seconds_count 2\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }

    #[test]
    fn every_metric_has_help_and_type_and_the_process_is_one_of_them() {
        let meters = Meters::new();
        meters.gauge(&LOG_BYTES, &[]).set(7.0);
        meters.gauge(&CONNECTIONS, &["main"]).set(7.0);
        let text = meters.render();
        let help = format!("# HELP durable_streams_log_bytes {}\n", LOG_BYTES.help);
        assert!(text.contains(&help), "{text}");
        assert!(
            text.contains("# TYPE durable_streams_log_bytes gauge\n"),
            "{text}"
        );
        for name in super::super::table::PROCESS {
            assert!(text.contains(&format!("# HELP {name} ")), "{name}: {text}");
        }
    }
}
