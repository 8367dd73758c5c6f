//! What a subscription was asked to be, and how two askings are compared (section 6.2).

use super::Glob;
use sha2::{Digest, Sha256};

/// What a subscription is, apart from the streams that were named one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How workers are woken.
    pub delivery: Delivery,
    /// The streams it is for.
    pub pattern: Option<Glob>,
    /// How long a worker may be silent, milliseconds.
    pub lease_ttl_ms: u64,
    /// For people.
    pub description: Option<String>,
}

/// How workers are woken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// By a request to this URL, which was judged by [`super::url::judge`].
    Webhook {
        /// The URL.
        url: String,
    },
    /// By an event in this stream.
    PullWake {
        /// The name of the stream.
        wake_stream: String,
    },
}

impl Config {
    /// Whether workers are woken by webhook.
    #[must_use]
    pub const fn is_webhook(&self) -> bool {
        matches!(self.delivery, Delivery::Webhook { .. })
    }

    /// Whether the stream `name` is one that the pattern is for. A stream of wake events never
    /// wakes the subscription that it is for.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let pattern = self.pattern.as_ref();
        !self.is_wake_stream(name) && pattern.is_some_and(|pattern| pattern.matches(name))
    }

    /// Whether `name` is the stream of wake events.
    #[must_use]
    pub fn is_wake_stream(&self, name: &str) -> bool {
        matches!(&self.delivery, Delivery::PullWake { wake_stream } if wake_stream == name)
    }
}

/// The hash of all that was asked for; `streams` sorted and without repetition.
#[must_use]
pub(crate) fn config_hash(config: &Config, streams: &[String]) -> [u8; 32] {
    let mut hash = Sha256::new();
    // Each text after its length, so that no two configurations are written alike.
    let mut text = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    match &config.delivery {
        Delivery::Webhook { url } => {
            text("webhook");
            text(url);
        }
        Delivery::PullWake { wake_stream } => {
            text("pull-wake");
            text(wake_stream);
        }
    }
    for optional in [
        config.pattern.as_ref().map(Glob::as_str),
        config.description.as_deref(),
    ] {
        text(if optional.is_some() { "some" } else { "none" });
        text(optional.unwrap_or_default());
    }
    text(&config.lease_ttl_ms.to_string());
    for name in streams {
        text(name);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_configuration_counts() {
        let config = Config {
            delivery: Delivery::Webhook {
                url: "https://a.example/".to_owned(),
            },
            pattern: Some(Glob::parse("a/*").unwrap()),
            lease_ttl_ms: 30_000,
            description: None,
        };
        let streams = ["a".to_owned(), "b".to_owned()];
        let hash = config_hash(&config, &streams);
        assert_eq!(hash, config_hash(&config.clone(), &streams));
        let others = [
            Config {
                delivery: Delivery::PullWake {
                    wake_stream: "https://a.example/".to_owned(),
                },
                ..config.clone()
            },
            Config {
                pattern: None,
                ..config.clone()
            },
            Config {
                lease_ttl_ms: 30_001,
                ..config.clone()
            },
            Config {
                description: Some(String::new()),
                ..config.clone()
            },
        ];
        for other in others {
            assert_ne!(hash, config_hash(&other, &streams), "{other:?}");
        }
        assert_ne!(hash, config_hash(&config, &["ab".to_owned()]));
        assert_ne!(hash, config_hash(&config, &streams[..1]));
    }

    #[test]
    fn a_wake_stream_wakes_nobody() {
        let config = Config {
            delivery: Delivery::PullWake {
                wake_stream: "w/x".to_owned(),
            },
            pattern: Some(Glob::parse("**").unwrap()),
            lease_ttl_ms: 1000,
            description: None,
        };
        assert!(config.matches("w/y") && !config.matches("w/x"));
    }
}
