//! Numbers between bounds, digit by digit.

use serde_json::Number;

/// The largest whole number that every reader of JSON keeps exactly: 2⁵³ - 1.
const EXACT_MAX: i128 = (1 << 53) - 1;
/// Whole numbers of bounds have fewer digits than this, and so have fractions.
const DIGITS_MAX: u32 = 18;
/// Digits before the point and behind it, one bound's with the other's: more cannot be counted with.
const DIGITS_TOGETHER_MAX: usize = 36;
/// How many more digits a fraction may have than its bounds.
const MORE_DIGITS: u32 = 12;
/// How far inside of an exclusive bound numbers begin, in digits.
const INSIDE_DIGITS: u32 = 3;

/// Whole numbers from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) from: i128,
    pub(super) to: i128,
}

/// Numbers between bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) from: Option<Bound>,
    pub(super) to: Option<Bound>,
}

/// A bound and whether the number itself is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) at: Decimal,
    pub(super) is_exclusive: bool,
}

/// `digits` / 10^`scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    digits: i128,
    scale: u32,
}

impl Decimal {
    /// `None` if it has too many digits to count with.
    pub(super) fn of(number: &Number) -> Option<Self> {
        let plain = match number.as_i128() {
            Some(whole) => whole.to_string(),
            None => format!("{}", number.as_f64()?),
        };
        let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
        let digits_of = |text: &str| u32::try_from(text.trim_start_matches('-').len()).unwrap_or(u32::MAX);
        if digits_of(whole) > DIGITS_MAX || digits_of(fraction) > DIGITS_MAX {
            return None;
        }
        Some(Self { digits: format!("{whole}{fraction}").parse().ok()?, scale: digits_of(fraction) })
    }

    /// A whole number.
    pub(super) const fn whole(digits: i128) -> Self {
        Self { digits, scale: 0 }
    }

    fn at_scale(self, scale: u32) -> i128 {
        self.digits * 10_i128.pow(scale - self.scale)
    }

    fn is_below(self, other: Self) -> bool {
        let scale = self.scale.max(other.scale);
        self.at_scale(scale) < other.at_scale(scale)
    }
}

impl Range {
    /// Takes the narrower of two lower bounds.
    pub(super) fn raise(&mut self, bound: Bound) {
        if self.from.is_none_or(|from| !bound.at.is_below(from.at) && (bound.is_exclusive || from.at != bound.at)) {
            self.from = Some(bound);
        }
    }

    /// Takes the narrower of two upper bounds.
    pub(super) fn lower(&mut self, bound: Bound) {
        if self.to.is_none_or(|to| !to.at.is_below(bound.at) && (bound.is_exclusive || to.at != bound.at)) {
            self.to = Some(bound);
        }
    }

    /// Its whole numbers; `None` if there are none.
    pub(super) fn whole(self) -> Option<Whole> {
        let from = self.from.map(|bound| {
            let unit = 10_i128.pow(bound.at.scale);
            let floor = bound.at.digits.div_euclid(unit);
            let is_met = bound.at.digits.rem_euclid(unit) == 0 && !bound.is_exclusive;
            if is_met { floor } else { floor + 1 }
        });
        let to = self.to.map(|bound| {
            let unit = 10_i128.pow(bound.at.scale);
            let floor = bound.at.digits.div_euclid(unit);
            let is_left_out = bound.at.digits.rem_euclid(unit) == 0 && bound.is_exclusive;
            if is_left_out { floor - 1 } else { floor }
        });
        let beyond = 10_i128.pow(DIGITS_MAX) - 1;
        let from_or = from.unwrap_or_else(|| if to.is_some_and(|to| to < -EXACT_MAX) { -beyond } else { -EXACT_MAX });
        let to_or = to.unwrap_or(if from_or > EXACT_MAX { beyond } else { EXACT_MAX });
        let (from, to) = (from_or.max(-beyond), to_or.min(beyond));
        (from <= to).then_some(Whole { from, to })
    }

    /// How many digits are behind the point.
    fn scale(self) -> u32 {
        let bounds = [self.from, self.to];
        let bounds = bounds.iter().flatten();
        let scale = bounds.clone().map(|bound| bound.at.scale).max().unwrap_or(0);
        if bounds.clone().any(|bound| bound.is_exclusive) { scale + INSIDE_DIGITS } else { scale }
    }

