//! Feed of the changes of other hosts. Without a subscription the feed polls Redis.

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

/// Silence after which the connection is tested.
const SILENCE: Duration = Duration::from_secs(1);
/// Interval of polls for the latest change number while there is no subscription.
const POLL: Duration = Duration::from_millis(250);

/// Message without a change: its number is below all others, and no key has this name.
pub(super) const NO_CHANGE: &str = "0000000000000000 ";

/// The thread that receives messages. Dropping this ends the thread within the time of a silence.
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

/// Reason why no messages arrive.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("{}", one_line(.0))]
    Redis(#[from] RedisError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("this Redis is not the master any more, or is loading")]
    Elsewhere,
}

impl Feed {
    /// Starts the thread. Returns once it has subscribed, or has failed and polls instead.
    pub(super) fn start(shared: &Arc<Shared>) -> std::io::Result<Self> {
        let closing = Arc::new(AtomicBool::new(false));
        let (started, waits) = mpsc::sync_channel(1);
        let feed = {
            let (shared, closing) = (Arc::clone(shared), Arc::clone(&closing));
            move || run(&shared, &closing, &started)
        };
        let thread = std::thread::Builder::new().name("store-feed".to_owned());
        let thread = thread.spawn(feed)?;
        // The thread sends, or its end drops the sender.
        let _ = waits.recv();
        Ok(Self { closing, thread })
    }
}

fn run(shared: &Shared, closing: &AtomicBool, started: &mpsc::SyncSender<()>) {
    let mut warned = false;
    // Whether no subscription succeeded since the last failure.
    let mut out = false;
    while !closing.load(Ordering::Acquire) {
        let subscribed = || {
            out = false;
            if std::mem::take(&mut warned) {
                telemetry::back("redis subscription");
            }
            // Only the first send has a receiver.
            let _ = started.try_send(());
        };
        let Err(lost) = listen(shared, closing, subscribed) else {
            return;
        };
        // Other connections probably broke with this one.
        shared.pool.forget();
        if !std::mem::replace(&mut warned, true) {
            let why = format!("{lost}; the host polls for changes of other hosts");
            telemetry::warn("redis subscription lost", &why);
        }
        // Reconnect at once after a lost subscription. Poll only if that fails, too.
        if std::mem::replace(&mut out, true) {
            // If this poll fails, the next one catches up.
            let _ = shared.catch_up();
            let _ = started.try_send(());
            std::thread::park_timeout(POLL);
        }
    }
}

/// Forwards messages until the subscription is lost, or the feed is closed.
fn listen(shared: &Shared, closing: &AtomicBool, subscribed: impl FnOnce()) -> Result<(), Lost> {
    // Read this first, so that no refusal is missed.
    let refusals = shared.pool.refusals();
    let mut connection: Connection = shared.pool.connect()?;
    // This is a plain command, since the method of this name does not report a refusal.
    cmd("SUBSCRIBE")
        .arg(&shared.names.channel)
        .query::<Value>(&mut connection)?;
    shared.pool.answered();
    let mut messages = connection.as_pubsub();
    // Catch up after the subscription, so that no change is missed in between.
    shared.catch_up()?;
    subscribed();
    messages.set_read_timeout(Some(SILENCE))?;
    while !closing.load(Ordering::Acquire) {
        // The old master forwards the messages of the new one late or never.
        if shared.pool.refusals() != refusals {
            return Err(Lost::Elsewhere);
        }
        match messages.get_message() {
            Ok(message) => shared.receive(message.get_payload_bytes())?,
            Err(error) if error.is_timeout() => try_out(&mut messages)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Publishes a message without a change, to detect a user without the right to publish. All writes
/// of such a user would be refused.
pub(super) fn try_publish(connection: &mut Connection, channel: &str) -> Result<(), String> {
    let published = cmd("PUBLISH").arg(channel).arg(NO_CHANGE).exec(connection);
    published.map_err(|error| {
        let why = one_line(&error);
        match error.code() {
            Some("NOPERM") => format!(
                "its user may not publish changes, so no write would succeed: grant it +publish \
                 &{channel} ({why})"
            ),
            _ => why,
        }
    })
}

/// Tests the connection. Messages that arrive before the answer are kept.
fn try_out(messages: &mut PubSub<'_>) -> Result<(), RedisError> {
    messages.set_read_timeout(Some(PATIENCE))?;
    messages.ping::<Value>()?;
    messages.set_read_timeout(Some(SILENCE))
}
