//! Messages of what other hosts changed; while there are none, Redis is asked instead.

use super::absence::PATIENCE;
use super::error::one_line;
use super::shared::Shared;
use crate::store::StoreError;
use crate::telemetry;
use redis::{Connection, PubSub, RedisError, Value, cmd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Silence after which the connection is tried.
const SILENCE: Duration = Duration::from_secs(1);
/// How often Redis is asked for the number of the latest change while there is no subscription.
const POLL: Duration = Duration::from_millis(250);

/// A message of no change: its number is below all others, and no key has this name.
pub(super) const NO_CHANGE: &str = "0000000000000000 ";

/// The thread that listens. Dropping this ends it, within the time of a silence.
pub(super) struct Feed {
    closing: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Release);
        self.thread.thread().unpark();
    }
}

/// Why messages don't come.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("{}", one_line(.0))]
    Redis(#[from] RedisError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("Redis does not serve any more")]
    Elsewhere,
}

impl Feed {
    /// Listens. Returns once it does, or was refused to: then it polls.
    pub(super) fn start(shared: &Arc<Shared>) -> std::io::Result<Self> {
        let closing = Arc::new(AtomicBool::new(false));
        let (started, waits) = mpsc::sync_channel(1);
        let feed = {
            let (shared, closing) = (Arc::clone(shared), Arc::clone(&closing));
            move || run(&shared, &closing, &started)
        };
        let thread = std::thread::Builder::new().name("store-feed".to_owned());
        let thread = thread.spawn(feed)?;
        // It sends, or it is gone.
        let _ = waits.recv();
        Ok(Self { closing, thread })
    }
}

fn run(shared: &Shared, closing: &AtomicBool, started: &mpsc::SyncSender<()>) {
    let mut told = false;
    // Whether there was no subscription since the last one was lost.
    let mut out = false;
    while !closing.load(Ordering::Acquire) {
        let subscribed = || {
            out = false;
            if std::mem::take(&mut told) {
                telemetry::back("redis subscription");
            }
            // Only the first time somebody waits.
            let _ = started.try_send(());
        };
        let Err(lost) = listen(shared, closing, subscribed) else {
            return;
        };
        // Other connections broke with this one.
        shared.pool.forget();
        if !std::mem::replace(&mut told, true) {
            let why = format!("{lost}; other hosts' changes are polled for");
            telemetry::warn("redis subscription lost", &why);
        }
        // A connection that was cut is not waited for.
        if std::mem::replace(&mut out, true) {
            // What can't be asked now is asked the next time.
            let _ = shared.catch_up();
            let _ = started.try_send(());
            std::thread::park_timeout(POLL);
        }
    }
}

/// Passes messages on until there are no more.
fn listen(shared: &Shared, closing: &AtomicBool, subscribed: impl FnOnce()) -> Result<(), Lost> {
    // First, so that no refusal is missed.
    let refusals = shared.pool.refusals();
    let mut connection: Connection = shared.pool.connect()?;
    // A command, because the method of this name does not tell that it was refused.
    cmd("SUBSCRIBE")
        .arg(&shared.names.channel)
        .query::<Value>(&mut connection)?;
    shared.pool.answered();
    let mut messages = connection.as_pubsub();
    // After the subscription, so that no change is missed in between.
    shared.catch_up()?;
    subscribed();
    messages.set_read_timeout(Some(SILENCE))?;
    while !closing.load(Ordering::Acquire) {
        // What the new master is told, the old one passes on late or never.
        if shared.pool.refusals() != refusals {
            return Err(Lost::Elsewhere);
        }
        match messages.get_message() {
            Ok(message) => shared.heard(message.get_payload_bytes())?,
            Err(error) if error.is_timeout() => try_out(&mut messages)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Tells of no change, so that a user who may not publish is found out now: all of its writes would
/// be refused.
pub(super) fn try_telling(connection: &mut Connection, channel: &str) -> Result<(), String> {
    let told = cmd("PUBLISH").arg(channel).arg(NO_CHANGE).exec(connection);
    told.map_err(|error| {
        let why = one_line(&error);
        match error.code() {
            Some("NOPERM") => format!(
                "its user may not tell of changes, so nothing could be written: grant it \
                 +publish &{channel} ({why})"
            ),
            _ => why,
        }
    })
}

/// Messages that come before the answer are kept.
fn try_out(messages: &mut PubSub<'_>) -> Result<(), RedisError> {
    messages.set_read_timeout(Some(PATIENCE))?;
    messages.ping::<Value>()?;
    messages.set_read_timeout(Some(SILENCE))
}
