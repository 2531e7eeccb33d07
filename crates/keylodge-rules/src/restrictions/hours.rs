//! Hours of the week in which a key may be used.

use std::fmt;

use crate::{NameError, Timestamp};

/// A span of hours on some days of the week, by a fixed distance from UTC: `mon-fri 08:00-18:30 +01:00`.
///
/// The end is not part of it. A span whose end is not after its beginning goes on into the next day: `fri 22:00-02:00`
/// ends on Saturday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hours {
    /// Bit 0 is Monday.
    days: u8,
    from: u16,
    to: u16,
    /// Minutes to add to UTC.
    offset: i16,
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY_MINUTES: u16 = 24 * 60;
const WRONG: NameError = NameError {
    rule: "hours are days, a span and a distance from UTC, as 'mon-fri 08:00-18:30 +01:00', 'sat,sun 00:00-24:00 Z' or 'daily 22:00-06:00 Z'",
};

impl Hours {
    /// Reads days (`mon-fri`, `sat,sun`, `daily`), a span of hours and minutes, and `Z` or a distance such as `+05:30`.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        Self::read(text).ok_or(WRONG)
    }

    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (days, span, offset) = (words.next()?, words.next()?, words.next()?);
        if words.next().is_some() {
            return None;
        }
        let (from, to) = span.split_once('-')?;
        let (from, to) = (minute(from)?, minute(to)?);
        let offset = match offset.as_bytes().first()? {
            _ if offset == "Z" => 0,
            b'+' => i16::try_from(minute(&offset[1..])?).ok()?,
            b'-' => -i16::try_from(minute(&offset[1..])?).ok()?,
            _ => return None,
        };
        let fits = from < DAY_MINUTES && from != to && to > 0 && offset.unsigned_abs() <= 14 * 60;
        fits.then_some(Self { days: read_days(days)?, from, to, offset })
    }

    /// The hour (UTC) of the week that a moment lies in.
    #[must_use]
    pub fn around(now: Timestamp) -> Self {
        let minutes = now.micros().div_euclid(60_000_000);
        let weekday = (minutes.div_euclid(i64::from(DAY_MINUTES)) + 3).rem_euclid(7);
        let minute = u16::try_from(minutes.rem_euclid(i64::from(DAY_MINUTES))).unwrap_or_default();
        let from = minute - minute % 60;
        Self { days: 1 << weekday, from, to: from + 60, offset: 0 }
    }

    /// Whether a moment is within.
    #[must_use]
    pub fn contain(&self, now: Timestamp) -> bool {
        let minutes = now.micros().div_euclid(60_000_000) + i64::from(self.offset);
        // 1970-01-01 was a Thursday.
        let weekday = (minutes.div_euclid(i64::from(DAY_MINUTES)) + 3).rem_euclid(7);
        let minute = minutes.rem_euclid(i64::from(DAY_MINUTES));
        let begins = |weekday: i64| self.days >> weekday & 1 == 1;
        let (from, to) = (i64::from(self.from), i64::from(self.to));
        if from < to {
            begins(weekday) && (from..to).contains(&minute)
        } else {
            begins(weekday) && minute >= from || begins((weekday + 6) % 7) && minute < to
        }
    }
}

impl fmt::Display for Hours {
    /// In the one form that means this: `parse` reads it back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days == 0b111_1111 {
            f.write_str("daily")?;
        } else {
            let days = (0..7).filter(|day| self.days >> day & 1 == 1).map(|day| DAYS[day]);
            f.write_str(&days.collect::<Vec<_>>().join(","))?;
        }
        let clock = |minutes: u16| (minutes / 60, minutes % 60);
        let ((from, from_minute), (to, to_minute)) = (clock(self.from), clock(self.to));
        write!(f, " {from:02}:{from_minute:02}-{to:02}:{to_minute:02} ")?;
        let (hours, minutes) = clock(self.offset.unsigned_abs());
        match self.offset {
            0 => f.write_str("Z"),
            1.. => write!(f, "+{hours:02}:{minutes:02}"),
            _ => write!(f, "-{hours:02}:{minutes:02}"),
        }
    }
}

