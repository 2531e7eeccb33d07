//! Dollars as people write them, and the billionths that are counted. Money is never a floating point number.

use std::fmt::Write as _;

const NANOS: u64 = 1_000_000_000;
/// Digits after the point.
const DIGITS: usize = 9;

/// Reads dollars with up to nine digits after the point, as `12.50`: so many billionths of a US dollar. Nothing where it is
/// no such number or beyond `u64` (about 18 billion dollars).
#[must_use]
pub fn nanos(dollars: &str) -> Option<u64> {
    let (whole, fraction) = dollars.split_once('.').unwrap_or((dollars, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || fraction.len() > DIGITS {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<DIGITS$}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(NANOS)?.checked_add(fraction)
}

/// Prints billionths of a US dollar as dollars, without needless digits; [`nanos`] reads it.
#[must_use]
pub fn dollars(nanos: u64) -> String {
    let mut text = (nanos / NANOS).to_string();
    let fraction = nanos % NANOS;
    if fraction > 0 {
        let _ = write!(text, ".{fraction:0DIGITS$}");
        text.truncate(text.trim_end_matches('0').len());
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dollars_are_read_to_the_billionth() {
        let check = |text: &str, read: Option<u64>| assert_eq!(nanos(text), read, "{text:?}");

        check("0", Some(0));
        check("0.30", Some(300_000_000));
        check("12.5", Some(12_500_000_000));
        check("0.000000001", Some(1));
        check("18446744073.709551615", Some(u64::MAX));
        for bad in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", " 1", "1.0000000001", "18446744073.709551616"] {
            check(bad, None);
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(amount: u64) {
            prop_assert_eq!(nanos(&dollars(amount)), Some(amount));
        }
    }
}
