//! Background work: expired streams, and what ended lives left.

use super::driver::Driver;
use std::sync::Arc;
use std::time::Duration;

/// Pause between two pieces of work while every instance serves requests.
const BUSY: Duration = Duration::from_millis(20);
/// Pause after all places were looked at.
const IDLE: Duration = Duration::from_secs(2);
/// Shortest pause: streams that expire one by one are found together.
const LEAST: Duration = Duration::from_millis(100);
/// Pieces of work in one round: one that never ends must not keep the others from their turn.
const MOST: u32 = 4096;
/// Looks at names and subscriptions between two pauses; what is known to be due is found by any.
const LOOKS: u64 = 4;
/// The same at the start, and after a look that found something: where one stream expired, others did.
const MANY_LOOKS: u64 = 64;

/// Has the component look after its streams for as long as this is polled. It works while there is
/// work, in small pieces: requests go first.
pub(crate) async fn work(driver: Arc<Driver>) {
    let mut round: u64 = 0;
    let mut looks = MANY_LOOKS;
    loop {
        let mut found = false;
        for _ in 0..looks {
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
        looks = if found { MANY_LOOKS } else { LOOKS };
        tokio::time::sleep(LEAST).await;
        driver.wait_until_due(IDLE).await;
    }
}
