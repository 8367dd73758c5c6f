//! Background work: the component's to-do entries.

use super::driver::Driver;
use std::sync::Arc;
use std::time::Duration;

/// Pause after there was something to do.
const BUSY: Duration = Duration::from_millis(20);
/// Pause after all places were looked at.
const IDLE: Duration = Duration::from_secs(2);
/// Pieces of work in one round: one that never ends must not keep the others from their turn.
const MOST: u32 = 256;
/// Looks at names and subscriptions between two pauses; what is known to be due is found by any.
const LOOKS: u64 = 4;
/// The same at the start: what was under way when the last server stopped is found at once.
const FIRST_LOOKS: u64 = 64;

/// Has the component look after its streams for as long as this is polled.
pub(crate) async fn work(driver: Arc<Driver>) {
    let mut round: u64 = 0;
    let mut looks = FIRST_LOOKS;
    loop {
        for _ in 0..looks {
            let mut left = MOST;
            while left > 0 && driver.work(round).await {
                tokio::time::sleep(BUSY).await;
                left -= 1;
            }
            round = round.wrapping_add(1);
        }
        looks = LOOKS;
        driver.wait_until_due(IDLE).await;
    }
}
