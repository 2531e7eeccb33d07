//! Moments as RFC 3339 text in UTC, as proto3 JSON prints them.

use keylodge_rules::Timestamp;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_prints_as_google_prints_it() {
        assert_eq!(print(Timestamp::from_micros(1_769_860_800_123_456)), "2026-01-31T12:00:00.123456Z");
        assert_eq!(print(Timestamp::from_micros(1_769_860_800_000_000)), "2026-01-31T12:00:00Z");
        assert_eq!(print(Timestamp::from_micros(1_769_860_800_120_000)), "2026-01-31T12:00:00.120Z");
        assert_eq!(print(Timestamp::from_micros(1_769_860_800_123_450)), "2026-01-31T12:00:00.123450Z");
    }
}
