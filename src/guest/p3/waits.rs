//! Waits of an exchange on a platform that reports no changes. A wait ends with news from this
//! instance, a poll of the store, its deadline, or the connection's maximum age.

use super::hub::{Membership, News};
use crate::guest::polling;
use crate::service::exchange::Cause;
use futures::future::{Either, select};
use spin_sdk::wasip3::clocks::monotonic_clock;
use std::pin::pin;

const MS: u64 = 1_000_000;

/// Waits `ms` milliseconds.
pub(super) async fn pause(ms: u64) {
    monotonic_clock::wait_for(ms.saturating_mul(MS)).await;
}

/// When a wait and a connection end, in monotonic nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) wait: u64,
    pub(super) age: u64,
}

/// The moment `ms` milliseconds after `start`.
pub(super) const fn after(start: u64, ms: u64) -> u64 {
    start.saturating_add(ms.saturating_mul(MS))
}

/// The monotonic clock, in nanoseconds.
pub(super) fn now() -> u64 {
    monotonic_clock::now()
}

/// Waits in `place` for the cause of the next step. `Changed` may also mean that it is time to
/// poll.
pub(super) async fn cause(place: &mut Membership, ends: Ends) -> Cause {
    loop {
        let start = now();
        if start >= ends.age {
            return Cause::Expired;
        }
        if start >= ends.wait {
            return Cause::Timeout;
        }
        let look = place
            .polls()
            .map(|quiet_ms| after(start, polling::pause_ms(quiet_ms)));
        let end = look.unwrap_or(u64::MAX).min(ends.wait).min(ends.age);
        let timer = pin!(monotonic_clock::wait_until(end));
        let news = pin!(place.news());
        let news = match select(news, timer).await {
            Either::Left((news, _)) => Some(news),
            Either::Right(_) => None,
        };
        match news {
            Some(News::Changed) => return Cause::Changed,
            None if look == Some(end) => return Cause::Changed,
            Some(News::Poll) | None => {}
        }
    }
}
