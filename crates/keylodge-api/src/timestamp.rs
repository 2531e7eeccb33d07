//! Moments as RFC 3339 text in UTC, as proto3 JSON prints them.

use std::fmt;

use keylodge_rules::Timestamp;

/// Text was not a moment in RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAMoment;

impl fmt::Display for NotAMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a moment is written as 2026-01-31T12:00:00Z")
    }
}

impl std::error::Error for NotAMoment {}

/// Prints a moment with no, three or six digits of fraction, as `2026-01-31T12:00:00.123456Z`. A moment outside the
/// years -9999 to 9999 prints as the epoch.
#[must_use]
pub fn print(moment: Timestamp) -> String {
    let time = jiff::Timestamp::from_microsecond(moment.micros()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    match moment.micros().rem_euclid(1_000_000) {
        0 => format!("{time:.0}"),
        micros if micros % 1000 == 0 => format!("{time:.3}"),
        _ => format!("{time:.6}"),
    }
}

/// Reads a moment with any offset from UTC. Digits of the fraction after the sixth are dropped.
///
/// # Errors
/// When the text is not such a moment.
pub fn parse(text: &str) -> Result<Timestamp, NotAMoment> {
    let time: jiff::Timestamp = text.parse().map_err(|_| NotAMoment)?;
    Ok(Timestamp::from_micros(time.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_back_from_any_offset_and_precision() {
        let noon = Timestamp::from_micros(1_769_860_800_123_456);

        for text in ["2026-01-31T12:00:00.123456Z", "2026-01-31T13:00:00.123456789+01:00", &print(noon)] {
            assert_eq!(parse(text), Ok(noon), "{text}");
        }
        for text in ["", "noon", "2026-01-31", "2026-01-31T12:00:00", "2026-02-31T12:00:00Z"] {
            assert_eq!(parse(text), Err(NotAMoment), "{text}");
        }
    }

    #[test]
    fn a_moment_prints_as_google_prints_it() {
        assert_eq!(print(Timestamp::from_micros(1_769_860_800_123_456)), "2026-01-31T12:00:00.123456Z");
        assert_eq!(print(Timestamp::from_micros(1_769_860_800_000_000)), "2026-01-31T12:00:00Z");
        assert_eq!(print(Timestamp::from_micros(1_769_860_800_120_000)), "2026-01-31T12:00:00.120Z");
        assert_eq!(print(Timestamp::from_micros(1_769_860_800_123_450)), "2026-01-31T12:00:00.123450Z");
    }
}
