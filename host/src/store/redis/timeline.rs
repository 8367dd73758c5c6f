//! Detection of a Redis that went back to an older state.
//!
//! A Redis that starts again from a snapshot, or a replica that takes over, may lack acknowledged
//! writes. The only sign is another identity: its `run_id`, and the id of its history.
//! `<ns>:timeline` holds the number of the timeline with the identity of the Redis that it was last
//! written to. Every new connection first compares the two identities. If they differ, and the
//! Redis may have lost writes, it begins the next timeline. So the first of several hosts raises
//! the number. The others find it with their own new connections, since those to the earlier Redis
//! are gone.
//!
//! Every write carries the timeline of its instance, and Redis refuses it under another one. A new
//! timeline counts as a loss: instances are replaced, and begin with the new number.

use super::identity::{Identity, identity};
use crate::store::timeline::next;
use crate::telemetry;
use redis::{Connection, RedisError, cmd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Replaces the record if it has not changed since it was read. Returns the record's content
/// afterwards.
const REPLACE: &str = "#!lua flags=allow-oom
local found = redis.call('GET', KEYS[1]) or ''
if found ~= ARGV[1] then return found end
redis.call('SET', KEYS[1], ARGV[2])
return ARGV[2]";

/// The timeline of a Redis, as far as this host knows it.
pub(super) struct Timeline {
    key: String,
    /// The number. `None` before the first connection.
    known: Mutex<Option<u64>>,
    losses: AtomicU64,
}

impl Timeline {
    /// A timeline stored under `key`.
    pub(super) const fn new(key: String) -> Self {
        Self {
            key,
            known: Mutex::new(None),
            losses: AtomicU64::new(0),
        }
    }

    /// The key of the record in Redis.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    fn known(&self) -> MutexGuard<'_, Option<u64>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number.
    pub(super) fn number(&self) -> u64 {
        self.known().unwrap_or_default()
    }

    /// Number of changes of the timeline since the first connection.
    pub(super) fn losses(&self) -> u64 {
        self.losses.load(Ordering::SeqCst)
    }

    /// The number of the timeline after this many losses, or `None` after further ones.
    pub(super) fn after(&self, losses: u64) -> Option<u64> {
        let known = self.known();
        (self.losses() == losses).then(|| known.unwrap_or_default())
    }

    /// Notes the number of a Redis.
    pub(super) fn learn(&self, number: u64) {
        let mut known = self.known();
        match *known {
            Some(before) if before >= number => return,
            Some(_) => {
                // The lock is held, so a new instance sees both changes or none.
                self.losses.fetch_add(1, Ordering::SeqCst);
                let why = format!(
                    "timeline {number} begins; readers and writers that are ahead of it get an \
                     error"
                );
                telemetry::warn("redis may have lost acknowledged writes", &why);
            }
            None => {}
        }
        *known = Some(number);
    }

    /// Compares the Redis of a new connection with the recorded one.
    pub(super) fn meet(&self, connection: &mut Connection) -> Result<(), RedisError> {
        let Some(identity) = identity(connection)? else {
            return self.meet_unknown(connection);
        };
        let mut found: String = self.get(connection)?.unwrap_or_default();
        loop {
            let known = *self.known();
            let record = Record::parse(&found);
            let judged = judge(known, record.as_ref(), &identity, SystemTime::now());
            let wanted = format!("{judged} {identity}");
            if found == wanted {
                self.learn(judged);
                return Ok(());
            }
            found = cmd("EVAL")
                .arg(&[REPLACE, "1", &self.key, &found, &wanted])
                .query(connection)?;
        }
    }

    /// Without the right to read the identity, notes only the number that other hosts have found.
    fn meet_unknown(&self, connection: &mut Connection) -> Result<(), RedisError> {
        let found = self.get(connection)?.unwrap_or_default();
        self.learn(Record::parse(&found).map_or(0, |record| record.timeline));
        Ok(())
    }

    fn get(&self, connection: &mut Connection) -> Result<Option<String>, RedisError> {
        cmd("GET").arg(&self.key).query(connection)
    }
}

/// Content of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    timeline: u64,
    run: String,
    history: String,
}

impl Record {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        Some(Self {
            timeline: words.next()?.parse().ok()?,
            run: words.next()?.to_owned(),
            history: words.next()?.to_owned(),
        })
    }
}

/// Returns the timeline of a Redis with this identity, from the number that the host knows and the
/// record.
fn judge(known: Option<u64>, record: Option<&Record>, identity: &Identity, now: SystemTime) -> u64 {
    let Some(record) = record else {
        // Redis is new, or an older build wrote it. If the host knows a number, Redis lost even the
        // record.
        return known.map_or(0, |known| next(known, now));
    };
    let latest = record.timeline.max(known.unwrap_or_default());
    let same = record.run == identity.run && record.history == identity.history;
    // A replica that took over continues another history, and may not have received all of it.
    let kept = identity.keeps_all && identity.before != record.history;
    match (same || kept) && latest == record.timeline {
        true => latest,
        false => next(latest, now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn redis(run: &str, history: &str, before: &str, keeps_all: bool) -> Identity {
        Identity {
            run: run.to_owned(),
            history: history.to_owned(),
            before: before.to_owned(),
            keeps_all,
        }
    }

    #[test]
    fn another_redis_begins_a_timeline_unless_it_keeps_all() {
        let record = Record::parse("4 run history").expect("a record");
        let judge = |known, record: Option<&Record>, identity: &Identity| {
            judge(known, record, identity, UNIX_EPOCH)
        };
        let none = "0000";
        let same = redis("run", "history", none, false);
        assert_eq!(judge(None, None, &same), 0);
        assert_eq!(judge(Some(4), None, &same), 5);
        assert_eq!(judge(Some(4), Some(&record), &same), 4);
        assert_eq!(judge(Some(6), Some(&record), &same), 7);
        let started_again = redis("other", "new", none, false);
        assert_eq!(judge(None, Some(&record), &started_again), 5);
        let with_its_log = redis("other", "new", none, true);
        assert_eq!(judge(Some(4), Some(&record), &with_its_log), 4);
        let replica = redis("other", "new", "history", true);
        assert_eq!(judge(Some(4), Some(&record), &replica), 5);
    }

    #[test]
    fn a_greater_number_is_a_loss_but_for_the_first() {
        let timeline = Timeline::new("key".to_owned());
        timeline.learn(4);
        assert_eq!((timeline.losses(), timeline.number()), (0, 4));
        timeline.learn(3);
        assert_eq!((timeline.after(0), timeline.after(1)), (Some(4), None));
        timeline.learn(5);
        assert_eq!((timeline.losses(), timeline.number()), (1, 5));
        assert_eq!((timeline.after(0), timeline.after(1)), (None, Some(5)));
    }
}
