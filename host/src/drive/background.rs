//! Background work: expiry of streams, and removal of the chunks of ended lives.

use super::driver::Driver;
use std::sync::Arc;
use std::time::Duration;

/// Pause between two pieces of work while every instance serves requests.
const BUSY: Duration = Duration::from_millis(20);
/// Pause after a round over all places.
const IDLE: Duration = Duration::from_secs(2);
/// Shortest pause. Streams that expire one by one are then found together.
const LEAST: Duration = Duration::from_millis(100);
/// Most pieces of work in one round. Endless work in one round must not keep the others from their
/// turn.
const MOST: u32 = 4096;
/// Rounds between two pauses. Each examines some names and subscriptions, and finds all work known
/// to be due.
const ROUNDS: u64 = 4;
/// Rounds at the start, and after a find: where one stream expired, others probably did.
const MANY_ROUNDS: u64 = 64;

/// Lets the component maintain its streams until this future is dropped. It works in small pieces
/// while there is work, as requests go first.
pub(crate) async fn work(driver: Arc<Driver>) {
    let mut round: u64 = 0;
    let mut rounds = MANY_ROUNDS;
    loop {
        let mut found = false;
        for _ in 0..rounds {
            let mut left = MOST;
            while left > 0 && driver.work(round).await {
                found = true;
                left -= 1;
                match driver.has_idle_instance() {
                    true => tokio::task::yield_now().await,
                    false => tokio::time::sleep(BUSY).await,
                }
            }
            round = round.wrapping_add(1);
        }
        rounds = if found { MANY_ROUNDS } else { ROUNDS };
        tokio::time::sleep(LEAST).await;
        driver.wait_until_due(IDLE).await;
    }
}
