//! The `Date` field of responses.
//!
//! hyper formats its date once a second, and then waits for the next second of the clock. After the
//! clock is set back, hyper's date stays ahead until the clock catches up.

use http::header::HeaderValue;
use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A date, formatted for one second.
#[derive(Debug)]
struct Cached {
    second: Option<u64>,
    value: HeaderValue,
}

impl Cached {
    const EMPTY: Self = Self {
        second: None,
        value: HeaderValue::from_static(""),
    };

    /// The date at `now`. The clock may go back.
    fn at(&mut self, now: SystemTime) -> HeaderValue {
        let second = now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |age| age.as_secs());
        if self.second != Some(second) {
            let date = httpdate::HttpDate::from(UNIX_EPOCH + Duration::from_secs(second));
            // A date has only valid characters for a field.
            if let Ok(value) = HeaderValue::try_from(date.to_string()) {
                *self = Self {
                    second: Some(second),
                    value,
                };
            }
        }
        self.value.clone()
    }
}

/// The date of a response sent now.
pub(super) fn date() -> HeaderValue {
    thread_local!(static CACHED: RefCell<Cached> = const { RefCell::new(Cached::EMPTY) });
    CACHED.with_borrow_mut(|cached| cached.at(SystemTime::now()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After a jump of the clock by a day and its correction, responses had a date in the future
    /// for a day.
    #[test]
    fn the_date_follows_a_clock_that_is_set_back() {
        let mut cached = Cached::EMPTY;
        for (millis, expected) in [
            (784_111_777_000, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_777_999, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_778_000, "Sun, 06 Nov 1994 08:49:38 GMT"),
            (784_025_377_000, "Sat, 05 Nov 1994 08:49:37 GMT"),
        ] {
            let now = UNIX_EPOCH + Duration::from_millis(millis);
            assert_eq!(cached.at(now), expected);
        }
    }
}
