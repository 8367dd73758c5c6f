//! Variables of OpenTelemetry.
//!
//! The SDK and the exporter read the endpoint, header fields, the resource, the sampler, and the limits
//! of batches and spans by themselves, and ignore values that they do not know. This file warns of
//! such values.

use opentelemetry_otlp::Protocol;
use std::time::Duration;

const DISABLED: &str = "OTEL_SDK_DISABLED";
const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
const ENDPOINT: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];
const PROTOCOL: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
];
const TIMEOUT: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
];
const CERTIFICATE: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
];
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
const PROPAGATORS: &str = "OTEL_PROPAGATORS";
const QUEUE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";

/// Variables with values that mean something, of which this server supports none or one.
const UNSUPPORTED: [(&str, &str); 8] = [
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
    ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none"),
    ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", ""),
    ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", ""),
    ("OTEL_EXPORTER_OTLP_CLIENT_KEY", ""),
    ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", ""),
    ("OTEL_METRICS_EXPORTER", "none"),
    ("OTEL_LOGS_EXPORTER", "none"),
];

const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

/// Defaults of the specification.
const TIMEOUT_MS: u64 = 10_000;
const QUEUED: usize = 2048;

/// Settings of the export.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) protocol: Protocol,
    pub(super) timeout: Duration,
    /// File with the certificates to trust, in PEM format.
    pub(super) certificate: Option<String>,
    /// Most spans that wait for their export.
    pub(super) queue: usize,
    /// Whether the environment names the service.
    pub(super) has_name: bool,
}

