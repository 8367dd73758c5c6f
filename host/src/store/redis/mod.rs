//! A store in Redis 7 or Valkey, which several hosts may share.
//!
//! # Layout
//!
//! | key | |
//! |---|---|
//! | `<ns>:k:<key>` | number of the last change, in 16 digits, then `=` and the value or `#` and a counter's decimals |
//! | `<ns>:gone:<shard>` | number of the last deletion of a key of the shard |
//! | `<ns>:changes` | number of the latest change of any key |
//! | `<ns>:timeline` | number of the timeline, and the identity of the Redis that it was last written to |
//! | `<ns>:format` | name and version of this layout |
//!
//! Every write is one script. It compares, takes the next number, publishes the number and the key
//! to the subscribed hosts (`feed`), and then writes. If Redis refuses one of these commands, the
//! key stays unchanged, since the write comes last. Redis sends the messages when the script is
//! over.
//!
//! The number is the version of its key, so a swap sends only 16 bytes to compare. The version of
//! an absent key is the shard's last deletion. Numbers follow the clock of Redis, so it assigns no
//! number twice even if it comes back without its last changes.
//!
//! # Durability
//!
//! A change is as durable as Redis makes it before the answer, so `settle` has nothing to wait for.
//! The store reads the durability settings of Redis when it is opened (`promise`). Every new
//! connection checks whether changes were lost (`timeline`).

mod absence;
mod address;
mod changes;
mod error;
mod feed;
mod identity;
mod pool;
mod promise;
mod returns;
mod script;
mod shared;
#[cfg(test)]
mod tests;
mod timeline;

pub use address::RedisUrl;
pub use error::OpenError;

use super::{ChangeNumber, Seen, Store, StoreError, SwapError, Watch, counter};
use bytes::Bytes;
use changes::Changes;
use error::one_line;
use feed::Feed;
use pool::Pool;
use redis::{RedisError, cmd};
use script::Scripts;
use shared::{DIGITS, Names, Shared, malformed, number};
use std::sync::Arc;
use timeline::Timeline;

/// Content of `<ns>:format`.
const FORMAT: &str = "durable-streams 1";
/// Store with its keys and values in Redis.
pub struct RedisStore {
    description: String,
    shared: Arc<Shared>,
    _feed: Feed,
}

impl RedisStore {
    /// Connects to Redis. Its [`describe`](Store::describe) includes how durable an acknowledged
    /// write is.
    ///
    /// # Errors
    ///
    /// [`OpenError`]. Its text is one line without a password.
    pub fn open(url: &RedisUrl) -> Result<Self, OpenError> {
        let address = url.read().map_err(OpenError::Address)?;
        let (shown, namespace) = (address.shown, address.namespace);
        let unusable = |why: String| OpenError::Unusable {
            address: shown.clone(),
            why,
        };
        let redis_error = |error: RedisError| unusable(one_line(&error));
        let timeline = Timeline::new(Names::timeline(&namespace));
        let pool = Pool::new(address.client, timeline);
        let mut connection = pool.dial().map_err(redis_error)?;
        let found: Option<String> = cmd("SET")
            .arg(&[&format!("{namespace}:format"), FORMAT, "NX", "GET"])
            .query(&mut connection)
            .map_err(redis_error)?;
        if let Some(found) = found.filter(|found| found != FORMAT) {
            return Err(OpenError::Format {
                address: shown,
                namespace,
                found,
            });
        }
        let met = pool.timeline().meet(&mut connection);
        met.map_err(redis_error)?;
        let names = Names {
            changes: format!("{namespace}:changes"),
            channel: format!("{namespace}:changes:{}", address.database),
            namespace,
        };
        feed::try_publish(&mut connection, &names.channel).map_err(unusable)?;
        let promise = promise::of(&mut connection);
        let shared = Arc::new(Shared {
            pool,
            scripts: Scripts::default(),
            names,
            changes: Changes::default(),
        });
        shared
            .catch_up()
            .map_err(|error| unusable(error.to_string()))?;
        let feed = Feed::start(&shared).map_err(|error| unusable(error.to_string()))?;
        let namespace = &shared.names.namespace;
        Ok(Self {
            description: format!("redis {shown}, namespace {namespace} ({promise})"),
            shared,
            _feed: feed,
        })
    }
}

/// Writes that Redis refuses under another timeline.
impl RedisStore {
    fn set_on(&self, timeline: u64, key: &str, value: &[u8]) -> Result<ChangeNumber, StoreError> {
        let script = &self.shared.scripts.set;
        let changed: Vec<u8> = self.shared.run(script, timeline, key, &[value])?;
        self.shared.wrote(key, &changed)
    }

    fn delete_on(&self, timeline: u64, key: &str) -> Result<ChangeNumber, StoreError> {
        let script = &self.shared.scripts.delete;
        let (changed, existed): (Vec<u8>, bool) = self.shared.run(script, timeline, key, &[])?;
        match existed {
            true => self.shared.wrote(key, &changed),
            false => Ok(ChangeNumber::new(number(&changed)?)),
        }
    }

