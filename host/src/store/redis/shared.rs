//! State shared by the calls of a store and its feed.

use super::changes::Changes;
use super::pool::Pool;
use super::script::{Script, Scripts};
use crate::store::{ChangeNumber, StoreError};
use redis::FromRedisValue;

/// Number of shards of absent keys. All hosts must agree on it.
pub(super) const SHARDS: u32 = 64;
/// Number of bytes of a change number.
pub(super) const DIGITS: usize = 16;

/// State shared by the calls and the [feed](super::feed) of one store.
pub(super) struct Shared {
    pub(super) pool: Pool,
    pub(super) scripts: Scripts,
    pub(super) names: Names,
    pub(super) changes: Changes,
}

/// Names of keys and channels in Redis.
pub(super) struct Names {
    pub(super) namespace: String,
    pub(super) changes: String,
    /// Channels belong to no database, so the name contains the database number.
    pub(super) channel: String,
}

impl Names {
    pub(super) fn key(&self, key: &str) -> String {
        format!("{}:k:{key}", self.namespace)
    }

    pub(super) fn timeline(namespace: &str) -> String {
        format!("{namespace}:timeline")
    }

    pub(super) fn gone(&self, key: &str) -> String {
        let shard = crc32c::crc32c(key.as_bytes()) % SHARDS;
        format!("{}:gone:{shard}", self.namespace)
    }
}

pub(super) fn malformed(name: &str) -> StoreError {
    StoreError::Other(format!("{name} is not in the form that this store writes"))
}

pub(super) fn number(text: &[u8]) -> Result<u64, StoreError> {
    let text = std::str::from_utf8(text).ok();
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| malformed("the number of a change"))
}

impl Shared {
    /// Reads the latest number from Redis. If it is new, all waiters read their keys again.
    pub(super) fn catch_up(&self) -> Result<(), StoreError> {
        let known = self.changes.latest().get().to_string();
        let latest: Vec<u8> = self.pool.run(
            &self.scripts.latest,
            &[&self.names.changes],
            &[known.as_bytes()],
        )?;
        self.changes.count_all(number(&latest)?);
        Ok(())
    }

    /// Handles a message: a number, and the key that changed.
    pub(super) fn receive(&self, message: &[u8]) -> Result<(), StoreError> {
        let (changed, key) = message.split_at_checked(DIGITS).unwrap_or_default();
        let key = key
            .strip_prefix(b" ")
            .and_then(|key| std::str::from_utf8(key).ok());
        let key = key.ok_or_else(|| malformed("a message"))?;
        self.changes.note(key, number(changed)?);
        Ok(())
    }

    /// Runs a script that may change a key, under this timeline.
    pub(super) fn run<T: FromRedisValue>(
        &self,
        script: &Script,
        timeline: u64,
        key: &str,
        arguments: &[&[u8]],
    ) -> Result<T, StoreError> {
        let (full, gone) = (self.names.key(key), self.names.gone(key));
        let kept = self.pool.timeline().key();
        let keys = [&*full, &self.names.changes, &gone, kept];
        let timeline = timeline.to_string();
        let mut all: Vec<&[u8]> = vec![self.names.channel.as_bytes(), key.as_bytes()];
        all.push(timeline.as_bytes());
        all.extend(arguments);
        self.pool.run(script, &keys, &all)
    }

    /// The timeline of an instance that began after this many losses.
    pub(super) fn timeline_after(&self, losses: u64) -> Result<u64, StoreError> {
        let timeline = self.pool.timeline().after(losses);
        timeline.ok_or_else(StoreError::lost)
    }

    /// Notes a change made by this host, so that it is known here when the call returns.
    pub(super) fn wrote(&self, key: &str, changed: &[u8]) -> Result<ChangeNumber, StoreError> {
        let changed = number(changed)?;
        self.changes.note(key, changed);
        Ok(ChangeNumber::new(changed))
    }
}
