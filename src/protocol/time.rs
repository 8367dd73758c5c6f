//! Timestamps as RFC 3339 text.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// 9999-12-31T23:59:59.999Z, the last moment that RFC 3339 can express, in milliseconds since 1970.
const LAST_MS: u64 = 253_402_300_799_999;

/// The text is not an RFC 3339 timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an RFC 3339 timestamp such as 2030-01-31T12:00:00Z")]
pub struct NotATime;

/// Parses a timestamp into milliseconds since 1970. An earlier time becomes 0, and finer digits are
/// dropped.
///
/// # Errors
///
/// The text is not an RFC 3339 timestamp.
pub fn parse(text: &str) -> Result<u64, NotATime> {
    // The library accepts any byte between date and time.
    if !matches!(text.as_bytes().get(10), Some(b'T' | b't' | b' ')) {
        return Err(NotATime);
    }
    let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| NotATime)?;
    let ms = moment.unix_timestamp_nanos().div_euclid(1_000_000);
    Ok(u64::try_from(ms.max(0)).unwrap_or(LAST_MS).min(LAST_MS))
}

/// Formats milliseconds since 1970 in UTC, with a fraction only if it is not zero. A time after the
/// year 9999 becomes the end of that year.
#[must_use]
pub fn format(ms: u64) -> String {
    let nanos = i128::from(ms.min(LAST_MS)).saturating_mul(1_000_000);
    OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .ok()
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_moment_has_several_spellings() {
        for text in [
            "2030-01-31T12:00:00Z",
            "2030-01-31t12:00:00z",
            "2030-01-31T12:00:00.000Z",
            "2030-01-31T12:00:00+00:00",
            "2030-01-31T12:00:00-00:00",
            "2030-01-31T14:30:00+02:30",
            "2030-01-31T12:00:00.0009Z",
        ] {
            assert_eq!(parse(text), Ok(1_896_091_200_000), "{text}");
        }
        assert_eq!(format(1_896_091_200_000), "2030-01-31T12:00:00Z");
        assert_eq!(format(1_896_091_200_050), "2030-01-31T12:00:00.05Z");
    }

    #[test]
    fn times_out_of_range_are_clamped() {
        assert_eq!(parse("1969-12-31T23:59:59.999Z"), Ok(0));
        assert_eq!(parse("0000-01-01T00:00:00+23:59"), Ok(0));
        assert_eq!(parse("9999-12-31T23:59:59.999999999Z"), Ok(LAST_MS));
        assert_eq!(parse("9999-12-31T23:59:59-23:59"), Ok(LAST_MS));
        assert_eq!(format(u64::MAX), "9999-12-31T23:59:59.999Z");
        assert_eq!(format(0), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn malformed_timestamps_are_refused() {
        for text in [
            "",
            "tomorrow",
            "1896091200",
            "2030-01-31",
            "2030-01-31T12:00:00",
            "2030-01-31T12:00Z",
            "2030-1-31T12:00:00Z",
            "2030-13-31T12:00:00Z",
            "2030-02-30T12:00:00Z",
            "2030-01-31T24:00:00Z",
            "2030-01-31T12:60:00Z",
            "2030-01-31T12:00:00Z ",
            " 2030-01-31T12:00:00Z",
            "2030-01-31_12:00:00Z",
            "2030-01-31T12:00:00.Z",
            "+2030-01-31T12:00:00Z",
            "-2030-01-31T12:00:00Z",
            "12030-01-31T12:00:00Z",
            "2030-01-31T12:00:00+0000",
            "2030-01-31\u{e9}12:00:00Z",
        ] {
            assert_eq!(parse(text), Err(NotATime), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_a_panic(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn likely_texts_are_judged_without_a_panic(
            text in "[0-9]{4}-[0-9]{2}-[0-3][0-9][Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{0,12})?(Z|[+-][0-9]{2}:[0-9]{2})",
        ) {
            let _ = parse(&text);
        }

        #[test]
        fn written_values_are_read_back(ms in 0..=LAST_MS) {
            prop_assert_eq!(parse(&format(ms)), Ok(ms));
        }

        #[test]
        fn any_moment_can_be_written(ms: u64) {
            prop_assert!(parse(&format(ms)).is_ok());
        }
    }
}
