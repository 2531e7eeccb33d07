//! `pattern`: regular expressions of the plain kind as GBNF of the strings, spelled as JSON, that they match.
//!
//! Groups, alternatives, classes, repetition, and anchors at both ends. Where the dialects of regular expressions differ
//! (what is white space, what `.` leaves out), the strings are those that all of them match.

use super::strings::{literal, within_string};
use super::ways::{self, LAST, Part, Span};

/// The deepest nesting of groups.
const DEPTH_MAX: u32 = 20;
/// The most that one thing is repeated.
const REPEAT_MAX: u32 = 1000;

/// Characters that stand for themselves in a JSON string, and that every `.` matches.
const PLAIN_LEFT_OUT: &str = r#""\\\x00-\x1F\x7F\x85\u2028\u2029"#;

/// The same.
const LEFT_OUT: [Span; 6] = [(0x22, 0x22), (0x5C, 0x5C), (0, 0x1F), (0x7F, 0x7F), (0x85, 0x85), (0x2028, 0x2029)];

/// Letters, digits and spaces of other alphabets: they are such in some dialects and none in others.
const NOT_ASCII: &str = r"\x80-\U0010FFFF";
const NOT_ASCII_SPAN: Span = (0x80, LAST);

/// GBNF of strings that match, without the quotes; `None` where the pattern has something else.
pub(super) fn gbnf(pattern: &str) -> Option<String> {
    let (is_begun, inner) = pattern.strip_prefix('^').map_or((false, pattern), |inner| (true, inner));
    let (is_ended, inner) = match inner.strip_suffix('$') {
        Some(before) if (before.len() - before.trim_end_matches('\\').len()) % 2 == 0 => (true, before),
        _ => (false, inner),
    };
    let mut reader = Reader { letters: inner.chars().collect(), at: 0, depth: 0 };
    let alternatives = reader.alternatives()?;
    // An anchor belongs to one alternative only, which nearly nobody means.
    if reader.at < reader.letters.len() || (alternatives.len() > 1 && (is_begun || is_ended)) {
        return None;
    }
    let whole = Part::either(alternatives);
    if !whole.is_followed() {
        return None;
    }
    let anything = |is_bound: bool| if is_bound { String::new() } else { format!("[^{PLAIN_LEFT_OUT}]{{0,40}}") };
    Some(format!("{} ({}) {}", anything(is_begun), whole.gbnf, anything(is_ended)))
}

struct Reader {
    letters: Vec<char>,
    at: usize,
    depth: u32,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    fn take(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += 1;
        Some(letter)
    }

    fn takes(&mut self, wanted: char) -> bool {
        let is_it = self.peek() == Some(wanted);
        self.at += usize::from(is_it);
        is_it
    }

    /// Up to the end of the group.
    fn alternatives(&mut self) -> Option<Vec<Part>> {
        let mut alternatives = Vec::new();
        loop {
            let mut parts = Vec::new();
            while let Some(letter) = self.peek().filter(|letter| !['|', ')'].contains(letter)) {
                let part = self.part(letter)?;
                parts.push(self.repeated(part)?);
            }
            alternatives.push(Part::sequence(parts));
            if !self.takes('|') {
                return Some(alternatives);
            }
        }
    }

    fn part(&mut self, letter: char) -> Option<Part> {
        self.at += 1;
        match letter {
            '^' | '$' | '*' | '+' | '?' | '{' | '}' | ']' => None,
            '.' => Some(but("", Vec::new())),
            '[' => self.class(),
            '(' => {
                if self.takes('?') && !self.takes(':') {
                    return None;
                }
                self.depth += 1;
                let alternatives = (self.depth <= DEPTH_MAX).then(|| self.alternatives())??;
                self.depth -= 1;
                let mut group = Part::either(alternatives);
                group.gbnf = format!("({})", group.gbnf);
                self.takes(')').then_some(group)
            }
            '\\' => match self.take()? {
                letter @ ('d' | 'w' | 's') => Some(Part::one_of(format!("[{}]", kind(letter)), kind_set(letter))),
                letter @ ('D' | 'W' | 'S') => {
                    let letter = letter.to_ascii_lowercase();
                    let mut set = kind_set(letter);
                    set.push(NOT_ASCII_SPAN);
                    Some(but(&format!("{}{NOT_ASCII}", kind(letter)), set))
                }
                letter => Some(one(self.escaped(letter)?)),
            },
            letter => Some(one(letter)),
        }
    }

