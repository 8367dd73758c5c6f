//! Times as text.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Writes Unix seconds as RFC 3339, in UTC. A time beyond the year 9999 is written as 1970.
pub(crate) fn rfc3339(epoch: u64) -> String {
    let seconds = i64::try_from(epoch).unwrap_or_default();
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_seconds_are_written_in_utc() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_900_000_000), "2030-03-17T17:46:40Z");
    }
}
