//! Connection pool. Each connection serves one call at a time.
//!
//! No pool crate fits. The blocking one, `r2d2`, connects on threads of its own. If Redis refuses
//! the connection, its caller waits for the time-out: 2 s instead of 0.1 ms. Its error does not
//! distinguish a refusal from a time-out, as [`Absence`] requires. It also can't drop idle
//! connections after one of them broke. `bb8` and `deadpool` need an async runtime.

use super::absence::{Absence, PATIENCE};
use super::error::{CallError, does_not_serve, is_broken, store_error};
use super::returns::Returns;
use super::script::Script;
use super::timeline::Timeline;
use crate::store::StoreError;
use redis::{Client, Cmd, Connection, FromRedisValue, RedisError};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Largest number of idle connections. There are never more connections than calling threads.
const IDLE: usize = 64;
/// Age at which an idle connection is dropped, since a device in between may have forgotten it.
const STALE: Duration = Duration::from_secs(30);

pub(super) struct Pool {
    client: Client,
    timeline: Timeline,
    idle: Mutex<Vec<(Connection, Instant)>>,
    absence: Absence,
    returns: Returns,
    refusals: AtomicU64,
}

impl Pool {
    pub(super) fn new(client: Client, timeline: Timeline) -> Self {
        Self {
            client,
            timeline,
            idle: Mutex::default(),
            absence: Absence::default(),
            returns: Returns::default(),
            refusals: AtomicU64::new(0),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Connection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The timeline of the Redis that the newest connection leads to.
    pub(super) const fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Opens a connection outside of the pool, and updates the timeline from its Redis.
    pub(super) fn connect(&self) -> Result<Connection, RedisError> {
        let mut connection = self.dial()?;
        self.timeline.meet(&mut connection)?;
        Ok(connection)
    }

    /// Opens a connection, without a check of the timeline.
    pub(super) fn dial(&self) -> Result<Connection, RedisError> {
        let connection = self.client.get_connection_with_timeout(PATIENCE)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_write_timeout(Some(PATIENCE))?;
        Ok(connection)
    }

    /// Number of times that a Redis reported that it does not serve. Connections made before a
    /// report may lead to the wrong Redis.
    pub(super) fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Acquire)
    }

    /// Since when Redis serves after an absence, milliseconds since 1970; 0 without an absence.
    pub(super) fn serving_since_ms(&self) -> u64 {
        self.returns.since_ms()
    }

    /// Notes that Redis answered.
    pub(super) fn answered(&self) {
        self.absence.answered(Instant::now());
    }

    /// Drops all idle connections, since one connection broke, and the others probably did too.
    pub(super) fn forget(&self) {
        let idle = std::mem::take(&mut *self.idle());
        drop(idle);
    }

    fn take(&self) -> Result<Connection, RedisError> {
        let newest = self.idle().pop();
        match newest {
            Some((connection, since)) if since.elapsed() < STALE => Ok(connection),
            Some(_) => {
                // The connections below it are older still.
                self.forget();
                self.connect()
            }
            None => self.connect(),
        }
    }

    fn give(&self, connection: Connection) {
        let mut idle = self.idle();
        if idle.len() < IDLE {
            idle.push((connection, Instant::now()));
        }
    }

    fn once<T>(
        &self,
        ask: impl Fn(&mut Connection) -> Result<T, RedisError>,
    ) -> Result<T, CallError> {
        let begun = Instant::now();
        self.absence.admit(begun).map_err(CallError::Away)?;
        let asked = self.take().and_then(|mut connection| {
            let asked = ask(&mut connection);
            match &asked {
                Err(error) if is_broken(error) => self.forget(),
                _ => self.give(connection),
            }
            asked
        });
        match &asked {
            Err(error) if error.is_timeout() => self.absence.timed_out(begun, Instant::now()),
            _ => self.answered(),
        }
        match &asked {
            Err(error) if is_broken(error) => self.returns.failed(begun),
            _ => self.returns.served(Instant::now(), SystemTime::now()),
        }
        if asked.as_ref().is_err_and(does_not_serve) {
            self.refusals.fetch_add(1, Ordering::AcqRel);
        }
        asked.map_err(CallError::Redis)
    }

    /// Runs a command that changes nothing. Retries once if the connection was broken.
    pub(super) fn read<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let asked = match self.once(|connection| command.query(connection)) {
            Err(CallError::Redis(error)) if error.is_connection_dropped() => {
                self.once(|connection| command.query(connection))
            }
            asked => asked,
        };
        asked.map_err(|error| store_error(&error))
    }

    /// Runs a script without a retry, since a script may have run when its connection breaks.
    pub(super) fn run<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[&str],
        arguments: &[&[u8]],
    ) -> Result<T, StoreError> {
        let ran = self.once(|connection| script.run(connection, keys, arguments));
        ran.map_err(|error| store_error(&error))
    }
}