impl Settings {
    /// Reads the variables. Returns no settings unless spans are to be exported, and a warning for each
    /// value that has no effect.
    pub(super) fn read(variable: &dyn Fn(&str) -> Option<String>) -> (Option<Self>, Vec<String>) {
        let get = |name: &str| variable(name).filter(|value| !value.is_empty());
        let first = |names: [&'static str; 2]| {
            let mut set = names
                .into_iter()
                .filter_map(|name| Some((name, get(name)?)));
            set.next()
        };
        let is_disabled = get(DISABLED).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let exporter = get(EXPORTER);
        if is_disabled || exporter.as_deref() == Some("none") || first(ENDPOINT).is_none() {
            return (None, Vec::new());
        }
        let mut warnings = Vec::new();
        let mut ignored = |name: &str, value: &str, instead: &str| {
            warnings.push(format!("{name}={value} is not supported: {instead}"));
        };
        if let Some(exporter) = exporter.filter(|exporter| exporter != "otlp") {
            ignored(
                EXPORTER,
                &exporter,
                "spans are exported by otlp. Set otlp or none",
            );
        }
        let protocol = match first(PROTOCOL) {
            None => Protocol::HttpBinary,
            Some((name, value)) => match value.as_str() {
                "http/protobuf" => Protocol::HttpBinary,
                "http/json" => Protocol::HttpJson,
                other => {
                    let instead = "http/protobuf is used, which collectors take at port 4318. Set \
                                   http/protobuf or http/json";
                    ignored(name, other, instead);
                    Protocol::HttpBinary
                }
            },
        };
        if let Some(sampler) = get(SAMPLER) {
            let argument = get(SAMPLER_ARG);
            let ratio = argument
                .as_deref()
                .and_then(|text| text.parse::<f64>().ok());
            if !SAMPLERS.contains(&sampler.as_str()) {
                let instead = format!(
                    "parentbased_always_on is used. Set one of {}",
                    SAMPLERS.join(", ")
                );
                ignored(SAMPLER, &sampler, &instead);
            } else if sampler.ends_with("ratio")
                && !ratio.is_some_and(|ratio| (0.0..=1.0).contains(&ratio))
            {
                let instead = "all traces are sampled. Set a number from 0 to 1";
                ignored(SAMPLER_ARG, &argument.unwrap_or_default(), instead);
            }
        }
        if let Some(propagators) = get(PROPAGATORS)
            && propagators
                .split(',')
                .any(|name| name.trim() != "tracecontext")
        {
            ignored(PROPAGATORS, &propagators, "tracecontext is used");
        }
        for (name, fine) in UNSUPPORTED {
            if let Some(value) = get(name).filter(|value| value != fine) {
                ignored(name, &value, "it has no effect");
            }
        }
        let timeout = first(TIMEOUT).and_then(|(name, value)| {
            let ms = value.parse().ok();
            if ms.is_none() {
                ignored(
                    name,
                    &value,
                    "10 seconds are used. Set a number of milliseconds",
                );
            }
            ms
        });
        let queue = get(QUEUE).and_then(|value| value.parse().ok());
        let resource = get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        let mut attributes = resource.split(',').map(str::trim);
        let settings = Self {
            protocol,
            timeout: Duration::from_millis(timeout.unwrap_or(TIMEOUT_MS)),
            certificate: first(CERTIFICATE).map(|(_, file)| file),
            queue: queue.filter(|queue| *queue > 0).unwrap_or(QUEUED),
            has_name: get("OTEL_SERVICE_NAME").is_some()
                || attributes.any(|attribute| attribute.starts_with("service.name=")),
        };
        (Some(settings), warnings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> (Option<Settings>, Vec<String>) {
        let lookup = |name: &str| {
            let same = variables.iter().find(|(known, _)| *known == name);
            same.map(|(_, value)| (*value).to_owned())
        };
        Settings::read(&lookup)
    }

    const ON: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");

    #[test]
    fn spans_are_exported_only_to_a_named_collector_unless_they_are_disabled() {
        assert!(read(&[ON]).0.is_some());
        for variables in [
            &[][..],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")],
            &[ON, ("OTEL_SDK_DISABLED", "TRUE")],
            &[ON, ("OTEL_TRACES_EXPORTER", "none")],
        ] {
            assert_eq!(read(variables), (None, Vec::new()), "{variables:?}");
        }
    }

    #[test]
    fn the_protocol_is_protobuf_unless_json_is_asked_for() {
        let protocol = |value| {
            let (settings, warnings) = read(&[ON, ("OTEL_EXPORTER_OTLP_PROTOCOL", value)]);
            (settings.map(|settings| settings.protocol), warnings.len())
        };
        assert_eq!(protocol(""), (Some(Protocol::HttpBinary), 0));
        assert_eq!(protocol("http/json"), (Some(Protocol::HttpJson), 0));
        assert_eq!(protocol("grpc"), (Some(Protocol::HttpBinary), 1));
    }

    #[test]
    fn every_value_without_effect_is_a_warning_that_names_it() {
        for (name, value) in [
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_TRACES_SAMPLER", "xray"),
            ("OTEL_PROPAGATORS", "b3"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
            ("OTEL_LOGS_EXPORTER", "otlp"),
        ] {
            let (settings, warnings) = read(&[ON, (name, value)]);
            assert!(settings.is_some(), "{name}");
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            assert!(
                warnings[0].contains(&format!("{name}={value}")),
                "{warnings:?}"
            );
        }
        let ratio = [
            ON,
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            (SAMPLER_ARG, "2"),
        ];
        assert_eq!(read(&ratio).1.len(), 1);
    }

    #[test]
    fn the_service_has_a_name_of_its_own_unless_the_environment_names_it() {
        let has_name = |name, value| read(&[ON, (name, value)]).0.map(|read| read.has_name);
        assert_eq!(has_name("OTEL_SERVICE_NAME", "a"), Some(true));
        assert_eq!(
            has_name("OTEL_RESOURCE_ATTRIBUTES", "x=y, service.name=a"),
            Some(true)
        );
        assert_eq!(has_name("OTEL_RESOURCE_ATTRIBUTES", "x=y"), Some(false));
    }
}