    /// The character that an escape means.
    fn escaped(&mut self, letter: char) -> Option<char> {
        let digits = match letter {
            'n' => return Some('\n'),
            't' => return Some('\t'),
            'r' => return Some('\r'),
            'x' => 2,
            'u' => 4,
            letter if letter.is_ascii_alphanumeric() => return None,
            letter => return Some(letter),
        };
        let code: Option<String> = (0..digits).map(|_| self.take().filter(char::is_ascii_hexdigit)).collect();
        char::from_u32(u32::from_str_radix(&code?, 16).ok()?)
    }

    fn repeated(&mut self, part: Part) -> Option<Part> {
        let (times, min, max) = match self.peek() {
            Some(sign @ ('*' | '+' | '?')) => {
                self.at += 1;
                (sign.to_string(), u32::from(sign == '+'), (sign == '?').then_some(1))
            }
            Some('{') => {
                self.at += 1;
                let end = self.letters[self.at..].iter().position(|letter| *letter == '}')?;
                let inside: String = self.letters[self.at..self.at + end].iter().collect();
                self.at += end + 1;
                let (min, max) = inside.split_once(',').unwrap_or((&inside, &inside));
                let min: u32 = min.parse().ok()?;
                let max: Option<u32> = if max.is_empty() { None } else { Some(max.parse().ok()?) };
                if min > REPEAT_MAX || max.is_some_and(|max| max > REPEAT_MAX || max < min) {
                    return None;
                }
                (format!("{{{min},{}}}", max.map(|max| max.to_string()).unwrap_or_default()), min, max)
            }
            _ => return Some(part),
        };
        // What is repeated lazily matches the same strings.
        self.takes('?');
        if max == Some(0) { Some(Part::nothing()) } else { part.repeated(&times, min, max) }
    }

    fn class(&mut self) -> Option<Part> {
        let is_but = self.takes('^');
        let mut inside = String::new();
        let mut quoted = Vec::new();
        let mut set = Vec::new();
        while !self.takes(']') {
            let letter = match self.take()? {
                '[' => return None,
                '\\' => match self.take()? {
                    letter @ ('d' | 'w' | 's') => {
                        inside.push_str(kind(letter));
                        set.append(&mut kind_set(letter));
                        if is_but {
                            inside.push_str(NOT_ASCII);
                            set.push(NOT_ASCII_SPAN);
                        }
                        continue;
                    }
                    letter => self.escaped(letter)?,
                },
                letter => letter,
            };
            let is_range = self.peek() == Some('-') && self.letters.get(self.at + 1).is_some_and(|next| *next != ']');
            if !is_range {
                set.push((letter.into(), letter.into()));
                if !is_but && (matches!(letter, '"' | '\\') || letter.is_control()) {
                    quoted.push(literal(&within_string(letter)));
                } else {
                    inside.push_str(&of_class(letter));
                }
                continue;
            }
            self.at += 1;
            let last = match self.take()? {
                '[' => return None,
                '\\' => {
                    let letter = self.take()?;
                    self.escaped(letter)?
                }
                letter => letter,
            };
            let is_plain =
                letter >= ' ' && last != '\x7F' && ['"', '\\'].iter().all(|odd| !(letter..=last).contains(odd));
            if last < letter || !(is_but || is_plain) {
                return None;
            }
            inside.push_str(&format!("{}-{}", of_class(letter), of_class(last)));
            set.push((letter.into(), last.into()));
        }
        if is_but {
            return Some(but(&inside, set));
        }
        if !inside.is_empty() {
            quoted.push(format!("[{inside}]"));
        }
        (!quoted.is_empty()).then(|| Part::one_of(format!("({})", quoted.join(" | ")), set))
    }
}

/// Any plain character but these.
fn but(inside: &str, mut set: Vec<Span>) -> Part {
    set.extend(LEFT_OUT);
    Part::one_of(format!("[^{PLAIN_LEFT_OUT}{inside}]"), ways::but(set))
}

/// The character itself.
fn one(letter: char) -> Part {
    Part::one_of(literal(&within_string(letter)), vec![(letter.into(), letter.into())])
}

fn kind(letter: char) -> &'static str {
    match letter {
        'd' => "0-9",
        'w' => "a-zA-Z0-9_",
        _ => " ",
    }
}

fn kind_set(letter: char) -> Vec<Span> {
    let spans: &[(char, char)] = match letter {
        'd' => &[('0', '9')],
        'w' => &[('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')],
        _ => &[(' ', ' ')],
    };
    spans.iter().map(|(from, to)| (u32::from(*from), u32::from(*to))).collect()
}

/// A character inside of a class of GBNF.
fn of_class(letter: char) -> String {
    format!("\\U{:08X}", u32::from(letter))
}
