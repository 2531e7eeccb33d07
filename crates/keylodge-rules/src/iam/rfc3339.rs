//! Reading moments that callers wrote, as CEL's `timestamp()` takes them.

use crate::Timestamp;

/// Reads `YYYY-MM-DDTHH:MM:SS[.fraction](Z|±HH:MM)` (RFC 3339), strictly: capital `T` and `Z`, years 0001 to 9999, no
/// leap seconds, at most nine digits of fraction. Digits beyond microseconds are cut off, so a deadline is never later
/// than written.
pub(super) fn read(text: &str) -> Option<Timestamp> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let bytes = date_time.as_bytes();
    let separated = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')].iter().all(|(at, b)| bytes[*at] == *b);
    let part = |from, to| digits(date_time.get(from..to)?);
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    let in_range = year >= 1
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !separated || !in_range {
        return None;
    }

    let (micros, zone) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(rest) => {
            let (fraction, zone) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
            if !(1..=9).contains(&fraction.len()) {
                return None;
            }
            (digits(&format!("{fraction:0<6}")[..6])?, zone)
        }
    };
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset(zone)?;
    Some(Timestamp::from_micros(seconds * 1_000_000 + micros))
}

/// Seconds that a zone is ahead of UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, clock) = zone.split_at_checked(1)?;
    let (hours, minutes) = clock.split_once(':').filter(|(hours, minutes)| hours.len() == 2 && minutes.len() == 2)?;
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    match sign {
        _ if hours > 23 || minutes > 59 => None,
        "+" => Some(hours * 3600 + minutes * 60),
        "-" => Some(-(hours * 3600 + minutes * 60)),
        _ => None,
    }
}

fn digits(text: &str) -> Option<i64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

const fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01, by the proleptic Gregorian calendar. Years are counted from March, so that a leap day is the
/// last of its year.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn micros(text: &str) -> Option<i64> {
        read(text).map(Timestamp::micros)
    }

    #[test]
    fn moments_are_read_in_any_zone() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:00.000001Z", 1),
            ("1969-12-31T23:59:59.5Z", -500_000),
            ("2026-01-31T12:00:00.123456789Z", 1_769_860_800_123_456),
            ("2026-01-31T13:30:00.123456+01:30", 1_769_860_800_123_456),
            ("2026-01-31T04:00:00.123456-08:00", 1_769_860_800_123_456),
            ("2000-02-29T00:00:00Z", 951_782_400_000_000),
            ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
            ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
        ] {
            assert_eq!(micros(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_strictly_a_moment_is_refused() {
        for text in [
            "",
            "2030-01-01",
            "2030-01-01T00:00:00",
            "2030-01-01t00:00:00Z",
            "2030-01-01T00:00:00z",
            "2030-01-01 00:00:00Z",
            "2030-1-01T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "2030-13-01T00:00:00Z",
            "2030-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2030-04-31T00:00:00Z",
            "2030-01-01T24:00:00Z",
            "2030-01-01T00:60:00Z",
            "2016-12-31T23:59:60Z",
            "2030-01-01T00:00:00.Z",
            "2030-01-01T00:00:00.1234567890Z",
            "2030-01-01T00:00:00.5",
            "2030-01-01T00:00:00+24:00",
            "2030-01-01T00:00:00+01:60",
            "2030-01-01T00:00:00+0100",
            "2030-01-01T00:00:00+1:00",
            "2030-01-01T00:00:00+-1:00",
            "2030-01-01T00:00:00ZZ",
            "+030-01-01T00:00:00Z",
            "2030-01-01T00:00:0０Z",
        ] {
            assert_eq!(micros(text), None, "{text}");
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut before = days_since_1970(1, 1, 1) - 1;
        for year in 1..=2400 {
            for month in 1..=12 {
                for day in 1..=days_in(year, month) {
                    assert_eq!(days_since_1970(year, month, day), before + 1, "{year}-{month}-{day}");
                    before += 1;
                }
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_stumble(text in ".{0,40}", tail in ".{0,12}") {
            read(&text);
            read(&format!("2030-01-01T00:00:00{tail}"));
        }
    }
}
