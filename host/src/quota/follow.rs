//! Walks that count all streams anew.

use super::counter::Counter;
use crate::store::Store;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// Time between two looks at whether a walk is due.
const LOOK: Duration = Duration::from_secs(1);

/// Least time between the beginnings of two walks.
const BETWEEN: Duration = Duration::from_secs(5);

/// Pause after a step that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Pause after a step over a network, in times of its length: other calls of the store come first.
const REST: u32 = 9;

/// Counts the streams of a store for ever.
pub(super) async fn follow(counter: &Arc<Counter>, store: &Arc<dyn Store>) {
    // Other hosts may use a store that is behind a network.
    let is_shared = store.blocks();
    let mut is_first = true;
    let mut losses = store.losses();
    loop {
        let begun = Instant::now();
        loop {
            let step_begun = Instant::now();
            let (of_step, below) = (Arc::clone(counter), Arc::clone(store));
            match spawn_blocking(move || of_step.step(&*below)).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => break,
                Ok(Err(_)) => sleep(PAUSE).await,
                // The runtime is shutting down.
                Err(_) => return,
            }
            // A loss takes back changes that this walk may have counted.
            if store.losses() != losses {
                losses = store.losses();
                counter.begin_walk();
            }
            if is_shared && !is_first {
                sleep(step_begun.elapsed().saturating_mul(REST)).await;
            }
        }
        is_first = false;
        loop {
            sleep(LOOK).await;
            let is_due = is_shared
                || counter.is_in_doubt()
                || counter.has_room_for_rest()
                || store.losses() != losses;
            if is_due && begun.elapsed() >= BETWEEN {
                break;
            }
        }
        losses = store.losses();
        counter.begin_walk();
    }
}
