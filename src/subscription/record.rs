//! The record of a subscription: all state that must change together.

use super::{Config, Links};
use crate::access::Rights;
use serde::{Deserialize, Serialize};

/// Changes that a subscription remembers. An attempt of unknown outcome checks them immediately, so
/// few are enough.
const COMMITS: usize = 32;

/// A subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The full id, to distinguish it from another id with the same hash.
    pub id: String,
    /// A random number, because an id may be used again after a deletion.
    pub life: u64,
    /// Raised by every swap.
    pub version: u64,
    /// The requested configuration.
    pub config: Config,
    /// The hash of the configuration and of the streams that the creation named.
    pub config_hash: [u8; 32],
    /// Sorted names of streams, which need not exist yet.
    pub streams: Vec<String>,
    /// The rights of the creator, checked whenever a stream is linked.
    pub rights: Rights,
    /// Scheme and authority of the creator's request, for URLs in responses.
    pub origin: String,
    /// The time of the creation, milliseconds since 1970.
    pub created_ms: u64,
    /// The random ids of the last changes. An instance with an unconfirmed swap finds out here
    /// whether its change was applied.
    pub commits: Vec<u64>,
    /// Whether all streams that existed at its creation are linked.
    pub backfilled: bool,
    /// Raised by every wake and every new timeline.
    pub generation: u64,
    /// The current phase.
    pub phase: Phase,
    /// Failed deliveries of the wake since the last successful one.
    pub failures: u32,
    /// How often its to-do entry was added.
    pub noted: u64,
    /// Whether the to-do entry exists.
    pub is_noted: bool,
    /// Linked streams with their cursors.
    pub links: Links,
}

/// Phase of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// The subscription waits for pending work.
    Idle,
    /// Workers have been notified of the wake, or will be.
    Waking {
        /// The wake's random number.
        wake: u64,
        /// For a webhook, the end of the lease, milliseconds since 1970; `None` between two
        /// attempts.
        lease_ms: Option<u64>,
        /// Time of the next delivery, milliseconds since 1970; `None` once a delivery is known to
        /// have succeeded.
        attempt_ms: Option<u64>,
    },
    /// A worker has claimed the subscription.
    Held {
        /// The wake's random number.
        wake: u64,
        /// The worker's name.
        worker: String,
        /// The end of the lease, milliseconds since 1970.
        lease_ms: u64,
    },
}

/// The wake that a request refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// The generation.
    pub generation: u64,
    /// The wake's random number.
    pub wake: u64,
}

/// The request refers to a wake that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("The wake is over: its lease ended, or a worker released or acked it")]
pub struct Fenced;

impl Subscription {
    /// The current wake.
    #[must_use]
    pub const fn fence(&self) -> Option<Fence> {
        match self.phase {
            Phase::Idle => None,
            Phase::Waking { wake, .. } | Phase::Held { wake, .. } => Some(Fence {
                generation: self.generation,
                wake,
            }),
        }
    }

    /// Refuses a request that does not refer to the current wake.
    ///
    /// # Errors
    ///
    /// The wake has ended.
    pub fn check(&self, fence: Fence) -> Result<(), Fenced> {
        match self.fence() == Some(fence) {
            true => Ok(()),
            false => Err(Fenced),
        }
    }

    /// Whether the subscription waits for pending work.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// Whether the last delivery of the wake failed and another one is due (section 6.3).
    #[must_use]
    pub const fn is_failing(&self) -> bool {
        let is_due = matches!(
            self.phase,
            Phase::Waking {
                attempt_ms: Some(_),
                ..
            }
        );
        is_due && self.failures > 0
    }

    /// Records a change, and forgets the oldest change if the list is full.
    pub fn commit(&mut self, id: u64) {
        let over = self.commits.len().saturating_add(1).saturating_sub(COMMITS);
        self.commits.drain(..over.min(self.commits.len()));
        self.commits.push(id);
        self.version = self.version.saturating_add(1);
    }

    /// Whether the list would contain a change on top of version `base` if it had been applied:
    /// each change makes one version and adds one commit.
    #[must_use]
    pub fn remembers(&self, base: u64) -> bool {
        base >= self.version.saturating_sub(self.commits.len() as u64)
    }

    /// When the subscription needs background work, milliseconds since 1970.
    #[must_use]
    pub fn due_ms(&self) -> Option<u64> {
        match self.phase {
            Phase::Idle => None,
            Phase::Waking {
                lease_ms,
                attempt_ms,
                ..
            } => [lease_ms, attempt_ms].into_iter().flatten().min(),
            Phase::Held { lease_ms, .. } => Some(lease_ms),
        }
    }

    /// Whether the stream `name` belongs to the subscription, and for which reason.
    #[must_use]
    pub fn wants(&self, name: &str) -> Option<super::Kind> {
        let named = self.streams.binary_search_by(|other| (**other).cmp(name));
        match (self.config.matches(name), named.is_ok()) {
            (true, true) => Some(super::Kind::Both),
            (true, false) => Some(super::Kind::Glob),
            (false, true) => Some(super::Kind::Explicit),
            (false, false) => None,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::subscription::{Delivery, Glob, config_hash};

    pub(crate) fn config(webhook: bool) -> Config {
        Config {
            delivery: match webhook {
                true => Delivery::Webhook {
                    url: "https://worker.example/hooks".to_owned(),
                },
                false => Delivery::PullWake {
                    wake_stream: "wake/pool".to_owned(),
                },
            },
            pattern: Some(Glob::parse("events/*").unwrap()),
            lease_ttl_ms: 30_000,
            description: None,
        }
    }

    pub(crate) fn subscription(webhook: bool) -> Subscription {
        let config = config(webhook);
        Subscription {
            id: "sub-1".to_owned(),
            life: 7,
            version: 1,
            config_hash: config_hash(&config, &[]),
            config,
            streams: vec!["named/a".to_owned()],
            rights: Rights::all(),
            origin: "http://a.example".to_owned(),
            created_ms: 1_000,
            commits: Vec::new(),
            backfilled: true,
            generation: 0,
            phase: Phase::Idle,
            failures: 0,
            noted: 0,
            is_noted: false,
            links: Links::default(),
        }
    }

    #[test]
    fn a_subscription_wants_matching_and_named_streams() {
        let mut subscription = subscription(false);
        subscription.streams = vec!["events/b".to_owned(), "named/a".to_owned()];
        let why = |name| subscription.wants(name);
        assert_eq!(why("events/a"), Some(crate::subscription::Kind::Glob));
        assert_eq!(why("events/b"), Some(crate::subscription::Kind::Both));
        assert_eq!(why("named/a"), Some(crate::subscription::Kind::Explicit));
        assert_eq!(why("wake/pool"), None);
    }
}
