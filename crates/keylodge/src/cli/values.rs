//! The kinds of value that flags have, and flags that many commands share.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use keylodge_api::admin::{Span, Time};
use keylodge_api::timestamp;
use keylodge_rules::Timestamp;

/// The project that a command is about.
#[derive(Clone, Debug, Args)]
pub(crate) struct OfProject {
    /// The project, by id or number
    #[arg(long, default_value = "default-project", value_name = "PROJECT")]
    pub(crate) project: String,
}

/// How much of a list is wanted.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Limit {
    /// List at most so many
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
}

/// When something stops working by itself.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Expiry {
    /// When it stops working, as 2027-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "ttl")]
    pub(crate) expire_time: Option<Time>,
    /// The same as a time from now, as 30d
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub(crate) ttl: Option<Span>,
}

impl Expiry {
    /// The end as a moment, by this machine's clock where it is a time from now.
    pub(crate) fn end(self) -> Option<Time> {
        self.expire_time.or_else(|| self.ttl.map(|Span(ttl)| Time(now().plus(ttl))))
    }
}

#[expect(clippy::disallowed_methods, reason = "a time from now on the command line means this machine's now")]
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(0).plus(since)
}

/// The moment so long ago, by this machine's clock.
pub(crate) fn ago(Span(time): Span) -> Time {
    let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    Time(Timestamp::from_micros(now().micros().saturating_sub(micros)))
}

/// Reads `90s`, `15m`, `24h` or `30d`.
pub(crate) fn span(text: &str) -> Result<Span, String> {
    let unit = |letter| match letter {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(60 * 60),
        'd' => Some(24 * 60 * 60),
        _ => None,
    };
    let seconds = || {
        let (at, letter) = text.char_indices().last()?;
        text[..at].parse::<u64>().ok()?.checked_mul(unit(letter)?)
    };
    let seconds = seconds().ok_or_else(|| "a length of time is written as 90s, 15m, 24h or 30d".to_owned())?;
    Ok(Span(Duration::from_secs(seconds)))
}

/// Reads a moment in RFC 3339.
pub(crate) fn moment(text: &str) -> Result<Time, String> {
    timestamp::parse(text).map(Time).map_err(|error| error.to_string())
}

/// Prints a moment.
pub(crate) fn at(time: Time) -> String {
    timestamp::print(time.0)
}

/// The same for a moment that need not be.
pub(crate) fn at_if(time: Option<Time>) -> String {
    time.map(at).unwrap_or_default()
}

/// Names with values, as they are given in one flag.
pub(crate) type Pairs = BTreeMap<String, String>;

/// Reads `a=b,c=d`.
pub(crate) fn pairs(text: &str) -> Result<Pairs, String> {
    let mut pairs = Pairs::new();
    for pair in text.split(',').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| format!("'{pair}' has no '='; it is written as name=value,name=value"))?;
        if pairs.insert(name.trim().to_owned(), value.to_owned()).is_some() {
            return Err(format!("'{name}' is given twice"));
        }
    }
    Ok(pairs)
}

/// The last segment of a name, as the key id of `projects/1/locations/global/keys/k`.
pub(crate) fn last(name: &str) -> String {
    name.rsplit('/').next().unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_has_a_unit() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("24h", 86_400), ("30d", 2_592_000)] {
            assert_eq!(span(text), Ok(Span(Duration::from_secs(seconds))), "{text}");
        }
        for text in ["", "90", "s", "-1s", "1.5h", "1w", "1ü", "99999999999999999999d", "18446744073709551615d"] {
            assert!(span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn pairs_are_read_with_what_stands_behind_the_first_equals_sign() {
        let read = pairs("team=blue,query=a=b,empty=").unwrap();

        assert_eq!(
            read.into_iter().collect::<Vec<_>>(),
            [("empty", ""), ("query", "a=b"), ("team", "blue")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert!(pairs("team").is_err() && pairs("a=1,a=2").is_err());
    }

    #[test]
    fn a_moment_is_rfc_3339() {
        assert_eq!(moment("2027-01-31T12:00:00+00:00").map(at).unwrap(), "2027-01-31T12:00:00Z");
        assert!(moment("tomorrow").is_err());
    }
}