    fn swap_on(
        &self,
        timeline: u64,
        key: &str,
        seen: &Seen,
        value: &[u8],
    ) -> Result<ChangeNumber, SwapError> {
        let changed = format!("{:016}", seen.changed.get());
        let there: &[u8] = if seen.value.is_some() { b"1" } else { b"0" };
        let arguments: [&[u8]; 3] = [changed.as_bytes(), there, value];
        let script = &self.shared.scripts.swap;
        let swapped: Option<Vec<u8>> = self.shared.run(script, timeline, key, &arguments)?;
        let swapped = swapped.ok_or(SwapError::Conflict)?;
        Ok(self.shared.wrote(key, &swapped)?)
    }
}

impl Store for RedisStore {
    fn kind(&self) -> &'static str {
        "redis"
    }

    fn guards_creation(&self) -> bool {
        true
    }

    fn is_sure_of_conflicts(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        self.description.clone()
    }

    fn blocks(&self) -> bool {
        true
    }

    fn get(&self, key: &str) -> Result<Seen, StoreError> {
        let names = &self.shared.names;
        let mut command = cmd("MGET");
        command.arg(names.key(key)).arg(names.gone(key));
        let (found, gone): (Option<Vec<u8>>, Option<Vec<u8>>) = self.shared.pool.read(&command)?;
        let Some(found) = found else {
            let gone = gone.as_deref().map_or(Ok(0), number)?;
            return Ok(Seen {
                value: None,
                changed: ChangeNumber::new(gone),
            });
        };
        let mut value = Bytes::from(found);
        if value.len() <= DIGITS {
            return Err(malformed(key));
        }
        let changed = value.split_to(DIGITS);
        let value = match (value.split_to(1).as_ref(), value) {
            (b"=", value) => value,
            (b"#", sum) => {
                let sum = std::str::from_utf8(&sum).ok();
                let sum = sum.and_then(|sum| sum.parse().ok());
                counter::bytes(sum.ok_or_else(|| malformed(key))?)
            }
            _ => return Err(malformed(key)),
        };
        Ok(Seen {
            value: Some(value),
            changed: ChangeNumber::new(number(&changed)?),
        })
    }

    fn exists(&self, key: &str) -> Result<(bool, ChangeNumber), StoreError> {
        let script = &self.shared.scripts.exists;
        let timeline = self.timeline();
        let (found, gone): (Vec<u8>, Vec<u8>) = self.shared.run(script, timeline, key, &[])?;
        let exists = !found.is_empty();
        let changed = number(if exists { &found } else { &gone })?;
        Ok((exists, ChangeNumber::new(changed)))
    }

    fn set(&self, key: &str, value: Bytes) -> Result<ChangeNumber, StoreError> {
        self.set_on(self.timeline(), key, &value)
    }

    fn delete(&self, key: &str) -> Result<ChangeNumber, StoreError> {
        self.delete_on(self.timeline(), key)
    }

    fn write_since(
        &self,
        losses: u64,
        key: &str,
        value: Option<Bytes>,
    ) -> Result<ChangeNumber, StoreError> {
        let timeline = self.shared.timeline_after(losses)?;
        match value {
            Some(value) => self.set_on(timeline, key, &value),
            None => self.delete_on(timeline, key),
        }
    }

    fn increment(&self, key: &str, delta: i64) -> Result<(i64, ChangeNumber), StoreError> {
        let delta = delta.to_string();
        let arguments: [&[u8]; 1] = [delta.as_bytes()];
        let script = &self.shared.scripts.increment;
        let timeline = self.timeline();
        let answer: Vec<Vec<u8>> = self.shared.run(script, timeline, key, &arguments)?;
        let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
        match answer.as_slice() {
            [sum, changed] => {
                let changed = self.shared.wrote(key, changed)?;
                let sum = text(sum).parse().map_err(|_| malformed(key))?;
                Ok((sum, changed))
            }
            [why] => Err(StoreError::Other(text(why))),
            _ => Err(malformed("an answer")),
        }
    }

    fn swap(&self, key: &str, seen: &Seen, value: Bytes) -> Result<ChangeNumber, SwapError> {
        self.swap_on(self.timeline(), key, seen, &value)
    }

    fn swap_since(
        &self,
        losses: u64,
        key: &str,
        seen: &Seen,
        value: Bytes,
    ) -> Result<ChangeNumber, SwapError> {
        let timeline = self.shared.timeline_after(losses)?;
        self.swap_on(timeline, key, seen, &value)
    }

    fn losses(&self) -> u64 {
        self.shared.pool.timeline().losses()
    }

    fn timeline(&self) -> u64 {
        self.shared.pool.timeline().number()
    }

    fn serving_since_ms(&self) -> u64 {
        self.shared.pool.serving_since_ms()
    }

    fn latest_change(&self) -> ChangeNumber {
        self.shared.changes.latest()
    }

    fn last_change(&self, key: &str) -> ChangeNumber {
        self.shared.changes.last_change(key)
    }

    fn watch(&self, key: &str) -> Watch {
        self.shared.changes.watch(key)
    }
}
