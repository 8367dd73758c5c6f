//! The retry rules, for every request of this crate. `retries.md` has them for readers of the
//! documentation.

use reqwest::StatusCode;
use std::time::{Duration, Instant};

/// Pauses and the end of retries. See the crate's section on retries for the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Pause after the first failure. Default: 100 ms.
    pub first: Duration,
    /// Longest pause, unless the server asks for a longer one. Default: 5 s.
    pub longest: Duration,
    /// Time from the first failure to the begin of the last try. Zero turns retries off. Default:
    /// 240 s, because servers may forget an idle producer after 300 s, and a retry that comes later
    /// could be applied twice.
    pub give_up_after: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(5),
            give_up_after: Duration::from_secs(240),
        }
    }
}

impl Retry {
    /// No retries: every call ends with its first failure.
    #[must_use]
    pub const fn never() -> Self {
        Self {
            first: Duration::ZERO,
            longest: Duration::ZERO,
            give_up_after: Duration::ZERO,
        }
    }
}

/// Effect of a failed request on the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The request had no effect.
    NotApplied,
    /// The request had its effect once, or none.
    Unknown,
    /// A retry would fail as well.
    Final,
}

/// Returns the verdict of a response that is no success.
pub(crate) fn verdict(status: StatusCode, has_retry_after: bool) -> Verdict {
    match status {
        StatusCode::TOO_EARLY
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::INSUFFICIENT_STORAGE => Verdict::NotApplied,
        StatusCode::SERVICE_UNAVAILABLE if has_retry_after => Verdict::NotApplied,
        StatusCode::REQUEST_TIMEOUT
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Verdict::Unknown,
        _ => Verdict::Final,
    }
}

/// Pauses of one call.
#[derive(Debug)]
pub(crate) struct Schedule {
    retry: Retry,
    pause: Duration,
    first_failure: Option<Instant>,
}

impl Schedule {
    pub(crate) fn new(retry: &Retry) -> Self {
        Self {
            retry: retry.clone(),
            pause: retry.first,
            first_failure: None,
        }
    }

    /// Forgets the failures so far.
    pub(crate) fn progressed(&mut self) {
        self.pause = self.retry.first;
        self.first_failure = None;
    }

    /// Returns the pause before the next try, or `None` to give up. `asked` is the server's
    /// `Retry-After`.
    pub(crate) fn next(&mut self, asked: Option<Duration>, now: Instant) -> Option<Duration> {
        let first_failure = *self.first_failure.get_or_insert(now);
        let pause = shorten(self.pause).max(asked.unwrap_or_default());
        self.pause = self.pause.saturating_mul(2).min(self.retry.longest);
        let begin = now.duration_since(first_failure).saturating_add(pause);
        let may_retry = !self.retry.give_up_after.is_zero() && begin <= self.retry.give_up_after;
        may_retry.then_some(pause)
    }
}

/// Shortens a pause by up to a half at random.
fn shorten(pause: Duration) -> Duration {
    // Without randomness, clients return together, which is no error.
    let random = getrandom::u32().unwrap_or(u32::MAX);
    pause.mul_f64(0.5 + f64::from(random) / f64::from(u32::MAX) / 2.0)
}

/// Parses a `Retry-After`: seconds, or a date.
pub(crate) fn parse_retry_after(text: &str, now: std::time::SystemTime) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_503_is_not_applied_only_with_retry_after() {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        assert_eq!(verdict(status, true), Verdict::NotApplied);
        assert_eq!(verdict(status, false), Verdict::Unknown);
    }

    #[test]
    fn errors_of_the_caller_are_final() {
        for status in [400, 401, 403, 404, 409, 410, 412, 413, 500, 501] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(verdict(status, true), Verdict::Final, "{status}");
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_end_in_time() {
        let mut schedule = Schedule::new(&Retry {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(4),
            give_up_after: Duration::from_secs(60),
        });
        let mut bounds = vec![1, 2, 4, 4, 4].into_iter();
        let begun = Instant::now();
        let mut now = begun;
        while let Some(pause) = schedule.next(None, now) {
            if let Some(bound) = bounds.next() {
                let bound = Duration::from_secs(bound);
                assert!(
                    bound / 2 <= pause && pause <= bound,
                    "{pause:?} of {bound:?}"
                );
            }
            now += pause;
        }
        assert_eq!(bounds.next(), None);
        let spent = now.duration_since(begun);
        let (least, most) = (Duration::from_secs(56), Duration::from_secs(60));
        assert!(least <= spent && spent <= most, "{spent:?}");
    }

    #[test]
    fn progress_begins_the_time_anew() {
        let mut schedule = Schedule::new(&Retry::default());
        let asked = Some(Duration::from_secs(2));
        let begun = Instant::now();
        schedule.next(None, begun).unwrap();
        let later = begun + Duration::from_secs(239);
        assert_eq!(schedule.next(asked, later), None);
        schedule.progressed();
        assert!(schedule.next(asked, later).is_some());
    }

    #[test]
    fn without_retries_the_first_failure_ends_the_call() {
        assert_eq!(
            Schedule::new(&Retry::never()).next(None, Instant::now()),
            None
        );
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = std::time::UNIX_EPOCH + Duration::from_secs(784_111_770);
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(parse_retry_after("3", now), Some(Duration::from_secs(3)));
        assert_eq!(parse_retry_after(date, now), Some(Duration::from_secs(7)));
        assert_eq!(parse_retry_after("soon", now), None);
    }
}