    /// Whether one bound is not too large for how fine the other is. Only then there is [`Self::gbnf`].
    pub(super) fn is_countable(self) -> bool {
        let whole = |bound: Bound| (bound.at.digits / 10_i128.pow(bound.at.scale)).unsigned_abs().to_string().len();
        let whole = [self.from, self.to].into_iter().flatten().map(whole).max().unwrap_or(0);
        whole + self.scale() as usize <= DIGITS_TOGETHER_MAX
    }

    /// GBNF of its numbers; `None` if there are none.
    pub(super) fn gbnf(self) -> Option<String> {
        if self == Self::default() {
            return Some("\"-\"? (\"0\" | [1-9] [0-9]{0,14}) (\".\" [0-9]{1,15})? ([eE] [-+]? [0-9]{1,2})?".to_owned());
        }
        let scale = self.scale();
        let unit = 10_i128.pow(scale);
        let step = |bound: Bound| i128::from(bound.is_exclusive);
        let from = self.from.map(|bound| bound.at.at_scale(scale) + step(bound));
        let to = self.to.map(|bound| bound.at.at_scale(scale) - step(bound));
        let from = from.unwrap_or_else(|| to.unwrap_or(0).min(0) - EXACT_MAX * unit);
        let to = to.unwrap_or_else(|| from.max(0) + EXACT_MAX * unit);
        if from > to {
            return None;
        }
        let mut forms = Vec::new();
        if to >= 0 {
            with_more_digits(from.max(0), to, scale, "", &mut forms);
        }
        if from < 0 {
            with_more_digits((-to).max(0), -from, scale, "\"-\" ", &mut forms);
        }
        Some(forms.join(" | "))
    }
}

impl Whole {
    pub(super) fn gbnf(self) -> String {
        if (self.from, self.to) == (-EXACT_MAX, EXACT_MAX) {
            return "\"0\" | \"-\"? [1-9] [0-9]{0,14}".to_owned();
        }
        let mut forms = Vec::new();
        if self.to >= 0 {
            counted(self.from.max(0), self.to, 0, &mut |digits| forms.push(digits.to_owned()));
        }
        if self.from < 0 {
            // From one: nobody writes -0.
            counted((-self.to).max(1), -self.from, 0, &mut |digits| forms.push(format!("\"-\" {digits}")));
        }
        forms.join(" | ")
    }
}

/// The numbers between two that are not negative, with as many digits as the bounds have, or with more.
fn with_more_digits(from: i128, to: i128, scale: u32, sign: &str, forms: &mut Vec<String>) {
    counted(from, to, scale, &mut |digits| forms.push(format!("{sign}{digits}")));
    if from < to {
        let point = if scale == 0 { "\".\" " } else { "" };
        // What begins as a number below the last one stays below the last one, whatever follows.
        counted(from, to - 1, scale, &mut |digits| {
            forms.push(format!("{sign}{digits} {point}[0-9]{{1,{MORE_DIGITS}}}"));
        });
    }
}

/// Calls with the forms that together spell each of the numbers from one to another, over 10^`scale`.
fn counted(from: i128, to: i128, scale: u32, with: &mut dyn FnMut(&str)) {
    let shortest = scale as usize + 1;
    let length = |number: i128| number.to_string().len().max(shortest);
    for width in length(from)..=length(to) {
        // Only the shortest may begin with zero: it is all there is before the point.
        let least = if width == shortest { 0 } else { 10_i128.pow(u32::try_from(width - 1).unwrap_or(0)) };
        let most = 10_i128.pow(u32::try_from(width).unwrap_or(0)) - 1;
        let digits = |number: i128| format!("{number:0width$}").into_bytes();
        for spans in spans(&digits(from.max(least)), &digits(to.min(most))) {
            with(&spelled(&spans, width - scale as usize));
        }
    }
}

/// Digit by digit, from which to which.
type Spans = Vec<(u8, u8)>;

