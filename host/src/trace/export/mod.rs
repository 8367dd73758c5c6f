//! The export of spans to a collector, by OTLP over HTTP.
//!
//! The SDK of OpenTelemetry batches spans on a thread of its own. What it reads from the environment
//! is documented with it; [`settings`] reads the rest.

mod bounded;
mod client;
mod counted;
mod settings;

use super::switch::{TARGET, turn_on};
use bounded::Bounded;
use client::Client;
use counted::Counted;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::HttpError;
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider,
};
use settings::Settings;
use std::time::Duration;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterFn, Filtered, filter_fn};
use tracing_subscriber::registry::LookupSpan;

pub(crate) use counted::{SpanCounts, counts};

/// Longest wait for the collector at the end of the process.
const FAREWELL: Duration = Duration::from_secs(2);

/// The layer that turns spans into those of OpenTelemetry.
pub(crate) type ExportLayer<S> = Filtered<OpenTelemetryLayer<S, SdkTracer>, FilterFn, S>;

/// The export of spans. Dropping it exports the spans that wait, for two seconds at most.
#[derive(Debug)]
pub(crate) struct Export(SdkTracerProvider);

impl Drop for Export {
    fn drop(&mut self) {
        // Spans that did not arrive in time are lost.
        let _ = self.0.shutdown_with_timeout(FAREWELL);
    }
}

/// Starts the export if the environment names a collector. Returns a warning for each variable that is
/// not obeyed.
pub(crate) fn start<S>(
    variable: &dyn Fn(&str) -> Option<String>,
) -> (Option<(ExportLayer<S>, Export)>, Vec<String>)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let (settings, mut warnings) = Settings::read(variable);
    let Some(settings) = settings else {
        return (None, warnings);
    };
    match provider(&settings) {
        Ok(provider) => {
            let tracer = provider.tracer("durable-streams");
            let layer = tracing_opentelemetry::layer().with_tracer(tracer);
            let layer = layer.with_location(false).with_threads(false);
            let layer = layer
                .with_target(false)
                .with_level(false)
                .with_tracked_inactivity(false);
            let is_ours: FilterFn = filter_fn(|metadata| metadata.target() == TARGET);
            let filter = is_ours.with_max_level_hint(LevelFilter::INFO);
            turn_on();
            (
                Some((layer.with_filter(filter), Export(provider))),
                warnings,
            )
        }
        Err(error) => {
            warnings.push(format!("no spans are exported: {error}"));
            (None, warnings)
        }
    }
}

fn provider(settings: &Settings) -> Result<SdkTracerProvider, HttpError> {
    let client = Client::new(settings.timeout, settings.certificate.as_deref())?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(settings.protocol)
        .with_timeout(settings.timeout)
        .build()?;
    // The bound before it keeps the SDK's own queue from filling, which would not be counted.
    let config =
        BatchConfigBuilder::default().with_max_queue_size(settings.queue.saturating_mul(2));
    let batches = BatchSpanProcessor::builder(Counted::new(exporter))
        .with_batch_config(config.build())
        .build();
    let mut resource = Resource::builder();
    if !settings.has_name {
        resource = resource.with_service_name("durable-streams");
    }
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    Ok(SdkTracerProvider::builder()
        .with_span_processor(Bounded::new(batches, settings.queue))
        .with_resource(resource.with_attribute(version).build())
        .build())
}
