//! The record of a subscription: all that must change together.

use super::{Config, Links};
use crate::access::Rights;
use serde::{Deserialize, Serialize};

/// Changes that a subscription remembers. Those who ask look again at once.
const COMMITS: usize = 32;

/// A subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// As its creator named it; kept to tell it from another with the same hash.
    pub id: String,
    /// Random: an id may be used again after a deletion.
    pub life: u64,
    /// Raised by every swap.
    pub version: u64,
    /// What it was asked to be.
    pub config: Config,
    /// The hash of that, with the streams that were named at first.
    pub config_hash: [u8; 32],
    /// Names of streams, sorted, which may not be there yet.
    pub streams: Vec<String>,
    /// Of its creator, checked when a stream is linked.
    pub rights: Rights,
    /// Scheme and authority that its creator sent the request to, for the URLs in its answers.
    pub origin: String,
    /// Milliseconds since 1970.
    pub created_ms: u64,
    /// The last changes, by the random ids of those who made them: who is not told whether its
    /// change was applied finds out here.
    pub commits: Vec<u64>,
    /// Whether all streams that were there when it was created are linked.
    pub backfilled: bool,
    /// Counts the wakes.
    pub generation: u64,
    /// What it does.
    pub phase: Phase,
    /// Failed tries to tell of the wake, since the last one that went well.
    pub failures: u32,
    /// How often its to-do entry was added.
    pub noted: u64,
    /// Whether it is there.
    pub is_noted: bool,
    /// Streams and cursors.
    pub links: Links,
}

/// What a subscription does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// It waits for pending work.
    Idle,
    /// Workers were told, or are to be told.
    Waking {
        /// The wake's random number.
        wake: u64,
        /// Webhook: the end of the lease, milliseconds since 1970; none between two tries.
        lease_ms: Option<u64>,
        /// When to tell again, milliseconds since 1970; none once it is known to be told.
        attempt_ms: Option<u64>,
    },
    /// A worker claimed it.
    Held {
        /// The wake's random number.
        wake: u64,
        /// The worker's name.
        worker: String,
        /// The end of the lease, milliseconds since 1970.
        lease_ms: u64,
    },
}

/// Which wake a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// The generation.
    pub generation: u64,
    /// The wake's random number.
    pub wake: u64,
}

/// The request is about a wake that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("The wake is over: its lease ended, or it was released or acked")]
pub struct Fenced;

impl Subscription {
    /// The wake that is under way.
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

    /// Refuses what is not about the wake under way.
    ///
    /// # Errors
    ///
    /// When the wake is over.
    pub fn check(&self, fence: Fence) -> Result<(), Fenced> {
        match self.fence() == Some(fence) {
            true => Ok(()),
            false => Err(Fenced),
        }
    }

    /// Whether it waits for pending work.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// Whether the last try to tell of the wake failed, and another one is due (section 6.3).
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

    /// Notes a change, and forgets the oldest one beyond the last few.
    pub fn commit(&mut self, id: u64) {
        let over = self.commits.len().saturating_add(1).saturating_sub(COMMITS);
        self.commits.drain(..over.min(self.commits.len()));
        self.commits.push(id);
        self.version = self.version.saturating_add(1);
    }

    /// Whether a change built on the version `base` would be among the commits if it had been
    /// applied: each change makes one version and is one commit.
    #[must_use]
    pub fn remembers(&self, base: u64) -> bool {
        base >= self.version.saturating_sub(self.commits.len() as u64)
    }

    /// When something is to be done without anybody asking, milliseconds since 1970.
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

    /// Whether the stream `name` belongs to it, and why.
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
    fn it_wants_what_its_pattern_is_for_and_what_was_named() {
        let mut subscription = subscription(false);
        subscription.streams = vec!["events/b".to_owned(), "named/a".to_owned()];
        let why = |name| subscription.wants(name);
        assert_eq!(why("events/a"), Some(crate::subscription::Kind::Glob));
        assert_eq!(why("events/b"), Some(crate::subscription::Kind::Both));
        assert_eq!(why("named/a"), Some(crate::subscription::Kind::Explicit));
        assert_eq!(why("wake/pool"), None);
    }
}