/// Splits all between two numbers of the same length into runs where each digit stands for itself.
fn spans(from: &[u8], to: &[u8]) -> Vec<Spans> {
    let ([first, from_rest @ ..], [last, to_rest @ ..]) = (from, to) else { return vec![Vec::new()] };
    let after = |digit: u8, rest: Vec<Spans>| rest.into_iter().map(move |spans| [vec![(digit, digit)], spans].concat());
    if first == last {
        return after(*first, spans(from_rest, to_rest)).collect();
    }
    let (zeros, nines) = (vec![b'0'; from_rest.len()], vec![b'9'; from_rest.len()]);
    let mut all = Vec::new();
    let mut middle = (*first, *last);
    if from_rest != zeros {
        all.extend(after(*first, spans(from_rest, &nines)));
        middle.0 += 1;
    }
    if to_rest != nines {
        all.extend(after(*last, spans(&zeros, to_rest)));
        middle.1 -= 1;
    }
    if middle.0 <= middle.1 {
        all.push([vec![middle], vec![(b'0', b'9'); from_rest.len()]].concat());
    }
    all
}

fn spelled(spans: &Spans, point_at: usize) -> String {
    let digit = |(from, to): &(u8, u8)| match from == to {
        true => format!("\"{}\"", char::from(*from)),
        false => format!("[{}-{}]", char::from(*from), char::from(*to)),
    };
    let (whole, fraction) = spans.split_at(point_at.min(spans.len()));
    let mut parts: Vec<String> = whole.iter().map(digit).collect();
    if !fraction.is_empty() {
        parts.push("\".\"".to_owned());
        parts.extend(fraction.iter().map(digit));
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of the runs have this number.
    fn met(runs: &[Spans], number: i128, width: usize) -> usize {
        let digits = format!("{number:0width$}").into_bytes();
        let has = |spans: &&Spans| spans.iter().zip(&digits).all(|((from, to), digit)| (from..=to).contains(&digit));
        runs.iter().filter(has).count()
    }

    #[test]
    fn runs_of_digits_have_each_number_between_once_and_no_other() {
        for from in 0..130_i128 {
            for to in (from..1000).step_by(7) {
                let digits = |number: i128| format!("{number:03}").into_bytes();
                let runs = spans(&digits(from), &digits(to));
                for number in 0..1000 {
                    let expected = usize::from((from..=to).contains(&number));
                    assert_eq!(met(&runs, number, 3), expected, "{number} in {from}..={to}: {runs:?}");
                }
            }
        }
    }

    #[test]
    fn bounds_are_read_digit_by_digit() {
        let read = |text: &str| Decimal::of(&serde_json::from_str(text).unwrap());
        assert_eq!(read("-0.25"), Some(Decimal { digits: -25, scale: 2 }));
        assert_eq!(read("1e3"), Some(Decimal::whole(1000)));
        assert_eq!((read("1e300"), read("1e-300")), (None, None));
    }

    #[test]
    fn whatever_bounds_can_be_counted_with_are_spelled() {
        let read = |text: &str| Decimal::of(&serde_json::from_str(text).unwrap());
        let bounds: Vec<Decimal> =
            ["1e-18", "1e-15", "-1e-9", "0", "-7.5", "123456", "999999999999999", "-1e17", "2e17"]
                .iter()
                .map(|text| read(text).unwrap())
                .collect();
        let exclusive = [None, Some(false), Some(true)];
        for (from, to) in bounds.iter().flat_map(|from| bounds.iter().map(move |to| (*from, *to))) {
            for (from_is, to_is) in exclusive.iter().flat_map(|from| exclusive.iter().map(move |to| (*from, *to))) {
                let bound = |at, is: Option<bool>| is.map(|is_exclusive| Bound { at, is_exclusive });
                let range = Range { from: bound(from, from_is), to: bound(to, to_is) };
                if range.is_countable() {
                    let is_any = range.from.is_none() || range.to.is_none() || from.is_below(to);
                    assert!(range.gbnf().is_some() || !is_any, "{range:?}");
                }
            }
        }
    }

    #[test]
    fn the_narrower_bound_holds() {
        let at = |digits, is_exclusive| Bound { at: Decimal::whole(digits), is_exclusive };
        let mut range = Range::default();
        for bound in [at(1, false), at(3, false), at(3, true), at(2, false)] {
            range.raise(bound);
        }
        for bound in [at(9, false), at(7, true), at(7, false)] {
            range.lower(bound);
        }
        assert_eq!(range.whole(), Some(Whole { from: 4, to: 6 }));
    }
}
