//! An actor runs one stream after another until the end of the soak.

use super::Shared;
use super::life::{Kind, Life};
use crate::http::Connection;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::time::{sleep, sleep_until};

/// Pause after a failure, so that the actor does not flood a server that is down.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs actor `number` of `of`.
pub(super) async fn act(shared: Rc<Shared>, number: usize, of: usize) {
    // Actors start one after the other, so streams of every age exist at any time.
    let share = number as f64 / of as f64;
    let first = shared.begun + (shared.interval * shared.appends).mul_f64(share);
    sleep_until(first.min(shared.ends).into()).await;
    let mut due = first;
    let mut connection = None;
    while !shared.is_over() {
        let done = live(&shared, Kind::of_actor(number), &mut connection, &mut due).await;
        if let Err(error) = done {
            shared.tally.failed(format!("{error:#}"));
            connection = None;
            sleep(PAUSE).await;
            due = due.max(Instant::now());
        }
    }
}

async fn live(
    shared: &Rc<Shared>,
    kind: Kind,
    connection: &mut Option<Connection>,
    due: &mut Instant,
) -> anyhow::Result<()> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(Connection::open(shared.target.address).await?),
    };
    Life::begin(shared, kind, connection).await?.run(due).await
}
