//! Requested configuration of a subscription, and its comparison with another request (section
//! 6.2).

use super::Glob;
use sha2::{Digest, Sha256};

/// The configuration of a subscription, without the explicitly named streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How the subscription wakes workers.
    pub delivery: Delivery,
    /// The pattern of the names that it subscribes to.
    pub pattern: Option<Glob>,
    /// How long a worker may be silent, milliseconds.
    pub lease_ttl_ms: u64,
    /// A description for people.
    pub description: Option<String>,
}

/// How a subscription wakes workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// By a request to this URL, which [`super::url::judge`] has accepted.
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
    /// Whether the subscription wakes workers by webhook.
    #[must_use]
    pub const fn is_webhook(&self) -> bool {
        matches!(self.delivery, Delivery::Webhook { .. })
    }

    /// Whether the pattern matches the stream `name`. A wake stream never wakes its own
    /// subscription.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let pattern = self.pattern.as_ref();
        !self.is_wake_stream(name) && pattern.is_some_and(|pattern| pattern.matches(name))
    }

    /// Whether `name` is the subscription's wake stream.
    #[must_use]
    pub fn is_wake_stream(&self, name: &str) -> bool {
        matches!(&self.delivery, Delivery::PullWake { wake_stream } if wake_stream == name)
    }
}

/// Returns the hash of the whole request; `streams` must be sorted and without duplicates.
#[must_use]
pub(crate) fn config_hash(config: &Config, streams: &[String]) -> [u8; 32] {
    let mut hash = Sha256::new();
    // Each text follows its length, so that different configurations give different input to the
    // hash.
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
    fn a_wake_stream_wakes_no_subscription() {
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