fn read_days(text: &str) -> Option<u8> {
    let day = |name: &str| DAYS.iter().position(|day| *day == name);
    if text == "daily" {
        return Some(0b111_1111);
    }
    let mut days = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        // sun-tue goes over the end of the week.
        let count = (last + 7 - first) % 7;
        (0..=count).for_each(|after| days |= 1 << ((first + after) % 7));
    }
    Some(days)
}

/// Minutes since midnight of `HH:MM`; 24:00 is the end of the day.
fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let digits = |text: &str| {
        let fits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    let all = hours * 60 + minutes;
    (minutes < 60 && all <= DAY_MINUTES).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A moment of the week of Monday, 5 January 1970, in UTC.
    fn moment(day: i64, hour: i64, minute: i64) -> Timestamp {
        Timestamp::from_micros((((4 + day) * 24 + hour) * 60 + minute) * 60_000_000)
    }

    fn check(hours: &str, day: i64, hour: i64, minute: i64) -> bool {
        Hours::parse(hours).unwrap().contain(moment(day, hour, minute))
    }

    #[test]
    fn office_hours_are_from_the_first_minute_to_before_the_last() {
        let office = "mon-fri 08:00-18:30 Z";

        assert!(check(office, 0, 8, 0) && check(office, 4, 18, 29));
        assert!(!check(office, 0, 7, 59) && !check(office, 4, 18, 30) && !check(office, 5, 12, 0));
    }

    #[test]
    fn a_night_belongs_to_the_day_it_begins_on() {
        let night = "fri 22:00-02:00 Z";

        assert!(check(night, 4, 22, 0) && check(night, 5, 1, 59));
        assert!(!check(night, 4, 1, 0) && !check(night, 5, 2, 0) && !check(night, 5, 23, 0));
        assert!(check("sun 23:00-01:00 Z", 7, 0, 30), "over the end of the week");
    }

    #[test]
    fn the_distance_from_utc_moves_day_and_hour() {
        assert!(check("mon 00:00-01:00 +05:30", -1, 18, 30));
        assert!(!check("mon 00:00-01:00 +05:30", 0, 0, 0));
        assert!(check("sun 23:00-24:00 -01:00", 7, 0, 30));
    }

    #[test]
    fn days_may_go_over_the_end_of_the_week() {
        assert_eq!(Hours::parse("sat-mon 00:00-24:00 Z").unwrap().to_string(), "mon,sat,sun 00:00-24:00 Z");
    }

    #[test]
    fn what_means_no_hours_is_turned_away() {
        for bad in [
            "",
            "mon",
            "mon 08:00",
            "mon 08:00-08:00 Z",
            "mon 8:00-9:00 Z",
            "mon 08:00-25:00 Z",
            "mon 24:00-08:00 Z",
            "mon 08:60-09:00 Z",
            "day 08:00-09:00 Z",
            "mon 08:00-09:00 +15:00",
            "mon 08:00-09:00 Z Z",
            "mon 08:00-00:00 Z",
        ] {
            assert!(Hours::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_hours_print_they_also_read(days in 1u8..128, from in 0u16..1440, to in 1u16..=1440, offset in -840i16..=840) {
            prop_assume!(from != to);
            let hours = Hours { days, from, to, offset };
            prop_assert_eq!(Hours::parse(&hours.to_string()), Ok(hours));
        }

        #[test]
        fn each_moment_of_a_week_is_in_the_hours_or_in_their_complement(from in 1u16..1439, to in 1u16..1439, minute in 0i64..10080) {
            prop_assume!(from != to);
            let hours = |from, to| Hours { days: 0b111_1111, from, to, offset: 0 };
            let now = Timestamp::from_micros(minute * 60_000_000);
            prop_assert_ne!(hours(from, to).contain(now), hours(to, from).contain(now));
        }

        #[test]
        fn the_hour_of_a_moment_has_it_and_not_the_hour_before_or_after(micros: i32) {
            let now = Timestamp::from_micros(i64::from(micros) * 1_000_003);
            let hours = Hours::around(now);
            let hour = 60 * 60 * 1_000_000;
            let beside = |micros| Timestamp::from_micros(now.micros() + micros);

            prop_assert!(hours.contain(now) && !hours.contain(beside(hour)) && !hours.contain(beside(-hour)));
            prop_assert_eq!(Hours::parse(&hours.to_string()), Ok(hours));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text: String) {
            let _ = Hours::parse(&text);
        }
    }
}
