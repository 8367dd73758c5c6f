//! Moments as RFC 3339 text.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// 9999-12-31T23:59:59.999Z, the last moment RFC 3339 can name, in milliseconds since 1970.
const LAST_MS: u64 = 253_402_300_799_999;

/// The text is no RFC 3339 timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an RFC 3339 timestamp such as 2030-01-31T12:00:00Z")]
pub struct NotATime;

/// Reads a timestamp as milliseconds since 1970; what is earlier becomes 0, and finer digits are
/// dropped.
pub fn parse(text: &str) -> Result<u64, NotATime> {
    // The library takes any byte between date and time.
    if !matches!(text.as_bytes().get(10), Some(b'T' | b't' | b' ')) {
        return Err(NotATime);
    }
    let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| NotATime)?;
    let ms = moment.unix_timestamp_nanos().div_euclid(1_000_000);
    Ok(u64::try_from(ms.max(0)).unwrap_or(LAST_MS).min(LAST_MS))
}

/// Writes milliseconds since 1970 in UTC; fractions only where there are any. What is later than
/// the year 9999 becomes its end.
#[must_use]
pub fn format(ms: u64) -> String {
    let nanos = i128::from(ms.min(LAST_MS)).saturating_mul(1_000_000);
    OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .ok()
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_default()
}
